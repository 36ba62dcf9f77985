#include "engine/table/tree.h"

namespace small_db {

Result<BlockRef> find_in_tree(ArenaView arena, const Tree& tree, Bytes key) noexcept {
  if (tree.height > kTreeHeightMax) return Status(Code::kCorruption, "tree: height");
  BlockRef ref = tree.root;
  for (uint32_t depth = 0; depth < tree.height; ++depth) {
    prefetch(arena.at(ref), kNodeBytes);
    const Node* node = node_at(arena, ref, tree.level(depth));
    NodePosition position;
    if (node == nullptr || !search_node(arena, *node, key, &position)) {
      return Status(Code::kCorruption, "tree: node");
    }
    if (!node->is_leaf()) {
      ref = node->child(position.child());
    } else if (position.exact) {
      return node->holder(position.index);
    }
  }
  return Status(Code::kNotFound, "tree: find");
}

Result<StoredRecord> find_record(ArenaView arena, const Tree& tree, Bytes key) noexcept {
  const Result<BlockRef> ref = find_in_tree(arena, tree, key);
  if (!ref.is_ok()) return ref.status();
  return read_stored_record(arena, ref.value());
}

}  // namespace small_db
