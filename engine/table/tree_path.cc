#include "engine/table/tree_path.h"

namespace small_db {

Status TreePath::descend(Bytes key) noexcept {
  if (tree_.height > kTreeHeightMax) return Status(Code::kCorruption, "tree: height");
  BlockRef ref = tree_.root;
  for (uint32_t depth = 0; depth < tree_.height; ++depth) {
    prefetch(memory_.view().at(ref), kNodeBytes);
    Node* node = node_at(memory_.view(), ref, tree_.level(depth));
    NodePosition position;
    if (node == nullptr || !search_node(memory_.view(), *node, key, &position)) {
      return Status(Code::kCorruption, "tree: node");
    }
    found_ = position.exact;
    steps_[depth] = {ref, node, node->is_leaf() ? position.index : position.child()};
    if (!node->is_leaf()) ref = node->child(position.child());
  }
  return Status::ok();
}

void TreePath::make_writable() {
  for (uint32_t depth = 0; depth < tree_.height; ++depth) {
    Step& step = steps_[depth];
    if (memory_.is_own(step.node->birth)) continue;
    step.node = memory_.copy_node(*step.node, &step.ref);
    if (depth == 0) {
      tree_.root = step.ref;
    } else {
      const Step& parent = steps_[depth - 1];
      parent.node->children()[parent.index] = step.ref.word();
    }
  }
}

Bytes TreePath::low_fence(uint32_t depth, uint32_t child) const noexcept {
  while (child == 0) {
    if (depth == 0) return {};
    child = steps_[--depth].index;
  }
  return entry_key(memory_.view(), *steps_[depth].node, child - 1);
}

Bytes TreePath::high_fence(uint32_t depth, uint32_t child) const noexcept {
  while (child == steps_[depth].node->count) {
    if (depth == 0) return {};
    child = steps_[--depth].index;
  }
  return entry_key(memory_.view(), *steps_[depth].node, child);
}

}  // namespace small_db
