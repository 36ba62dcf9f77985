// The parameters of a request: NAME=VALUE&…, names as they stand here and never encoded, values
// percent-decoded once (a + is a plus). Strict: a parameter that is unknown, repeated or malformed
// is refused, so that a misspelt one never does less than was asked for. Which request takes which
// parameters is said in routes.h.
//
// A flag is true when it is given without a value, as `true` or as `1`; false as `false` or `0`.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "ngx_module/api/problem.h"

namespace small_db {

enum class Parameter : uint8_t {
  kKey,
  kRaw,       // flag
  kEncoding,  // of a value in an answer: base64 | utf-8
  kTtl,
  kExpiresAt,
  kIncr,
  kInit,
  kPrefix,
  kStart,
  kEnd,
  kLimit,
  kCursor,
  kDelimiter,
  kValues,   // flag
  kReverse,  // flag
  kCount,    // flag
  kAll,      // flag
  kReplace,  // flag
  kFresh,    // flag
  kFrom,     // revision
  kCluster,  // id, as kNode and kTerm
  kNode,
  kEpoch,
  kTerm,
  kReceived,  // revisions
  kFlushed,
  kApplied,
};

// A set of parameters.
class Parameters {
 public:
  constexpr Parameters() noexcept = default;
  constexpr Parameters(std::initializer_list<Parameter> members) noexcept {
    for (const Parameter member : members) bits_ |= bit(member);
  }
  constexpr bool has(Parameter parameter) const noexcept { return (bits_ & bit(parameter)) != 0; }
  constexpr bool is_empty() const noexcept { return bits_ == 0; }
  constexpr Parameters operator|(Parameters other) const noexcept {
    Parameters both;
    both.bits_ = bits_ | other.bits_;
    return both;
  }
  constexpr Parameters without(Parameter parameter) const noexcept {
    Parameters rest;
    rest.bits_ = bits_ & ~bit(parameter);
    return rest;
  }

 private:
  static constexpr uint32_t bit(Parameter parameter) noexcept {
    return uint32_t{1} << static_cast<uint32_t>(parameter);
  }
  uint32_t bits_ = 0;
};

// The parameters that a request has. A request without any costs no memory.
class Query {
 public:
  bool has(Parameter parameter) const noexcept { return !is_empty() && find(parameter) != nullptr; }

  // The decoded value; empty when the parameter is not there, or has none.
  std::string_view text(Parameter parameter) const noexcept;

  // The same, telling "not there" from "empty".
  std::optional<std::string_view> value(Parameter parameter) const noexcept;

  // False when the flag is not there. REQUIRES: the parameter is a flag.
  bool flag(Parameter parameter) const noexcept;

  bool is_empty() const noexcept { return given_.empty(); }

  void set(Parameter parameter, std::string value);

  // Refuses what is not in `known`. Errors: kInvalidQuery, which lists what is.
  [[nodiscard]] std::optional<Problem> check(Parameters known) const;

 private:
  struct Given {
    Parameter parameter;
    std::string value;
  };
  const Given* find(Parameter parameter) const noexcept;

  std::vector<Given> given_;
};

// "key", "raw", …
std::string_view parameter_name(Parameter parameter) noexcept;

// Parses what stands after the question mark. Errors: kInvalidQuery. May throw std::bad_alloc.
[[nodiscard]] std::optional<Problem> parse_query(std::string_view args, Query* query);

}  // namespace small_db
