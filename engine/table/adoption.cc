#include "engine/table/adoption.h"

#include <algorithm>

namespace small_db {

// Newest first: then what is not marked yet when a root's turn comes is reached by no newer one.
// Roots are known to the reclaimer before that, since births of records are found by them.
Status Adoption::run(BlockRef published_ref, const RootBlock& published) {
  published_batch_ = published.batch;
  const std::vector<FoundRoot> roots = find_roots(published_ref, published);
  for (const FoundRoot& root : roots) {
    reclaimer_.add_root({root.ref, root.block->batch, root.block->root.revision});
  }
  for (auto root = roots.rbegin(); root != roots.rend(); ++root) {
    SMALL_DB_RETURN_IF_ERROR(mark_root(*root));
  }
  return Status::ok();
}

// Ascending by batch. A pinned word that is no root's is one that its reader is about to take back.
std::vector<Adoption::FoundRoot> Adoption::find_roots(BlockRef published_ref,
                                                      const RootBlock& published) const {
  std::vector<uint64_t> words = reclaimer_.pinned_words();
  words.erase(std::unique(words.begin(), words.end()), words.end());
  std::vector<FoundRoot> roots;
  for (const uint64_t word : words) {
    const BlockRef ref = BlockRef::from_word(word);
    const RootBlock* block = root_at(view_, ref);
    if (block != nullptr && block->batch < published.batch) roots.push_back({ref, block});
  }
  std::sort(roots.begin(), roots.end(), [](const FoundRoot& left, const FoundRoot& right) {
    return left.block->batch < right.block->batch;
  });
  roots.push_back({published_ref, &published});
  return roots;
}

Status Adoption::mark_root(const FoundRoot& root) {
  marking_batch_ = root.block->batch;
  bool is_new = false;
  SMALL_DB_RETURN_IF_ERROR(mark(root.ref, &is_new));
  if (!is_new) return {Code::kCorruption, "adopt: root"};
  SMALL_DB_RETURN_IF_ERROR(mark_tree(root.block->root.by_key()));
  return mark_tree(root.block->root.by_expiry());
}

Status Adoption::mark_tree(const Tree& tree) {
  if (tree.height > kTreeHeightMax) return {Code::kCorruption, "adopt: height"};
  return tree.height == 0 ? Status::ok() : mark_node(tree.root, tree.order, tree.height - 1);
}

// A node that is marked already is a newer tree's too, and all below it.
Status Adoption::mark_node(BlockRef ref, TreeOrder order, uint32_t level) {
  bool is_new = false;
  SMALL_DB_RETURN_IF_ERROR(mark(ref, &is_new));
  if (!is_new) return Status::ok();
  const Node* node = node_at(view_, ref, level);
  if (node == nullptr || node->order != order) return {Code::kCorruption, "adopt: node"};
  retire_if_old(ref, node->birth);
  if (node->is_leaf() && order == TreeOrder::kExpiry) return check_marked(*node);
  SMALL_DB_RETURN_IF_ERROR(mark_holders(*node));
  if (node->is_leaf()) return Status::ok();
  for (uint32_t i = 0; i <= node->count; ++i) {
    SMALL_DB_RETURN_IF_ERROR(mark_node(node->child(i), order, level - 1));
  }
  return Status::ok();
}

Status Adoption::mark_holders(const Node& node) {
  for (uint32_t i = 0; i < node.count; ++i) {
    const BlockRef holder = node.holder(i);
    bool is_new = false;
    SMALL_DB_RETURN_IF_ERROR(mark(holder, &is_new));
    if (!is_new) continue;
    if (holder.has_extents()) SMALL_DB_RETURN_IF_ERROR(mark_extents(holder));
    if (marking_batch_ == published_batch_) continue;  // spares touching the holder
    retire_if_old(holder, node.is_leaf() ? reclaimer_.birth_of_record(holder)
                                         : separator_birth(view_.at(holder)));
  }
  return Status::ok();
}

// The records by expiry are the tree's by key, which comes first.
Status Adoption::check_marked(const Node& leaf) {
  for (uint32_t i = 0; i < leaf.count; ++i) {
    bool is_new = false;
    SMALL_DB_RETURN_IF_ERROR(mark(leaf.holder(i), &is_new));
    if (is_new) return {Code::kCorruption, "adopt: expiry"};
  }
  return Status::ok();
}

Status Adoption::mark_extents(BlockRef ref) {
  const Result<StoredRecord> record = read_stored_record(view_, ref);
  if (!record.is_ok()) return record.status();
  Status status;
  SMALL_DB_RETURN_IF_ERROR(record.value().value.for_each_extent([&](BlockRef extent) {
    if (arena_.mark(extent) != MarkResult::kMarked) {
      status = Status(Code::kCorruption, "adopt: extent");
    }
  }));
  return status;
}

Status Adoption::mark(BlockRef block, bool* is_new) {
  const MarkResult result = arena_.mark(block);
  if (result == MarkResult::kInvalid) return {Code::kCorruption, "adopt: reference"};
  *is_new = result == MarkResult::kMarked;
  return Status::ok();
}

void Adoption::retire_if_old(BlockRef block, uint64_t birth) {
  if (marking_batch_ != published_batch_) reclaimer_.retire_after(block, birth, marking_batch_);
}

}  // namespace small_db
