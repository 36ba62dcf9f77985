// A tree of nodes (node.h) as anyone sees it: where its root node is, and how to find a key.
#pragma once

#include <cstdint>

#include "engine/base/status.h"
#include "engine/table/memory.h"
#include "engine/table/node.h"
#include "engine/table/stored_record.h"

namespace small_db {

struct Tree {
  BlockRef root;        // null: empty
  uint32_t height = 0;  // levels of nodes; 0: empty, 1: the root is a leaf
  TreeOrder order = TreeOrder::kKey;

  // Level of the nodes `depth` steps below the root.
  uint32_t level(uint32_t depth) const noexcept { return height - 1 - depth; }
};

// The record with that key of the tree's order. Any process, on a tree that does not change
// meanwhile. Errors: kNotFound; kCorruption.
Result<BlockRef> find_in_tree(ArenaView arena, const Tree& tree, Bytes key) noexcept;

// The same, read.
Result<StoredRecord> find_record(ArenaView arena, const Tree& tree, Bytes key) noexcept;

}  // namespace small_db
