// Decides when a block that the tree let go of can be given out again: when no reader can reach it
// any more. Commit thread only; all it knows is private to that process.
//
// Time is counted in batches. A block is born in one batch and dies in another, the first whose
// state does not reach it. A state, and the root that stands for it, has the number of the batch
// that made it; so a state b reaches the block when birth <= b < death. The block is free
//
//   1. at once, when it was born in the open batch: no state reaches it;
//   2. else when the state of `death`, or a later one, is published and so no reader can newly pin
//      one that reaches it, and no pinned root has a number in [birth, death).
//
// Garbage waits in order of death until rule 2's first half holds. What a pin then still blocks is
// parked under the oldest such pin, and looked at again when that pin is gone: a pin held for long
// costs nothing per batch, and holds back nothing that was born after it.
//
// A change within the open batch can be undone, so it counts as a batch until it is kept: it has a
// number of its own, and what was there before it is not free at once. What it let go of is freed
// when it is kept, as far as rule 1 goes. Numbers ascend from root to root, then, but not by one.
//
// Records carry revisions and not batches: a record's birth is taken to be the first live root that
// can reach it.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <vector>

#include "engine/shm/region.h"
#include "engine/table/record_writer.h"
#include "engine/table/root.h"

namespace small_db {

class Reclaimer {
 public:
  struct LiveRoot {
    BlockRef ref;
    uint64_t batch;
    uint64_t revision_max;  // of the records that it can reach
  };

  Reclaimer(Region region, RecordWriter& blocks) : region_(region), blocks_(blocks) {}

  // Forgets everything.
  void clear() noexcept;

  // A root that was sealed, or found. REQUIRES: batches ascend.
  void add_root(const LiveRoot& root) { roots_.push_back(root); }

  // A batch begins, or goes on, under this number.
  void begin_batch(uint64_t batch) noexcept { first_ = own_from_ = open_batch_ = batch; }
  // What puts and erases belong to now: the batch, or the change within it.
  uint64_t open_batch() const noexcept { return open_batch_; }
  // True for a block that only what is open reaches: it may be changed in place, and freed at once.
  bool is_own(uint64_t birth) const noexcept { return own_from_ <= birth && birth <= open_batch_; }

  // A change whose records have `revision`, a higher one than all before; then it is kept, or
  // undone: what it let go of is in use again.
  void begin_change(uint64_t revision) noexcept;
  void keep_change();
  void undo_change();

  // A tree of the open batch let go of the block.
  void retire(BlockRef block, uint64_t birth);

  // The newest state that reaches the block is `last`, an older one than the published.
  void retire_after(BlockRef block, uint64_t birth, uint64_t last);

  // Frees what rule 2 allows.
  void collect();

  // Makes the sealed roots that are not published unrecognisable. REQUIRES: they never will be.
  void break_unpublished_seals() noexcept;

  uint64_t birth_of_record(BlockRef record) const noexcept;

  // What readers pin now: references of roots, or of what was one; sorted.
  std::vector<uint64_t> pinned_words() const;

  // For tests: the roots that were not reclaimed, ascending; and all garbage.
  const std::vector<LiveRoot>& roots() const noexcept { return roots_; }
  template <typename Visit>
  void for_each_garbage(Visit&& visit) const;

 private:
  struct Garbage {
    BlockRef block;
    uint64_t birth;
    uint64_t death;
  };

  uint64_t published_batch() const noexcept;
  std::vector<uint64_t> pinned_batches() const;
  void drop_roots(uint64_t published);
  void break_seal(BlockRef root) noexcept;
  void free_or_park(const Garbage& garbage);
  void unpark();

  Region region_;
  RecordWriter& blocks_;
  uint64_t first_ = 0;     // number of the open batch
  uint64_t own_from_ = 0;  // the same, or that of the open change
  uint64_t open_batch_ = 0;
  uint64_t change_revision_ = 0;                     // 0: no change is open
  size_t waiting_before_ = 0;                        // length of waiting_ before the open change
  std::vector<LiveRoot> roots_;                      // by batch, ascending
  std::deque<Garbage> waiting_;                      // for a publication
  std::map<uint64_t, std::vector<Garbage>> parked_;  // by the batch of the pinned root
  std::vector<uint64_t> pinned_;  // batches of pinned roots at the last collect(), ascending
};

template <typename Visit>
void Reclaimer::for_each_garbage(Visit&& visit) const {
  for (const Garbage& garbage : waiting_) visit(garbage.block);
  for (const auto& [pin, parked] : parked_) {
    for (const Garbage& garbage : parked) visit(garbage.block);
  }
}

}  // namespace small_db
