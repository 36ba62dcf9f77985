#include "ngx_module/api/list_query.h"

#include <algorithm>
#include <charconv>

#include "engine/base/crc32c.h"
#include "ngx_module/api/base64.h"

namespace small_db {
namespace {

constexpr uint8_t kCursorVersion = 1;
constexpr size_t kCursorHeaderBytes = 6;

uint32_t crc_of_text(std::string_view text, uint32_t crc) noexcept {
  const uint64_t bytes = text.size();
  crc = crc32c(std::as_bytes(std::span(&bytes, 1)), crc);
  return crc32c(as_bytes(text), crc);
}

uint32_t parameters_crc(const Query& query) noexcept {
  const std::string_view order = query.flag(Parameter::kReverse) ? "reverse" : "";
  uint32_t crc = crc_of_text(order, 0);
  for (const Parameter parameter :
       {Parameter::kPrefix, Parameter::kStart, Parameter::kEnd, Parameter::kDelimiter}) {
    crc = crc_of_text(query.text(parameter), crc);
  }
  return crc;
}

uint32_t cursor_crc(uint32_t parameters, ListPosition::Kind kind, std::string_view bytes) noexcept {
  const auto byte = static_cast<std::byte>(kind);
  return crc32c(as_bytes(bytes), crc32c({&byte, 1}, parameters));
}

std::optional<ListPosition> read_cursor(std::string_view text, uint32_t parameters) {
  const std::optional<std::string> cursor = base64url_decode(text);
  if (!cursor || cursor->size() <= kCursorHeaderBytes) return std::nullopt;
  if (static_cast<uint8_t>((*cursor)[0]) != kCursorVersion) return std::nullopt;
  ListPosition position;
  position.kind = static_cast<ListPosition::Kind>((*cursor)[1]);
  if (position.kind != ListPosition::Kind::kKey && position.kind != ListPosition::Kind::kPrefix) {
    return std::nullopt;
  }
  position.bytes = cursor->substr(kCursorHeaderBytes);
  const auto crc = load<uint32_t>(as_bytes(*cursor).data() + 2);
  if (crc != cursor_crc(parameters, position.kind, position.bytes)) return std::nullopt;
  return position;
}

// The keys that have the prefix and lie between start and end.
KeyRange range_of(const Query& query) {
  const std::string_view prefix = query.text(Parameter::kPrefix);
  const std::string_view end = query.text(Parameter::kEnd);
  KeyRange range;
  range.low = std::max(prefix, query.text(Parameter::kStart));
  if (!end.empty()) {
    range.high = end;
    range.has_high = true;
  }
  const std::optional<std::string> behind = key_behind_prefix(prefix);
  if (behind && (!range.has_high || *behind < range.high)) {
    range.high = *behind;
    range.has_high = true;
  }
  return range;
}

std::optional<Problem> read_limit(std::string_view text, size_t* limit) {
  const char* end = text.data() + text.size();
  const auto parsed = std::from_chars(text.data(), end, *limit);
  const bool is_number = parsed.ec == std::errc() && parsed.ptr == end;
  if (is_number && *limit >= 1 && *limit <= kListLimitMax) return std::nullopt;
  return make_problem(ProblemKind::kInvalidQuery,
                      {"the parameter 'limit' must be a whole number from 1 to ", kListLimitMax,
                       ", and not '", QuotedInput(text).text(), "'"});
}

// What only a list of keys has, and a count has not.
std::optional<Problem> check_count(const Query& query) {
  for (const Parameter parameter :
       {Parameter::kLimit, Parameter::kCursor, Parameter::kDelimiter, Parameter::kValues,
        Parameter::kReverse, Parameter::kEncoding}) {
    if (!query.has(parameter)) continue;
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter '", parameter_name(parameter),
                         "' means nothing to a count, which takes prefix, start and end"});
  }
  return std::nullopt;
}

std::optional<Problem> read_how_to_show(const Query& query, ListQuery* list) {
  list->has_values = query.flag(Parameter::kValues);
  if (query.has(Parameter::kEncoding) && !list->has_values) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter 'encoding' is of values: it needs values=true"});
  }
  if (const auto limit = query.value(Parameter::kLimit)) {
    if (auto problem = read_limit(*limit, &list->limit)) return problem;
  }
  return choose_encoding(query, &list->encoding);
}

}  // namespace

std::optional<Problem> parse_list_query(const Query& query, ListQuery* list) {
  list->range = range_of(query);
  list->prefix = query.text(Parameter::kPrefix);
  list->is_count = query.flag(Parameter::kCount);
  if (list->is_count) return check_count(query);
  list->delimiter = query.text(Parameter::kDelimiter);
  list->is_reverse = query.flag(Parameter::kReverse);
  list->parameters_crc = parameters_crc(query);
  if (auto problem = read_how_to_show(query, list)) return problem;
  const std::optional<std::string_view> cursor = query.value(Parameter::kCursor);
  if (!cursor) return std::nullopt;
  const std::optional<ListPosition> last = read_cursor(*cursor, list->parameters_crc);
  if (!last) {
    return make_problem(
        ProblemKind::kInvalidQuery,
        {"the parameter 'cursor' is none that was given for the same prefix, start, end, "
         "delimiter and reverse"});
  }
  go_on_behind(*last, list->is_reverse, &list->range);
  return std::nullopt;
}

std::string list_cursor(const ListQuery& list, const ListPosition& last) {
  std::string cursor(kCursorHeaderBytes, '\0');
  cursor[0] = static_cast<char>(kCursorVersion);
  cursor[1] = static_cast<char>(last.kind);
  store(reinterpret_cast<std::byte*>(cursor.data()) + 2,
        cursor_crc(list.parameters_crc, last.kind, last.bytes));
  cursor += last.bytes;
  return base64url_encode(as_bytes(cursor));
}

void go_on_behind(const ListPosition& last, bool is_reverse, KeyRange* range) {
  if (is_reverse) {  // no key with a prefix comes before the prefix itself
    if (!range->has_high || last.bytes < range->high) range->high = last.bytes;
    range->has_high = true;
    return;
  }
  std::optional<std::string> next = last.bytes + '\0';
  if (last.kind == ListPosition::Kind::kPrefix) next = key_behind_prefix(last.bytes);
  if (next) {
    range->low = std::max(range->low, *next);
    return;
  }
  range->high.clear();  // nothing is left
  range->has_high = true;
}

std::optional<std::string> key_behind_prefix(std::string_view prefix) {
  constexpr char kLastByte = '\xff';
  while (!prefix.empty() && prefix.back() == kLastByte) prefix.remove_suffix(1);
  if (prefix.empty()) return std::nullopt;
  std::string next(prefix);
  next.back() = static_cast<char>(static_cast<uint8_t>(next.back()) + 1);
  return next;
}

}  // namespace small_db
