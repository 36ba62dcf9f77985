#include "engine/table/trees.h"

#include "engine/table/tree_writer.h"

namespace small_db {
namespace {

// Takes `record` out of the tree by expiry, if it expires. The nodes for that are there.
Status forget_expiry(BatchMemory& memory, Trees& trees, BlockRef record) {
  const Bytes key = stored_expiry_key(memory.view(), record);
  if (key.empty()) return Status::ok();
  BlockRef removed;
  SMALL_DB_RETURN_IF_ERROR(erase_from_tree(memory, trees.by_expiry, key, &removed));
  return removed == record ? Status::ok() : Status(Code::kCorruption, "trees: expiry");
}

}  // namespace

// A put that needs a split may find no room for its separator. In the tree by key that means that
// there was no such key, and so it was new in the tree by expiry too: taking it out there restores
// what was. All else needs nodes only, for which the reserve is enough.
Status put_in_trees(BatchMemory& memory, Trees& trees, BlockRef record, BlockRef* replaced) {
  *replaced = BlockRef();
  const ArenaView view = memory.view();
  BlockRef same_expiry;  // the former record, when it stood at the same place by expiry
  const Bytes by_expiry = stored_expiry_key(view, record);
  if (!by_expiry.empty()) {
    SMALL_DB_RETURN_IF_ERROR(put_in_tree(memory, trees.by_expiry, by_expiry, record, &same_expiry));
  }
  const Status status =
      put_in_tree(memory, trees.by_key, stored_key(view, record), record, replaced);
  if (status.code() == Code::kNoMemory) {
    SMALL_DB_RETURN_IF_ERROR(forget_expiry(memory, trees, record));
  }
  if (!status.is_ok()) return status;
  if (!same_expiry.is_null()) {
    return same_expiry == *replaced ? Status::ok() : Status(Code::kCorruption, "trees: expiry");
  }
  if (replaced->is_null() || trees.by_expiry.height == 0) return Status::ok();
  return forget_expiry(memory, trees, *replaced);
}

Status erase_from_trees(BatchMemory& memory, Trees& trees, Bytes key, BlockRef* removed) {
  *removed = BlockRef();
  if (!memory.reserve_holds(nodes_for_erase(trees))) return {Code::kNoMemory, "trees: reserve"};
  SMALL_DB_RETURN_IF_ERROR(erase_from_tree(memory, trees.by_key, key, removed));
  if (removed->is_null() || trees.by_expiry.height == 0) return Status::ok();
  return forget_expiry(memory, trees, *removed);
}

}  // namespace small_db
