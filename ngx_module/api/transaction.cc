#include "ngx_module/api/transaction.h"

#include <algorithm>

namespace small_db {
namespace {

constexpr std::string_view kListNames[] = {"if", "then", "else"};

// White space is passed by in pieces, so that a step stays short whatever the body is.
constexpr size_t kSkippedBytesMax = 64 * 1024;

bool is_white_space(char character) noexcept {
  return character == ' ' || character == '\t' || character == '\n' || character == '\r';
}

// The object that begins here, up to its closing brace; all that is left when it has none.
std::string_view object_at(std::string_view text) noexcept {
  size_t depth = 0;
  bool in_string = false;
  for (size_t at = 0; at < text.size(); at++) {
    const char character = text[at];
    if (in_string) {
      if (character == '\\') at++;
      if (character == '"') in_string = false;
      continue;
    }
    if (character == '"') in_string = true;
    if (character == '{') depth++;
    if (character == '}' && --depth == 0) return text.substr(0, at + 1);
  }
  return text;
}

}  // namespace

bool TransactionParser::step() {
  const size_t end = std::min(body_.size(), at_ + kSkippedBytesMax);
  while (at_ < end && is_white_space(body_[at_])) at_++;
  if (at_ == end && end < body_.size()) return true;
  return take_token();
}

bool TransactionParser::take_token() {
  switch (state_) {
    case State::kBegin:
      return expect('{', State::kFirstName, "the body must be a JSON object");
    case State::kFirstName:
    case State::kName:
      return take_name();
    case State::kColon:
      return expect(':', State::kList, "a ':' is missing behind the member's name");
    case State::kList:
      return expect('[', State::kFirst, "the members 'if', 'then' and 'else' must be lists");
    case State::kFirst:
      if (at_ < body_.size() && body_[at_] == ']') {
        return expect(']', State::kBehindList, "");
      }
      return take_element();
    case State::kElement:
      return take_element();
    case State::kBehind:
      return expect_either(',', State::kElement, ']', State::kBehindList,
                           "a ',' or a ']' is missing behind an element");
    case State::kBehindList:
      return expect_either(',', State::kName, '}', State::kEnd,
                           "a ',' or a '}' is missing behind a list");
    case State::kEnd:
      break;
  }
  return take_end();
}

bool TransactionParser::take_end() {
  if (at_ < body_.size()) return fail(at_, "there is more behind the transaction");
  if (is_given_[kIf] || is_given_[kThen] || is_given_[kElse]) return false;
  return fail(at_, "a transaction has a member 'if', 'then' or 'else'");
}

bool TransactionParser::expect(char token, State next, const char* what) {
  if (at_ == body_.size() || body_[at_] != token) return fail(at_, what);
  at_++;
  state_ = next;
  return true;
}

bool TransactionParser::expect_either(char token, State next, char other, State other_next,
                                      const char* what) {
  if (at_ < body_.size() && body_[at_] == other) return expect(other, other_next, what);
  return expect(token, next, what);
}

bool TransactionParser::take_name() {
  if (state_ == State::kFirstName && at_ < body_.size() && body_[at_] == '}') {
    return expect('}', State::kEnd, "");
  }
  if (at_ == body_.size() || body_[at_] != '"') {
    return fail(at_, "the name of a member is missing: 'if', 'then' or 'else'");
  }
  const std::string_view rest = body_.substr(at_ + 1);
  const std::string_view name = rest.substr(0, rest.find('"'));
  const auto* const found = std::find(std::begin(kListNames), std::end(kListNames), name);
  if (found == std::end(kListNames) || name.size() == rest.size()) {
    return fail(at_, "unknown member: it must be 'if', 'then' or 'else'");
  }
  list_ = static_cast<ListIndex>(found - std::begin(kListNames));
  if (is_given_[list_]) return fail(at_, "a member is given twice");
  is_given_[list_] = true;
  index_ = 0;
  at_ += name.size() + 2;
  state_ = State::kColon;
  return true;
}

bool TransactionParser::take_element() {
  if (at_ == body_.size() || body_[at_] != '{') {
    const JsonFault fault = {true, false, 0, "an element must be a JSON object"};
    return fail_element(at_, fault);
  }
  if (++elements_ > kTransactionElementsMax) {
    problem_ = make_problem(ProblemKind::kTooLarge,
                            {"a transaction has at most ", uint64_t{kTransactionElementsMax},
                             " comparisons and operations"});
    return false;
  }
  const std::string_view text = object_at(body_.substr(at_));
  std::optional<JsonFault> fault;
  if (!parse_element(text, &fault)) return fail_element(at_, *fault);
  at_ += text.size();
  index_++;
  state_ = State::kBehind;
  return true;
}

bool TransactionParser::parse_element(std::string_view text, std::optional<JsonFault>* fault) {
  if (list_ == kIf) {
    *fault = parser_.parse_comparison(text, &transaction_.comparisons.emplace_back());
  } else {
    auto& list = list_ == kThen ? transaction_.on_success : transaction_.on_failure;
    *fault = parser_.parse_operation(text, &list.emplace_back());
  }
  return !*fault;
}

bool TransactionParser::fail(size_t position, const char* cause) {
  problem_ =
      make_problem(ProblemKind::kInvalidBody, {"at byte ", position, " of the body: ", cause});
  return false;
}

bool TransactionParser::fail_element(size_t start, const JsonFault& fault) {
  const std::string_view cause = fault.cause;
  if (fault.is_too_large) {
    problem_ = make_problem(ProblemKind::kTooLarge, {kListNames[list_], "[", index_, "]: ", cause});
    return false;
  }
  const ProblemKind kind =
      fault.is_syntax ? ProblemKind::kInvalidBody : ProblemKind::kInvalidOperation;
  problem_ = make_problem(kind, {kListNames[list_], "[", index_, "], at byte ",
                                 start + fault.position, " of the body: ", cause});
  return false;
}

}  // namespace small_db
