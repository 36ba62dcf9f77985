// Whether a store serves now, as its region tells it, and the answer when it does not.
#pragma once

#include <optional>

#include "engine/shm/region.h"
#include "ngx_module/api/problem.h"

namespace small_db {

// True when no write may begin here, and no follower may take this node for its primary: its role
// is another, or a higher epoch was heard of.
bool is_set_aside(const Region& region) noexcept;

// Nothing when reads (or writes) make sense now; else the 503 that says why not.
std::optional<Problem> why_no_reads(const Region& region) noexcept;
std::optional<Problem> why_no_writes(const Region& region) noexcept;

// The answer to a write or read that the engine refused, with what the region knows of the cause:
// state and reason, memory in use.
Problem refusal(const Region& region, Code code) noexcept;

// The same for a promotion that failed.
Problem promotion_refusal(const Region& region, Code code) noexcept;

// The same for a checkpoint that failed.
Problem checkpoint_refusal(const Region& region, Code code) noexcept;

}  // namespace small_db
