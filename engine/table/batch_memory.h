// What the open batch takes from the arena for the tree, and gives back. Commit thread only.
//
// A change of a tree must not fail half-way, so it starts only when a reserve of node blocks holds
// enough for all that it can copy and split: nodes come from the arena while it has any, then from
// the reserve. Separators are not in the reserve: what needs one takes it before it changes
// anything.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/table/arena.h"
#include "engine/table/node.h"
#include "engine/table/reclaimer.h"

namespace small_db {

inline constexpr size_t kReserveNodes = 104;

// Nodes that one put into a tree, or one erase, may take: a path is copied, and split or merged at
// every level, and the root may get a new one above it; one more is for the batch's own root block.
constexpr size_t nodes_for_change(uint32_t height) noexcept { return 2 * height + 2; }
static_assert(3 * nodes_for_change(kTreeHeightMax) <= kReserveNodes,
              "a put into both trees, and an erase of what it replaced; see trees.h");

class BatchMemory {
 public:
  BatchMemory(Arena& arena, ArenaView view, Reclaimer& reclaimer);

  // True for a block that may be changed in place; see reclaimer.h.
  bool is_own(uint64_t birth) const noexcept { return reclaimer_.is_own(birth); }
  ArenaView view() const noexcept { return view_; }

  // Fills the reserve up from the arena, as far as that has blocks.
  void refill() noexcept;
  bool reserve_is_full() const noexcept { return reserve_.size() == kReserveNodes; }
  bool reserve_holds(size_t nodes) const noexcept { return reserve_.size() >= nodes; }
  const std::vector<BlockRef>& reserve() const noexcept { return reserve_; }

  // The arena was emptied or marked anew: what the reserve held is no longer its own.
  void forget_reserve() noexcept { reserve_.clear(); }

  // An empty node of the open batch. REQUIRES: the arena or the reserve has one.
  Node* new_node(TreeOrder order, uint32_t level, BlockRef* ref) noexcept;

  // A copy of `node` that belongs to the open batch; the original, at *ref, is retired.
  Node* copy_node(const Node& node, BlockRef* ref);

  // A separator's block; null when the arena has no room.
  BlockRef new_separator(Bytes key) noexcept;

  // Room for a root. REQUIRES: as new_node.
  BlockRef new_root_block() noexcept;

  void retire_node(BlockRef ref, const Node& node) { reclaimer_.retire(ref, node.birth); }
  void retire_separator(BlockRef ref) { reclaimer_.retire(ref, separator_birth(view_.at(ref))); }

 private:
  BlockRef take(size_t bytes) noexcept;

  Arena& arena_;
  ArenaView view_;
  Reclaimer& reclaimer_;
  std::vector<BlockRef> reserve_;  // blocks of kNodeBytes
};

}  // namespace small_db
