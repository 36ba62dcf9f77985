// How a process reads the table: pin the published root, find, copy, let go. No lock, no system
// call, no waiting; what is pinned stays as it is for as long as the pin is held, which delays the
// reuse of memory and nothing else.
#pragma once

#include <optional>

#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/table/memory.h"
#include "engine/table/root.h"

namespace small_db {

// A value in the arena: one piece, or extents in order. Valid while its snapshot is held.
class StoredValue {
 public:
  size_t bytes() const noexcept;
  // Calls visit(Bytes) for each piece in order. Errors: kCorruption when a piece lies outside of
  // the arena.
  template <typename Visit>
  Status for_each_piece(Visit&& visit) const;
  // Copies the whole value. REQUIRES: room for bytes().
  Status copy_to(std::byte* to) const noexcept;
};

struct StoredRecord {
  uint64_t revision = 0;
  uint64_t expires_at_ms = 0;
  Bytes key;
  StoredValue value;
};

// The pins of one slot, handed out within its process. One thread.
class SlotPins {
 public:
  SlotPins(Region region, uint32_t slot) noexcept;

 private:
  friend class Snapshot;
};

// One committed state, held by a pin until destroyed.
class Snapshot {
 public:
  // Errors: kUnavailable when nothing is published; kOverloaded when all pins of the slot are
  // taken.
  static Result<Snapshot> take(SlotPins& pins) noexcept;
  const Root& root() const noexcept;
  // Errors: kNotFound; kCorruption.
  Result<StoredRecord> find(Bytes key) const noexcept;
};

}  // namespace small_db
