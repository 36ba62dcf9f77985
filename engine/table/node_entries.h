// The entries of one node, or of two neighbours, taken out so that they can be divided anew: for
// splits and merges. Writer only.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/status.h"
#include "engine/table/node.h"

namespace small_db {

// The keys that bound a node from below (inclusive) and above (exclusive); empty: it has no bound,
// since no separator is empty.
struct Fences {
  Bytes low;
  Bytes high;
};

size_t common_prefix_bytes(Bytes left, Bytes right) noexcept;

class NodeEntries {
 public:
  explicit NodeEntries(ArenaView arena) noexcept : arena_(arena) {}

  // Adds all that `node` has, behind what is there. REQUIRES: nodes of one level; between two inner
  // ones, the separator that stood between them.
  void append(const Node& node) noexcept;
  void append_separator(BlockRef separator) noexcept;

  // Adds one entry; `child` is the one to its right, in an inner node.
  void insert(uint32_t index, Bytes key, BlockRef holder, BlockRef child = BlockRef()) noexcept;

  uint32_t count() const noexcept { return count_; }
  BlockRef holder(uint32_t index) const noexcept { return BlockRef::from_word(holders_[index]); }
  // Empty when the entry's holder makes no sense.
  Bytes key(uint32_t index) const noexcept;

  // Makes `node`, of the same order, hold entries [first, first + count), bounded by `fences`.
  // Errors: kCorruption when a key makes no sense; the node is half written then.
  Status write(Node& node, const Fences& fences, uint32_t first, uint32_t count) const noexcept;

 private:
  static constexpr uint32_t kCountMax = kLeafCapacity + 1;
  static_assert(kInnerCapacity + 1 + kInnerCapacity / 3 <= kCountMax, "what share() joins");

  ArenaView arena_;
  uint32_t count_ = 0;
  uint8_t level_ = 0;
  TreeOrder order_ = TreeOrder::kKey;
  size_t prefix_bytes_ = 0;  // what the heads come after
  bool heads_agree_ = true;  // false: nodes with different prefixes were put together
  std::array<uint64_t, kCountMax> heads_;
  std::array<uint64_t, kCountMax> holders_;
  std::array<uint64_t, kCountMax + 1> children_;
};

}  // namespace small_db
