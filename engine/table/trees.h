// A state's two trees of the same records, kept in step: all by key, and those that expire by the
// time of that. Within the open batch; commit thread only.
//
// A record belongs to the tree by key, which hands it out to be retired; the tree by expiry only
// refers to it. Nodes and separators are each tree's own.
//
// Errors: kNoMemory, and nothing was changed; kCorruption, and the state is undefined: the region
// must be cleared and loaded.
#pragma once

#include "engine/base/status.h"
#include "engine/table/batch_memory.h"
#include "engine/table/tree.h"

namespace small_db {

struct Trees {
  Tree by_key;
  Tree by_expiry{BlockRef(), 0, TreeOrder::kExpiry};
};

// Nodes that an erase from both may take; a put may take those of a third change.
constexpr size_t nodes_for_erase(const Trees& trees) noexcept {
  const bool any_expire = trees.by_expiry.height != 0;
  return nodes_for_change(trees.by_key.height) +
         (any_expire ? nodes_for_change(trees.by_expiry.height) : 0);
}

// Makes `record` the one with its key. *replaced: the one that was, or null; the caller retires it.
// REQUIRES: the reserve is full.
Status put_in_trees(BatchMemory& memory, Trees& trees, BlockRef record, BlockRef* replaced);

// Takes the record with that key out. *removed: the record, or null when there was none; the caller
// retires it.
Status erase_from_trees(BatchMemory& memory, Trees& trees, Bytes key, BlockRef* removed);

}  // namespace small_db
