// A root: one committed state of the table, immutable once published. The published root's
// reference is the one word that makes a batch visible; everything that must become true together
// with it stands here.
#pragma once

#include <cstdint>

#include "engine/table/memory.h"

namespace small_db {

// Where the log stood when the root's batch was written, so that an owner that takes the region
// over reads on from there.
struct LogPosition {
  uint64_t generation = 0;  // logfile.N
  uint64_t frame_offset =
      0;  // start of the frame that made this root; equal to end_offset when there was none
  uint64_t end_offset = 0;  // where the next frame goes
  uint32_t chain_crc = 0;   // header CRC of that frame, the chain value of the next one
  uint32_t reserved = 0;
};

struct Root {
  uint64_t revision = 0;     // last revision that this state contains; 0: empty from the start
  uint64_t tree = 0;         // BlockRef of the key tree's root node; 0: empty
  uint64_t expiry_tree = 0;  // the same for the tree by expiry; 0: empty
  uint64_t keys = 0;
  uint64_t data_bytes = 0;  // keys and values
  uint64_t epoch = 0;
  uint32_t tree_height = 0;  // levels of nodes; 0: empty, 1: the root is a leaf
  uint32_t expiry_tree_height = 0;
  LogPosition log;
};

}  // namespace small_db
