// A root: one committed state of the table, immutable once published. The published root's
// reference is the one word that makes a batch visible; everything that must become true together
// with it stands here.
#pragma once

#include <cstdint>

#include "engine/record/content_hash.h"
#include "engine/table/memory.h"
#include "engine/table/tree.h"

namespace small_db {

// Where the log stood before the root's batch was written: an owner that takes the region over
// reads on from there, and finds the batch's own frame first.
struct LogPosition {
  uint64_t generation = 0;    // logfile.N
  uint64_t frame_offset = 0;  // of the frame before; equal to end_offset: there was none
  uint64_t end_offset = 0;    // behind that frame
  uint64_t revision = 0;      // the last before the batch
  uint32_t chain = 0;         // that the batch's frame states
  uint32_t reserved = 0;
};

struct Root {
  uint64_t revision = 0;     // last revision that this state contains; 0: empty from the start
  uint64_t tree = 0;         // BlockRef of the key tree's root node; 0: empty
  uint64_t expiry_tree = 0;  // the same for the tree by expiry; 0: empty
  uint64_t keys = 0;
  uint64_t data_bytes = 0;  // keys and values
  Hash128 content;          // hash of the state (content_hash.h)
  uint64_t epoch = 0;
  uint32_t tree_height = 0;  // levels of nodes; 0: empty, 1: the root is a leaf
  uint32_t expiry_tree_height = 0;
  LogPosition log;

  Tree by_key() const noexcept { return {BlockRef::from_word(tree), tree_height, TreeOrder::kKey}; }
  Tree by_expiry() const noexcept {
    return {BlockRef::from_word(expiry_tree), expiry_tree_height, TreeOrder::kExpiry};
  }
};

// A root as it lies in the arena. The seal makes a reference to anything else recognisable: a new
// owner must tell a pin that a reader holds from one that a stopped reader is about to take back.
// It is broken before the first block that only this root reaches is freed.
struct RootBlock {
  Root root;
  uint64_t batch = 0;  // number of the batch that made it: they ascend; 0 is never used
  uint64_t seal = 0;   // root_seal() of the block's own reference
};

inline constexpr uint64_t root_seal(BlockRef ref) noexcept {
  return ref.word() ^ 0x544f4f5242445353;  // "SSDBROOT"
}

// The root at `ref`, or nullptr when there is none.
inline const RootBlock* root_at(ArenaView arena, BlockRef ref) noexcept {
  const MutableBytes block = arena.at(ref);
  if (block.size() < sizeof(RootBlock)) return nullptr;
  const auto* root = reinterpret_cast<const RootBlock*>(block.data());
  return root->seal == root_seal(ref) ? root : nullptr;
}

}  // namespace small_db
