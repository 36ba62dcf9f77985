// The completion ring of a slot: one producer (the owner's sync thread), one consumer (the slot's
// process), entries of one size. A client has at most `completion_count` requests in flight, so
// that a completion always has room; a slot whose ring is full all the same broke that rule, and
// its completion is dropped.
//
// The bell: the consumer says that it wants one, then looks again for what it waits for, answers
// and room in its submission ring; the producer moves the tail and gives the room back, then looks
// at the wish. All these accesses are sequentially consistent, so that at least one of the two sees
// the other's. An owner that dies between taking the wish back and ringing
// leaves a sleeper that nobody will ring: a new owner rings the bells of all held slots once.
//
// The owner's functions need no incarnation: a slot that a batch in flight names is never freed
// (slot.h), so that its ring is still that of the holder who submitted, or nobody's.
#pragma once

#include <optional>

#include "engine/shm/region.h"

namespace small_db {

// Appends without making it visible, `pending` entries after the tail. False when the ring is full,
// or when the holder's position makes no sense; nothing was written then. Owner only.
bool put_completion(Region region, uint32_t slot, uint32_t pending,
                    const Completion& completion) noexcept;

// Makes `count` appended entries visible. REQUIRES: count entries were put. Owner only.
void publish_completions(Region region, uint32_t slot, uint32_t count) noexcept;

// Returns true when the slot's process wants its bell rung, and takes that wish back: one bell for
// any number of entries. After all that it may wait for was published. Owner only.
bool take_bell_wish(Region region, uint32_t slot) noexcept;

// The next completion, or nothing (also when the owner's position makes no sense). Slot's process
// only.
std::optional<Completion> take_completion(Region region, uint32_t slot) noexcept;

// Says that the bell is wanted. Returns true when completions came meanwhile: read again before
// sleeping. Slot's process only.
bool want_bell(Region region, uint32_t slot) noexcept;

}  // namespace small_db
