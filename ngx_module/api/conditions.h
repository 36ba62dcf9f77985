// The conditions of a request on one key: If-Match and If-None-Match (RFC 9110 section 13). Those
// of a write are decided by the store's owner when it commits; those of a read by who reads.
//
// If-Modified-Since and If-Unmodified-Since are ignored, as they must be where a resource has no
// date of modification (sections 13.1.3 and 13.1.4): a record has a revision instead.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/record/write_set.h"
#include "ngx_module/api/entity_tags.h"
#include "ngx_module/api/problem.h"

namespace small_db {

struct Conditions {
  std::optional<EntityTags> if_match;
  std::optional<EntityTags> if_none_match;

  bool is_empty() const noexcept { return !if_match && !if_none_match; }
};

// From the values of the two headers. Errors: kInvalidHeader. May throw std::bad_alloc.
[[nodiscard]] std::optional<Problem> parse_conditions(std::optional<std::string_view> if_match,
                                                      std::optional<std::string_view> if_none_match,
                                                      Conditions* conditions);

// The guards of a write to `key`. May throw std::bad_alloc.
void add_guards(const Conditions& conditions, Bytes key, WriteSetBuilder* set);

// 412, with what stands in the way. revision: of the key's record, 0 when there is none.
Problem condition_problem(const Conditions& conditions, uint64_t revision) noexcept;

}  // namespace small_db
