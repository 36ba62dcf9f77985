// The values of If-Match and If-None-Match (RFC 9110 sections 8.8.3 and 13.1): `*`, or a list of
// entity tags. A record's tag is its revision as a decimal number in quotes, and always strong.
//
// A tag that is well-formed and names no revision is nothing to complain of: it matches no record.
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>
#include <vector>

#include "ngx_module/api/problem.h"

namespace small_db {

struct EntityTag {
  uint64_t revision = 0;  // 0: it is none that any record has
  bool is_weak = false;   // W/"…"
};

struct EntityTags {
  bool is_any = false;  // *
  std::vector<EntityTag> tags;

  // Comparison with the tag of a record; 0: there is no record. If-Match compares strongly, so that
  // a weak tag never matches; If-None-Match weakly.
  bool match_strongly(uint64_t revision) const noexcept;
  bool match_weakly(uint64_t revision) const noexcept;

  bool has_weak() const noexcept;
};

// Parses the value of the header `name`. Errors: kInvalidHeader, which says where it breaks. May
// throw std::bad_alloc.
[[nodiscard]] std::optional<Problem> parse_entity_tags(std::string_view name, std::string_view text,
                                                       EntityTags* tags);

}  // namespace small_db
