// Decides when a block that the tree let go of can be given out again: when no reader can reach it
// any more. Commit thread only; all it knows is private to that process.
//
// Time is counted in batches. A block is born in one batch and dies in another, the first whose
// state does not reach it. A state, and the root that stands for it, has the number of the batch
// that made it; so a state b reaches the block when birth <= b < death. The block is free
//
//   1. at once, when birth and death are the open batch: no state reaches it;
//   2. else when the state of `death`, or a later one, is published and so no reader can newly pin
//      one that reaches it, and no pinned root has a number in [birth, death).
//
// Garbage waits in order of death until rule 2's first half holds. What a pin then still blocks is
// parked under the oldest such pin, and looked at again when that pin is gone: a pin held for long
// costs nothing per batch, and holds back nothing that was born after it.
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

  // The batch that puts and erases belong to now.
  void open_batch(uint64_t batch) noexcept { open_batch_ = batch; }

  // The tree of the open batch let go of the block.
  void retire(BlockRef block, uint64_t birth);
  void retire_record(BlockRef record) { retire(record, birth_of_record(record)); }

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
  uint64_t open_batch_ = 0;
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
