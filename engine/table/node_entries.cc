#include "engine/table/node_entries.h"

#include <algorithm>

#include "engine/table/stored_record.h"

namespace small_db {
namespace {

template <typename Array>
void insert_word(Array& words, uint32_t count, uint32_t index, uint64_t word) noexcept {
  std::copy_backward(words.begin() + index, words.begin() + count, words.begin() + count + 1);
  words[index] = word;
}

}  // namespace

size_t common_prefix_bytes(Bytes left, Bytes right) noexcept {
  const size_t shorter = std::min(left.size(), right.size());
  const auto differ = std::mismatch(left.begin(), left.begin() + shorter, right.begin());
  return differ.first - left.begin();
}

void NodeEntries::append(const Node& node) noexcept {
  SMALL_DB_ASSERT(count_ + node.count <= kCountMax);
  if (count_ != 0 && prefix_bytes_ != node.prefix_bytes) heads_agree_ = false;
  level_ = node.level;
  order_ = node.order;
  prefix_bytes_ = node.prefix_bytes;
  std::copy_n(node.heads(), node.count, heads_.begin() + count_);
  std::copy_n(node.holders(), node.count, holders_.begin() + count_);
  if (!node.is_leaf()) {
    std::copy_n(node.children(), node.count + 1, children_.begin() + count_);
  }
  count_ += node.count;
}

void NodeEntries::append_separator(BlockRef separator) noexcept {
  SMALL_DB_ASSERT(count_ < kCountMax);
  heads_agree_ = false;
  holders_[count_++] = separator.word();
}

void NodeEntries::insert(uint32_t index, Bytes key, BlockRef holder, BlockRef child) noexcept {
  SMALL_DB_ASSERT(count_ < kCountMax);
  insert_word(heads_, count_, index, key_head(key, prefix_bytes_));
  insert_word(holders_, count_, index, holder.word());
  if (level_ != 0) insert_word(children_, count_ + 1, index + 1, child.word());
  ++count_;
}

Bytes NodeEntries::key(uint32_t index) const noexcept {
  return holder_key(arena_, order_, level_, holder(index));
}

Status NodeEntries::write(Node& node, const Fences& fences, uint32_t first,
                          uint32_t count) const noexcept {
  const size_t prefix = common_prefix_bytes(fences.low, fences.high);
  node.level = level_;
  node.count = static_cast<uint16_t>(count);
  node.prefix_bytes = static_cast<uint16_t>(prefix);
  std::copy_n(holders_.begin() + first, count, node.holders());
  if (level_ != 0) std::copy_n(children_.begin() + first, count + 1, node.children());
  if (heads_agree_ && prefix == prefix_bytes_) {
    std::copy_n(heads_.begin() + first, count, node.heads());
    return Status::ok();
  }
  for (uint32_t i = 0; i < count; ++i) {
    const Bytes entry = key(first + i);
    if (entry.empty() || entry.size() < prefix) return {Code::kCorruption, "tree: entry"};
    node.heads()[i] = key_head(entry, prefix);
  }
  return Status::ok();
}

}  // namespace small_db
