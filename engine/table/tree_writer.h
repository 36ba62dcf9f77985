// Changes of a tree, within what is open: nodes born in that are changed in place, others copied.
// The states of former batches stay whole. Commit thread only.
//
// Errors: kNoMemory, and nothing was changed; kCorruption, and the tree's state is undefined: the
// region must be cleared and loaded.
#pragma once

#include "engine/base/status.h"
#include "engine/table/batch_memory.h"
#include "engine/table/tree.h"

namespace small_db {

// Makes `record` the one with its key. *replaced: the one that was, or null; the caller retires it.
Status put_in_tree(BatchMemory& memory, Tree& tree, Bytes key, BlockRef record, BlockRef* replaced);

// Takes the record with that key out. *removed: the record, or null when there was none; the caller
// retires it.
Status erase_from_tree(BatchMemory& memory, Tree& tree, Bytes key, BlockRef* removed);

}  // namespace small_db
