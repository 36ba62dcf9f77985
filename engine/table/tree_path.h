// The way from a tree's root to the leaf where a key belongs, for a change on it. Writer only.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/status.h"
#include "engine/table/batch_memory.h"
#include "engine/table/node_entries.h"
#include "engine/table/tree.h"

namespace small_db {

class TreePath {
 public:
  struct Step {
    BlockRef ref;
    Node* node;
    uint32_t index;  // of the child that the path takes; in the leaf, the key's place
  };

  TreePath(BatchMemory& memory, Tree& tree) noexcept : memory_(memory), tree_(tree) {}

  // Errors: kCorruption.
  Status descend(Bytes key) noexcept;

  bool found() const noexcept { return found_; }  // the leaf has that very key
  uint32_t leaf_depth() const noexcept { return tree_.height - 1; }
  Step& leaf() noexcept { return steps_[leaf_depth()]; }
  Step& operator[](uint32_t depth) noexcept { return steps_[depth]; }

  // Copies the nodes that do not belong to the open batch, and links the copies.
  void make_writable();

  // Fences of child `child` of the path's node at `depth`, and of that node itself.
  Fences child_fences(uint32_t depth, uint32_t child) const noexcept {
    return {low_fence(depth, child), high_fence(depth, child)};
  }
  Fences fences(uint32_t depth) const noexcept {
    return depth == 0 ? Fences() : child_fences(depth - 1, steps_[depth - 1].index);
  }

 private:
  Bytes low_fence(uint32_t depth, uint32_t child) const noexcept;
  Bytes high_fence(uint32_t depth, uint32_t child) const noexcept;

  BatchMemory& memory_;
  Tree& tree_;
  bool found_ = false;
  std::array<Step, kTreeHeightMax> steps_;  // from the root down; tree_.height of them
};

}  // namespace small_db
