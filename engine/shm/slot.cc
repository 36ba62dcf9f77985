// Claiming, releasing and sweeping of slots. The state machine is in slot.h.
#include "engine/shm/slot.h"

#include <unistd.h>

#include <algorithm>
#include <cstddef>

#include "engine/base/assert.h"
#include "engine/base/kill_point.h"
#include "engine/shm/doorbell.h"

namespace small_db {
namespace {

static_assert(offsetof(Slot, pins) == 64);
static_assert(offsetof(Slot, submission_tail) % 64 == 0 &&
              offsetof(Slot, submission_head) % 64 == 0);
static_assert(offsetof(Slot, completion_tail) % 64 == 0 &&
              offsetof(Slot, completion_head) % 64 == 0);

void ask_for_sweep(Region region) noexcept {
  // Pairs with the owner's load of sweep_wanted before it sweeps.
  region.header().sweep_wanted.store(1, std::memory_order_release);
  ring_doorbell(region);
}

uint32_t take_incarnation(Region region) noexcept {
  for (;;) {
    // Relaxed: only that no two get the same number matters.
    const uint32_t incarnation =
        region.header().next_incarnation.fetch_add(1, std::memory_order_relaxed) + 1;
    if (incarnation != 0) return incarnation;
  }
}

// Relaxed: the caller's store to `holder` orders it.
void zero_all_but_holder(Slot& slot) noexcept {
  for (std::atomic<uint64_t>& pin : slot.pins) pin.store(0, std::memory_order_relaxed);
  slot.start_time.store(0, std::memory_order_relaxed);
  slot.wants_bell.store(0, std::memory_order_relaxed);
  slot.watches_log.store(0, std::memory_order_relaxed);
  slot.submission_tail.store(0, std::memory_order_relaxed);
  SMALL_DB_KILL_POINT("slot: half zeroed");
  slot.submission_head.store(0, std::memory_order_relaxed);
  slot.completion_tail.store(0, std::memory_order_relaxed);
  slot.completion_head.store(0, std::memory_order_relaxed);
}

}  // namespace

SlotHolder slot_holder(Region region, uint32_t index) noexcept {
  // Pairs with the claim's compare-and-swap, and through it with the sweep's zeroing.
  return SlotHolder::unpack(region.slot(index).holder.load(std::memory_order_acquire));
}

uint32_t slots_touched(Region region) noexcept {
  return std::min(region.header().slots_touched.load(), region.slot_count());
}

bool log_is_watched(Region region) noexcept {
  const uint32_t slots = slots_touched(region);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    // Relaxed: what is written by the one way is read by the other, too.
    if (region.slot(slot).watches_log.load(std::memory_order_relaxed) != 0) return true;
  }
  return false;
}

void touch_slot(Region region, uint32_t index) noexcept {
  std::atomic<uint32_t>& touched = region.header().slots_touched;
  uint32_t now = touched.load();
  while (now <= index && !touched.compare_exchange_weak(now, index + 1)) {
  }
}

Result<ClaimedSlot> claim_slot(Region region) noexcept {
  const SlotHolder self{static_cast<uint32_t>(getpid()), take_incarnation(region)};
  for (uint32_t i = 0; i < region.slot_count(); ++i) {
    Slot& slot = region.slot(i);
    uint64_t expected = 0;
    // Acquire pairs with free_slot's last store, release with slot_holder's load.
    if (!slot.holder.compare_exchange_strong(expected, self.pack(), std::memory_order_acq_rel,
                                             std::memory_order_relaxed)) {
      continue;
    }
    SMALL_DB_KILL_POINT("slot: claimed");
    touch_slot(region, i);
    // A process that dies before this is judged by its pid alone. Relaxed: the sweep reads 0 or it.
    slot.start_time.store(process_start_time(self.pid), std::memory_order_relaxed);
    SMALL_DB_KILL_POINT("slot: start time told");
    ask_for_sweep(region);
    return ClaimedSlot{i, self};
  }
  ask_for_sweep(region);
  return Status(Code::kOverloaded, "slot: claim");
}

void release_slot(Region region, ClaimedSlot claimed) noexcept {
  Slot& slot = region.slot(claimed.index);
  if (slot_holder(region, claimed.index) != claimed.holder) return;
  // Release: what was read under the pin was read before. Pairs with the table's load of the pin.
  for (std::atomic<uint64_t>& pin : slot.pins) pin.store(0, std::memory_order_release);
  slot.wants_bell.store(0, std::memory_order_relaxed);
  slot.watches_log.store(0, std::memory_order_relaxed);
  SMALL_DB_KILL_POINT("slot: pins let go");
  uint64_t expected = claimed.holder.pack();
  // Pairs with slot_abandoned's load: the holder's last accesses come before the zeroing.
  slot.holder.compare_exchange_strong(expected, SlotHolder{0, claimed.holder.incarnation}.pack(),
                                      std::memory_order_acq_rel, std::memory_order_relaxed);
  SMALL_DB_KILL_POINT("slot: let go");
  ask_for_sweep(region);
}

bool slot_abandoned(Region region, uint32_t index) noexcept {
  const SlotHolder holder = slot_holder(region, index);  // pairs with release_slot
  if (holder.is_free()) return false;
  if (!holder.is_held()) return true;
  return !holder_lives(holder, region.slot(index).start_time.load(std::memory_order_relaxed));
}

void free_slot(Region region, uint32_t index) noexcept {
  Slot& slot = region.slot(index);
  const SlotHolder holder = slot_holder(region, index);
  if (holder.is_free()) return;
  // Leaving comes first: an owner that dies in the middle must not leave a held slot with half of
  // its positions, nor one whose start time is forgotten and whose pid another process has by then.
  // An exchange, since a plain store would not keep the zeroing behind it.
  slot.holder.exchange(SlotHolder{0, holder.incarnation}.pack(), std::memory_order_acq_rel);
  SMALL_DB_KILL_POINT("slot: leaving");
  zero_all_but_holder(slot);
  SMALL_DB_KILL_POINT("slot: zeroed");
  slot.holder.store(0, std::memory_order_release);  // pairs with the claim's compare-and-swap
}

uint32_t sweep_dead_slots(Region region) noexcept {
  uint32_t freed = 0;
  for (uint32_t i = 0; i < region.slot_count(); ++i) {
    if (!slot_abandoned(region, i)) continue;
    free_slot(region, i);
    ++freed;
  }
  return freed;
}

}  // namespace small_db
