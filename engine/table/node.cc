#include "engine/table/node.h"

#include <algorithm>

#include "engine/table/stored_record.h"

namespace small_db {
namespace {

constexpr size_t kSeparatorLengthOffset = sizeof(uint64_t);
// Of a record: its header, its key, and a small value, which whoever found it reads next.
constexpr size_t kHolderBytesUsed = 256;

void insert_word(uint64_t* words, uint32_t count, uint32_t index, uint64_t word) noexcept {
  std::copy_backward(words + index, words + count, words + count + 1);
  words[index] = word;
}

void remove_word(uint64_t* words, uint32_t count, uint32_t index) noexcept {
  std::copy(words + index + 1, words + count, words + index);
}

// The first of `count` ascending heads that is not less than `head`. Without a branch that depends
// on the heads: a mispredicted one costs more than the comparison.
uint32_t first_not_less(const uint64_t* heads, uint32_t count, uint64_t head) noexcept {
  const uint64_t* from = heads;
  while (count > 1) {
    const uint32_t half = count / 2;
    from += from[half - 1] < head ? half : 0;
    count -= half;
  }
  return static_cast<uint32_t>(from - heads) + (count == 1 && *from < head ? 1 : 0);
}

}  // namespace

void write_separator(MutableBytes block, uint64_t birth, Bytes key) noexcept {
  store(block.data(), birth);
  store(block.data() + kSeparatorLengthOffset, static_cast<uint16_t>(key.size()));
  copy_bytes(block.data() + kSeparatorHeaderBytes, key);
}

uint64_t separator_birth(Bytes block) noexcept { return load<uint64_t>(block.data()); }

Node* node_at(ArenaView arena, BlockRef ref, uint32_t level) noexcept {
  const MutableBytes block = arena.at(ref);
  if (block.size() != kNodeBytes) return nullptr;
  auto* node = reinterpret_cast<Node*>(block.data());
  if (node->level != level || node->count == 0 || node->count > node->capacity()) return nullptr;
  return node;
}

Bytes separator_key(ArenaView arena, BlockRef separator) noexcept {
  const Bytes block = arena.at(separator);
  if (block.size() < kSeparatorHeaderBytes) return {};
  const size_t key_bytes = load<uint16_t>(block.data() + kSeparatorLengthOffset);
  if (kSeparatorHeaderBytes + key_bytes > block.size()) return {};
  return block.subspan(kSeparatorHeaderBytes, key_bytes);
}

Bytes record_key(ArenaView arena, TreeOrder order, BlockRef record) noexcept {
  return order == TreeOrder::kKey ? stored_key(arena, record) : stored_expiry_key(arena, record);
}

Bytes holder_key(ArenaView arena, TreeOrder order, uint32_t level, BlockRef holder) noexcept {
  return level == 0 ? record_key(arena, order, holder) : separator_key(arena, holder);
}

uint64_t key_head(Bytes key, size_t prefix_bytes) noexcept {
  if (prefix_bytes >= key.size()) return 0;
  const Bytes rest = key.subspan(prefix_bytes);
  uint64_t head = 0;
  if (rest.size() >= sizeof(head)) {
    head = load<uint64_t>(rest.data());
  } else {
    copy_bytes(reinterpret_cast<std::byte*>(&head), rest);
  }
  return __builtin_bswap64(head);
}

bool search_node(ArenaView arena, const Node& node, Bytes key, NodePosition* position) noexcept {
  const size_t prefix = node.prefix_bytes;
  if (key.size() < prefix) return false;
  const uint64_t* heads = node.heads();
  const uint64_t head = key_head(key, prefix);
  uint32_t low = first_not_less(heads, node.count, head);
  uint32_t high = low;
  while (high < node.count && heads[high] == head) ++high;
  *position = {low, false};
  while (low < high) {
    const uint32_t middle = low + (high - low) / 2;
    prefetch(arena.at(node.holder(middle)), kHolderBytesUsed);
    const Bytes other = entry_key(arena, node, middle);
    if (other.size() < prefix || other.empty()) return false;
    const int order = compare_bytes(key.subspan(prefix), other.subspan(prefix));
    if (order == 0) {
      *position = {middle, true};
      return true;
    }
    if (order > 0) {
      low = middle + 1;
    } else {
      high = middle;
    }
    position->index = low;
  }
  return true;
}

void insert_entry(Node& node, uint32_t index, uint64_t head, BlockRef holder,
                  BlockRef child) noexcept {
  insert_word(node.heads(), node.count, index, head);
  insert_word(node.holders(), node.count, index, holder.word());
  if (!node.is_leaf()) insert_word(node.children(), node.count + 1U, index + 1, child.word());
  ++node.count;
}

void remove_entry(Node& node, uint32_t index) noexcept {
  remove_word(node.heads(), node.count, index);
  remove_word(node.holders(), node.count, index);
  if (!node.is_leaf()) remove_word(node.children(), node.count + 1U, index + 1);
  --node.count;
}

}  // namespace small_db
