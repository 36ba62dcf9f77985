// Both ends of the completion ring. Positions count entries; the rules of the bell are in
// completion_ring.h.
#include "engine/shm/completion_ring.h"

#include "engine/base/assert.h"
#include "engine/base/kill_point.h"
#include "engine/shm/slot.h"

namespace small_db {
namespace {

Completion& entry_at(std::span<Completion> ring, uint64_t position) noexcept {
  return ring[position & (ring.size() - 1)];
}

// Entries from head to tail; 0 when there can't be so many, so that no reader leaves the ring's
// bounds or runs on for ever.
uint64_t unread(Region region, uint32_t index, uint64_t head, uint64_t tail) noexcept {
  const uint64_t count = tail - head;
  return count <= region.completions(index).size() ? count : 0;
}

}  // namespace

bool put_completion(Region region, uint32_t index, uint32_t pending,
                    const Completion& completion) noexcept {
  Slot& slot = region.slot(index);
  const std::span<Completion> ring = region.completions(index);
  // Relaxed: only the owner stores it.
  const uint64_t position = slot.completion_tail.load(std::memory_order_relaxed) + pending;
  // Pairs with take_completion's store: the entry that is overwritten was read.
  const uint64_t head = slot.completion_head.load(std::memory_order_acquire);
  if (position - head >= ring.size()) return false;  // a head beyond the tail wraps, and is caught
  entry_at(ring, position) = completion;
  SMALL_DB_KILL_POINT("completion: written");
  return true;
}

void publish_completions(Region region, uint32_t index, uint32_t count) noexcept {
  Slot& slot = region.slot(index);
  const uint64_t tail = slot.completion_tail.load(std::memory_order_relaxed);
  // Pairs with the loads in take_completion (the entries) and want_bell (the bell).
  slot.completion_tail.store(tail + count, std::memory_order_seq_cst);
  SMALL_DB_KILL_POINT("completion: published");
}

bool take_bell_wish(Region region, uint32_t index) noexcept {
  Slot& slot = region.slot(index);
  // Pairs with want_bell's store. Loaded first: most of the time nobody sleeps, and the line stays
  // shared.
  return slot.wants_bell.load(std::memory_order_seq_cst) != 0 &&
         slot.wants_bell.exchange(0, std::memory_order_seq_cst) != 0;
}

std::optional<Completion> take_completion(Region region, uint32_t index) noexcept {
  Slot& slot = region.slot(index);
  // Relaxed: only this process stores it.
  const uint64_t head = slot.completion_head.load(std::memory_order_relaxed);
  // Pairs with publish_completions' store.
  const uint64_t tail = slot.completion_tail.load(std::memory_order_acquire);
  if (unread(region, index, head, tail) == 0) return std::nullopt;
  const Completion completion = entry_at(region.completions(index), head);
  SMALL_DB_KILL_POINT("completion: read");
  slot.completion_head.store(head + 1, std::memory_order_release);  // pairs with put_completion
  return completion;
}

bool want_bell(Region region, uint32_t index) noexcept {
  Slot& slot = region.slot(index);
  slot.wants_bell.store(1, std::memory_order_seq_cst);  // pairs with take_bell_wish's load
  SMALL_DB_KILL_POINT("bell: wanted");
  const uint64_t head = slot.completion_head.load(std::memory_order_relaxed);
  // Pairs with publish_completions' store.
  const uint64_t tail = slot.completion_tail.load(std::memory_order_seq_cst);
  return unread(region, index, head, tail) != 0;
}

}  // namespace small_db
