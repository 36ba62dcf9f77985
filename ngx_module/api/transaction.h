// A transaction as clients write it:
//   {"if":[COMPARISON,…],"then":[OPERATION,…],"else":[OPERATION,…]}
// Every member may be omitted, but not all. Comparisons and operations: operation.h.
//
// The parser cuts the body into its elements itself, and has each parsed strictly as one flat JSON
// object: so a long transaction is read in slices, and a fault says in which element it is.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ngx_module/api/operation.h"
#include "ngx_module/api/problem.h"

namespace small_db {

// Comparisons and operations of all three lists together.
inline constexpr size_t kTransactionElementsMax = 16 * 1024;

struct Transaction {
  std::vector<Comparison> comparisons;
  std::vector<Operation> on_success;
  std::vector<Operation> on_failure;
};

class TransactionParser {
 public:
  // REQUIRES: the body outlives the parser.
  TransactionParser(std::string_view body, const OperationLimits& limits)
      : body_(body), parser_(limits) {}

  // Takes the next element, or what stands between two. False: the body is parsed, or there is a
  // problem(). May throw std::bad_alloc.
  bool step();

  // Errors: kInvalidBody, kInvalidOperation, kTooLarge; with the byte of the body, and the element
  // ("then[3]") where one is at fault.
  const std::optional<Problem>& problem() const noexcept { return problem_; }

  // REQUIRES: step() has returned false, and there is no problem.
  Transaction& transaction() noexcept { return transaction_; }

 private:
  enum class State : uint8_t {
    kBegin,       // before the opening brace
    kFirstName,   // behind it
    kName,        // behind a comma between members
    kColon,       // behind a name
    kList,        // before a list's opening bracket
    kFirst,       // behind it
    kElement,     // behind a comma between elements
    kBehind,      // behind an element
    kBehindList,  // behind a list
    kEnd,         // behind the closing brace
  };
  enum ListIndex : uint8_t { kIf, kThen, kElse, kListCount };

  bool take_token();
  bool take_end();
  bool take_name();
  bool take_element();
  bool parse_element(std::string_view text, std::optional<JsonFault>* fault);
  bool expect(char token, State next, const char* what);
  bool expect_either(char token, State next, char other, State other_next, const char* what);
  bool fail(size_t position, const char* cause);
  bool fail_element(size_t start, const JsonFault& fault);

  const std::string_view body_;
  OperationParser parser_;
  Transaction transaction_;
  std::optional<Problem> problem_;
  size_t at_ = 0;
  State state_ = State::kBegin;
  ListIndex list_ = kIf;
  bool is_given_[kListCount] = {};
  size_t index_ = 0;     // of the element in its list
  size_t elements_ = 0;  // of all lists
};

}  // namespace small_db
