// One operation of a batch or a transaction, as JSON:
//   {"op":"put","key":K,"key_encoding"?:E,"value":V,"encoding"?:E,"ttl"|"expires_at"?:T}
//   {"op":"delete","key":K,"key_encoding"?:E}
//   {"op":"get","key":K,"key_encoding"?:E,"encoding"?:E}
// and one comparison of a transaction:
//   {"key":K,"key_encoding"?:E,"revision":N | "exists":true|false | "value":V,"encoding"?:E}
//
// A key is UTF-8 unless its encoding says base64, a value the other way round.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "ngx_module/api/flat_object.h"

namespace small_db {

// What the store allows, and the time from which a time to live counts.
struct OperationLimits {
  size_t key_bytes_max = 0;
  size_t value_bytes_max = 0;
  uint64_t now_ms = 0;
};

enum class OperationKind : uint8_t { kPut, kDelete, kGet };

struct Operation {
  OperationKind kind = OperationKind::kPut;
  std::string key;
  std::string value;           // of a put
  uint64_t expires_at_ms = 0;  // of a put; 0: never
  bool wants_text = false;     // of a get: the value as text, where it is UTF-8
};

enum class ComparisonKind : uint8_t { kRevision, kExists, kValue };

struct Comparison {
  ComparisonKind kind = ComparisonKind::kRevision;
  std::string key;
  uint64_t revision = 0;  // 0: the key is absent
  bool exists = false;
  std::string value;
};

// Keeps its memory from one operation to the next. The functions may throw std::bad_alloc.
class OperationParser {
 public:
  explicit OperationParser(const OperationLimits& limits);

  // A line of a batch: `op` may be omitted and then is put, and there is no get.
  [[nodiscard]] std::optional<JsonFault> parse_line(std::string_view text, Operation* operation);
  [[nodiscard]] std::optional<JsonFault> parse_operation(std::string_view text,
                                                         Operation* operation);
  [[nodiscard]] std::optional<JsonFault> parse_comparison(std::string_view text,
                                                          Comparison* comparison);

 private:
  std::optional<JsonFault> read_operation(Operation* operation);
  std::optional<JsonFault> read_kind(bool is_line, OperationKind* kind) const;
  std::optional<JsonFault> check_members(OperationKind kind) const;

  const OperationLimits limits_;
  FlatObject operation_;
  FlatObject comparison_;
};

}  // namespace small_db
