#include "engine/table/held_states.h"

#include <algorithm>

#include "engine/shm/slot.h"
#include "engine/table/root.h"

namespace small_db {

HeldStates look_at_held_states(const Region& region) noexcept {
  const ArenaView arena(region.arena());
  HeldStates held;
  for (uint32_t slot = 0; slot < region.slot_count(); ++slot) {
    for (const std::atomic<uint64_t>& pin : region.slot(slot).pins) {
      const uint64_t word = pin.load(std::memory_order_acquire);
      if (word == 0) continue;
      const RootBlock* block = root_at(arena, BlockRef::from_word(word));
      if (block == nullptr) continue;  // a reader is about to take it back
      // Acquires, so that the pin is looked at afterwards.
      const uint64_t revision = __atomic_load_n(&block->root.revision, __ATOMIC_ACQUIRE);
      // Let go meanwhile: the block may have been something else already.
      if (pin.load(std::memory_order_relaxed) != word) continue;
      held.oldest_revision = held.pins == 0 ? revision : std::min(held.oldest_revision, revision);
      ++held.pins;
    }
  }
  return held;
}

}  // namespace small_db
