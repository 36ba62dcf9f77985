// Which committed states the pins of all processes hold, as anyone may look at them: how far a
// stopped or slow reader lies behind, and so what keeps memory from being used again.
#pragma once

#include <cstdint>

#include "engine/shm/region.h"

namespace small_db {

struct HeldStates {
  uint32_t pins = 0;             // that hold a state now
  uint64_t oldest_revision = 0;  // last revision of the oldest such state; 0 when there is none
};

// Looks at every slot's pins. A pin that changes meanwhile is counted or not. Any process.
HeldStates look_at_held_states(const Region& region) noexcept;

}  // namespace small_db
