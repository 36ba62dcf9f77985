// Builds a tree bottom-up from records in its order, ascending: each node is written once,
// filled to nine tenths, from left to right. Within the open batch; commit thread only.
//
// A node is written when the key that bounds it from above is known. A level that gets no further
// separator ends with what it has; an inner node is cut only when one more separator is left for
// the node behind it, so that none stays without.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/status.h"
#include "engine/table/batch_memory.h"
#include "engine/table/tree.h"

namespace small_db {

class BulkBuilder {
 public:
  BulkBuilder(BatchMemory& memory, TreeOrder order) noexcept : memory_(memory), order_(order) {}

  // Adds a record of the arena. Errors: kCorruption when its key is not above the one before (the
  // record is not taken); kNoMemory. REQUIRES: the record can be read.
  Status add(BlockRef record);

  // Ends with the tree of all that was added. Errors: kNoMemory.
  Result<Tree> finish();

 private:
  static constexpr uint32_t kLeafFill = kLeafCapacity * 9 / 10;
  static constexpr uint32_t kInnerFill = kInnerCapacity * 9 / 10;

  // The open node of an inner level: children, each with the separator on its right.
  struct Level {
    uint32_t count = 0;
    BlockRef low;  // the separator that bounds the node from below; null: none
    std::array<BlockRef, kInnerFill + 2> separators;
    std::array<BlockRef, kInnerFill + 2> children;
  };

  Status close_leaf(Bytes next_key);
  Status add_child(BlockRef child, BlockRef separator);
  BlockRef write_leaf(BlockRef high) noexcept;
  BlockRef write_inner(uint32_t level, uint32_t separators, BlockRef high) noexcept;
  Bytes key_of(BlockRef separator) const noexcept;
  Status need_memory() noexcept;

  BatchMemory& memory_;
  TreeOrder order_;
  Bytes last_key_;
  uint32_t leaf_count_ = 0;
  BlockRef leaf_low_;
  std::array<BlockRef, kLeafFill> leaf_;
  std::array<Bytes, kLeafFill> leaf_keys_;
  uint32_t height_ = 0;                       // of inner levels in use
  std::array<Level, kTreeHeightMax> levels_;  // levels_[0] is above the leaves
};

}  // namespace small_db
