#include "engine/table/tree_check.h"

#include <algorithm>

namespace small_db {

Status TreeCheck::run(const Tree& tree) {
  if (tree.root.is_null() != (tree.height == 0) || tree.height > kTreeHeightMax) {
    return {Code::kCorruption, "check: height"};
  }
  order_ = tree.order;
  return tree.height == 0 ? Status::ok() : check_node(tree.root, tree.height - 1, Fences());
}

Status TreeCheck::check_node(BlockRef ref, uint32_t level, const Fences& fences) {
  SMALL_DB_RETURN_IF_ERROR(visit_(ref));
  const Node* node = node_at(arena_, ref, level);
  if (node == nullptr || node->order != order_) return {Code::kCorruption, "check: node"};
  if (node->prefix_bytes != common_prefix_bytes(fences.low, fences.high)) {
    return {Code::kCorruption, "check: prefix"};
  }
  SMALL_DB_RETURN_IF_ERROR(check_entries(*node, fences));
  if (node->is_leaf()) return Status::ok();
  for (uint32_t i = 0; i <= node->count; ++i) {
    const Fences inner = {i == 0 ? fences.low : entry_key(arena_, *node, i - 1),
                          i == node->count ? fences.high : entry_key(arena_, *node, i)};
    SMALL_DB_RETURN_IF_ERROR(check_node(node->child(i), level - 1, inner));
  }
  return Status::ok();
}

Status TreeCheck::check_entries(const Node& node, const Fences& fences) {
  Bytes before = fences.low;
  for (uint32_t i = 0; i < node.count; ++i) {
    const bool is_owned = !node.is_leaf() || order_ == TreeOrder::kKey;
    if (is_owned) SMALL_DB_RETURN_IF_ERROR(visit_(node.holder(i)));
    const Bytes key = entry_key(arena_, node, i);
    if (key.empty() || key_head(key, node.prefix_bytes) != node.heads()[i]) {
      return {Code::kCorruption, "check: head"};
    }
    // The first key of a leaf may be its low fence.
    const int order = compare_bytes(before, key);
    if (order > 0 || (order == 0 && !(i == 0 && node.is_leaf()))) {
      return {Code::kCorruption, "check: order"};
    }
    if (!fences.high.empty() && compare_bytes(key, fences.high) >= 0) {
      return {Code::kCorruption, "check: fence"};
    }
    before = key;
    if (node.is_leaf()) SMALL_DB_RETURN_IF_ERROR(count_record(node.holder(i)));
  }
  return Status::ok();
}

Status TreeCheck::count_record(BlockRef ref) {
  const Result<StoredRecord> record = read_stored_record(arena_, ref);
  if (!record.is_ok()) return record.status();
  ++keys_;
  data_bytes_ += record.value().key.size() + record.value().value.bytes();
  const Hash128 hash = hash_of(record.value());
  content_.add(hash);
  const MutableBytes kept = kept_hash(arena_, ref, record.value());
  if (!kept.empty() && load<Hash128>(kept.data()) != hash &&
      load<Hash128>(kept.data()) != Hash128()) {
    return {Code::kCorruption, "check: kept hash"};
  }
  if (record.value().expires_at_ms != 0) expiring_.push_back(ref.word());
  return Status::ok();
}

std::vector<uint64_t> TreeCheck::expiring() const {
  std::vector<uint64_t> sorted = expiring_;
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

}  // namespace small_db
