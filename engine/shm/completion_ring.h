// The completion ring of a slot: one producer (the owner's sync thread), one consumer (the slot's
// process), entries of one size. A client has at most `completion_count` requests in flight, so
// that a completion always has room; a slot whose ring is full all the same broke that rule, and
// its completion is dropped.
#pragma once

#include <optional>

#include "engine/shm/region.h"

namespace small_db {

// Appends without making it visible, `pending` entries after the tail. False when the ring is full.
bool put_completion(Region region, uint32_t slot, uint32_t pending,
                    const Completion& completion) noexcept;

// Makes `count` appended entries visible. Returns true when the slot's process wants its bell rung
// (and takes that wish back: one bell for any number of entries).
bool publish_completions(Region region, uint32_t slot, uint32_t count) noexcept;

// The next completion, or nothing. Slot's process only.
std::optional<Completion> take_completion(Region region, uint32_t slot) noexcept;

// Says that the bell is wanted. Returns true when completions came meanwhile: read again before
// sleeping.
bool want_bell(Region region, uint32_t slot) noexcept;

}  // namespace small_db
