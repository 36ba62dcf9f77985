// What GET of the collection asks for, and the cursor by which a list goes on.
//
// A cursor is opaque to clients, and everything that the server needs: nothing is kept between two
// pages. It belongs to the parameters that decide what a list holds and in which order; with others
// it is refused. In base64url:
//
//   offset  bytes  field
//        0      1  version  1
//        1      1  kind     1: behind the key, 2: behind all keys with the prefix
//        2      4  CRC32C of the parameters, the kind and the bytes behind it
//        6         the key or the prefix: the last that was listed
//
// Pure functions; worker processes call them. All of them may throw std::bad_alloc.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/query.h"
#include "ngx_module/api/representation.h"

namespace small_db {

inline constexpr size_t kListLimitDefault = 100;
inline constexpr size_t kListLimitMax = 1000;

// Keys in byte order, from `low` on and before `high`.
struct KeyRange {
  std::string low;
  std::string high;
  bool has_high = false;

  bool is_empty() const noexcept { return has_high && low >= high; }
  bool is_whole() const noexcept { return low.empty() && !has_high; }
  bool has(std::string_view key) const noexcept { return key >= low && (!has_high || key < high); }
};

// Where a page ended.
struct ListPosition {
  enum class Kind : uint8_t { kKey = 1, kPrefix = 2 };
  Kind kind = Kind::kKey;
  std::string bytes;
};

struct ListQuery {
  KeyRange range;  // of the keys with the prefix, without those of former pages
  std::string prefix;
  std::string delimiter;  // empty: none
  size_t limit = kListLimitDefault;
  bool has_values = false;
  ValueEncoding encoding = ValueEncoding::kBase64;
  bool is_reverse = false;
  bool is_count = false;
  uint32_t parameters_crc = 0;  // of what a cursor belongs to
};

// Errors: kInvalidQuery.
[[nodiscard]] std::optional<Problem> parse_list_query(const Query& query, ListQuery* list);

// The cursor that goes on behind `last`.
std::string list_cursor(const ListQuery& list, const ListPosition& last);

// Leaves of the list what comes behind `last` in its direction.
void go_on_behind(const ListPosition& last, bool is_reverse, KeyRange* range);

// The first key behind all that begin with `prefix`; nothing when there is none.
std::optional<std::string> key_behind_prefix(std::string_view prefix);

}  // namespace small_db
