#include "engine/table/bulk_builder.h"

#include "engine/table/node_entries.h"

namespace small_db {

Status BulkBuilder::add(BlockRef record) {
  const Bytes key = record_key(memory_.view(), order_, record);
  if (!last_key_.empty() && compare_bytes(last_key_, key) >= 0) {
    return {Code::kCorruption, "tree: order of the loaded keys"};
  }
  if (leaf_count_ == kLeafFill) SMALL_DB_RETURN_IF_ERROR(close_leaf(key));
  leaf_[leaf_count_] = record;
  leaf_keys_[leaf_count_] = key;
  ++leaf_count_;
  last_key_ = key;
  return Status::ok();
}

Result<Tree> BulkBuilder::finish() {
  Tree tree;
  tree.order = order_;
  if (leaf_count_ == 0) return tree;
  SMALL_DB_RETURN_IF_ERROR(need_memory());
  tree.root = write_leaf(BlockRef());
  for (uint32_t level = 0; level < height_; ++level) {
    Level& top = levels_[level];
    top.children[top.count] = tree.root;
    tree.root = write_inner(level, top.count, BlockRef());
  }
  tree.height = 1 + height_;
  // What a load leaves must be enough for the deletes that make room again.
  SMALL_DB_RETURN_IF_ERROR(need_memory());
  return tree;
}

// Every node that is written with one leaf is covered: there are fewer levels than reserved nodes.
Status BulkBuilder::need_memory() noexcept {
  static_assert(kTreeHeightMax <= kReserveNodes);
  memory_.refill();
  return memory_.reserve_is_full() ? Status::ok() : Status(Code::kNoMemory, "tree: reserve");
}

// Writes the full leaf; `next_key` is the first of the one behind it.
Status BulkBuilder::close_leaf(Bytes next_key) {
  SMALL_DB_RETURN_IF_ERROR(need_memory());
  const size_t shared = common_prefix_bytes(last_key_, next_key);
  const BlockRef separator = memory_.new_separator(next_key.first(shared + 1));
  if (separator.is_null()) return {Code::kNoMemory, "tree: separator"};
  const BlockRef leaf = write_leaf(separator);
  leaf_low_ = separator;
  leaf_count_ = 0;
  return add_child(leaf, separator);
}

// Adds a leaf to the nodes above it, with the separator on its right.
Status BulkBuilder::add_child(BlockRef child, BlockRef separator) {
  for (uint32_t level = 0; level + 1 < kTreeHeightMax; ++level) {
    if (level == height_) ++height_;
    Level& open = levels_[level];
    open.children[open.count] = child;
    open.separators[open.count] = separator;
    ++open.count;
    if (open.count < kInnerFill + 2) return Status::ok();
    separator = open.separators[kInnerFill];
    child = write_inner(level, kInnerFill, separator);
    open.low = separator;
    open.children[0] = open.children[kInnerFill + 1];
    open.separators[0] = open.separators[kInnerFill + 1];
    open.count = 1;
  }
  return {Code::kCorruption, "tree: height"};
}

BlockRef BulkBuilder::write_leaf(BlockRef high) noexcept {
  BlockRef ref;
  Node* node = memory_.new_node(order_, 0, &ref);
  const size_t prefix = common_prefix_bytes(key_of(leaf_low_), key_of(high));
  node->count = static_cast<uint16_t>(leaf_count_);
  node->prefix_bytes = static_cast<uint16_t>(prefix);
  for (uint32_t i = 0; i < leaf_count_; ++i) {
    node->heads()[i] = key_head(leaf_keys_[i], prefix);
    node->holders()[i] = leaf_[i].word();
  }
  return ref;
}

// Writes the first `separators` of the open node, and the child to the right of each.
BlockRef BulkBuilder::write_inner(uint32_t level, uint32_t separators, BlockRef high) noexcept {
  const Level& open = levels_[level];
  BlockRef ref;
  Node* node = memory_.new_node(order_, level + 1, &ref);
  const size_t prefix = common_prefix_bytes(key_of(open.low), key_of(high));
  node->count = static_cast<uint16_t>(separators);
  node->prefix_bytes = static_cast<uint16_t>(prefix);
  for (uint32_t i = 0; i < separators; ++i) {
    node->heads()[i] = key_head(key_of(open.separators[i]), prefix);
    node->holders()[i] = open.separators[i].word();
  }
  for (uint32_t i = 0; i <= separators; ++i) node->children()[i] = open.children[i].word();
  return ref;
}

// Empty for none.
Bytes BulkBuilder::key_of(BlockRef separator) const noexcept {
  return separator_key(memory_.view(), separator);
}

}  // namespace small_db
