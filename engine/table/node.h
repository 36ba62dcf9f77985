// A node of the tree: 2 KiB, searched without touching anything else but on a tie.
//
//   header (16 bytes)
//   leaf    heads × 127 | records × 127
//   inner   heads × 84  | separators × 84 | children × 85
//
// 1. All keys that can be in a node lie between its two fences: the separators that bound it in the
//    nodes above. So they share the fences' common prefix, which the node's searcher skips. A node
//    at the edge of the tree has only one fence, and no prefix.
// 2. An entry's head is the 8 bytes of its key after the prefix, zero padded, as a big-endian
//    number: where two heads differ, they order as the keys do. Where they tie, the keys decide.
// 3. Inner: the keys below children[i] are less than separator i, those below children[i + 1] are
//    not. A separator is the shortest key that separates the leaves it was made for. It is a block
//    of its own: nodes that split and merge hand it on, without needing memory.
// 4. A node that was born in the open batch belongs to the writer; any other is immutable.
// 5. All nodes of a tree are of its order. In that by expiry, a record's key is its expiry time and
//    its key, and only records that expire are there; see stored_record.h.
//
// Whoever reads a node checks it, in any process; see node_at.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/table/memory.h"

namespace small_db {

inline constexpr uint32_t kLeafCapacity = 127;
inline constexpr uint32_t kInnerCapacity = 84;
inline constexpr uint32_t kNodeHeaderBytes = 16;
inline constexpr uint32_t kNodeWords = (kNodeBytes - kNodeHeaderBytes) / sizeof(uint64_t);
inline constexpr uint32_t kTreeHeightMax = 16;

static_assert(2 * kLeafCapacity <= kNodeWords && 3 * kInnerCapacity + 1 <= kNodeWords);

// What a tree orders its records by.
enum class TreeOrder : uint8_t {
  kKey = 0,
  kExpiry = 1,
};

struct Node {
  uint64_t birth;         // number of the batch that made it; see reclaimer.h
  uint16_t count;         // entries: records, or separators
  uint16_t prefix_bytes;  // of rule 1
  uint8_t level;          // 0: leaf
  TreeOrder order;        // of rule 5; read only to find the keys of records
  uint8_t reserved[2];
  uint64_t words[kNodeWords];

  bool is_leaf() const noexcept { return level == 0; }
  uint32_t capacity() const noexcept { return is_leaf() ? kLeafCapacity : kInnerCapacity; }

  uint64_t* heads() noexcept { return words; }
  const uint64_t* heads() const noexcept { return words; }
  // What holds each entry's key: BlockRefs of records in a leaf, of separators in an inner node.
  uint64_t* holders() noexcept { return words + capacity(); }
  const uint64_t* holders() const noexcept { return words + capacity(); }
  BlockRef holder(uint32_t index) const noexcept { return BlockRef::from_word(holders()[index]); }
  // Inner nodes only: count + 1 of them.
  uint64_t* children() noexcept { return words + 2 * kInnerCapacity; }
  const uint64_t* children() const noexcept { return words + 2 * kInnerCapacity; }
  BlockRef child(uint32_t index) const noexcept { return BlockRef::from_word(children()[index]); }
};
static_assert(sizeof(Node) == kNodeBytes);

// A separator's block: birth (8 bytes), key length (2 bytes), key.
inline constexpr size_t kSeparatorHeaderBytes = 10;
void write_separator(MutableBytes block, uint64_t birth, Bytes key) noexcept;
uint64_t separator_birth(Bytes block) noexcept;  // REQUIRES: a separator's block

// The node at `ref`, or nullptr when there is none of that level, or it contradicts itself.
Node* node_at(ArenaView arena, BlockRef ref, uint32_t level) noexcept;

// The key in a separator's block; empty when it makes no sense.
Bytes separator_key(ArenaView arena, BlockRef separator) noexcept;

// The key by which a record stands in a tree of that order; empty when it makes no sense.
Bytes record_key(ArenaView arena, TreeOrder order, BlockRef record) noexcept;

// The key in a holder of a node of that order and level; empty when the holder makes no sense.
Bytes holder_key(ArenaView arena, TreeOrder order, uint32_t level, BlockRef holder) noexcept;

// The same of entry `index`. REQUIRES: index < node.count.
inline Bytes entry_key(ArenaView arena, const Node& node, uint32_t index) noexcept {
  return holder_key(arena, node.order, node.level, node.holder(index));
}

// Rule 2; 0 when the key is not longer than the prefix.
uint64_t key_head(Bytes key, size_t prefix_bytes) noexcept;

struct NodePosition {
  uint32_t index = 0;  // of the first entry whose key is not less than the one sought
  bool exact = false;  // its key is the one sought

  uint32_t child() const noexcept { return index + (exact ? 1 : 0); }  // in an inner node
};

// False when the node and its keys contradict each other.
bool search_node(ArenaView arena, const Node& node, Bytes key, NodePosition* position) noexcept;

// REQUIRES for both: room, or an entry, and a node of the open batch. `child` is the one to the
// right of the entry; a leaf has none.
void insert_entry(Node& node, uint32_t index, uint64_t head, BlockRef holder,
                  BlockRef child = BlockRef()) noexcept;
void remove_entry(Node& node, uint32_t index) noexcept;

}  // namespace small_db
