// How a process reads the table: pin the published root, find, copy, let go. No lock, no system
// call, no waiting; what is pinned stays as it is for as long as the pin is held, which delays the
// reuse of memory and nothing else.
//
// Architecture invariant: a reader reads nothing of a root before it has seen that the root was
// still published after its pin was set. So the writer, which looks at pins after it has seen a
// newer root published, frees nothing that a reader reads; and a pin that its reader has not
// confirmed may hold any old reference.
#pragma once

#include <cstdint>

#include "engine/base/status.h"
#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/table/cursor.h"
#include "engine/table/memory.h"
#include "engine/table/root.h"
#include "engine/table/stored_record.h"

namespace small_db {

// The pins of one slot, handed out within its process. One thread; must outlive its snapshots.
class SlotPins {
 public:
  // REQUIRES: the calling process holds the slot.
  SlotPins(Region region, uint32_t slot) noexcept;
  SlotPins(const SlotPins&) = delete;
  SlotPins& operator=(const SlotPins&) = delete;

 private:
  friend class Snapshot;
  static_assert(kPinsPerSlot == 32, "one bit of a word for each");

  Region region_;
  Slot* slot_;
  uint32_t free_ = UINT32_MAX;  // a bit for each pin that can be handed out
};

// One committed state, held by a pin until destroyed. What is found in it points into the arena.
class Snapshot {
 public:
  // Errors: kUnavailable when nothing is published; kOverloaded when all pins of the slot are
  // taken; kCorruption.
  static Result<Snapshot> take(SlotPins& pins) noexcept;

  Snapshot(Snapshot&& other) noexcept;
  Snapshot& operator=(Snapshot&& other) noexcept;
  Snapshot(const Snapshot&) = delete;
  Snapshot& operator=(const Snapshot&) = delete;
  ~Snapshot() { let_go(); }

  const Root& root() const noexcept { return *root_; }

  // Errors: kNotFound; kCorruption.
  Result<StoredRecord> find(Bytes key) const noexcept;

  // All records in key order; must not outlive the snapshot.
  Cursor cursor() const noexcept { return Cursor(arena_, tree_); }

  // Those that expire, the earliest first; the same. It seeks by keys as of expiry_key().
  Cursor expiry_cursor() const noexcept { return Cursor(arena_, root_->by_expiry()); }

 private:
  Snapshot(SlotPins& pins, uint32_t pin) noexcept : pins_(&pins), pin_(pin) {}
  void let_go() noexcept;

  SlotPins* pins_;  // nullptr: moved from
  uint32_t pin_;
  ArenaView arena_;
  Tree tree_;
  const Root* root_ = nullptr;
};

}  // namespace small_db
