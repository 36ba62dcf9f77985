// Puts into a tree, and the splits that they need.
#include "engine/base/kill_point.h"
#include "engine/table/tree_path.h"
#include "engine/table/tree_writer.h"

namespace small_db {
namespace {

// An entry for a parent: the node that a split made, and what separates it from the one on its
// left.
struct NewSibling {
  BlockRef separator;
  BlockRef node;
};

class Put {
 public:
  Put(BatchMemory& memory, Tree& tree, Bytes key, BlockRef record) noexcept
      : memory_(memory), tree_(tree), path_(memory, tree), key_(key), record_(record) {}

  Status run(BlockRef* replaced) {
    SMALL_DB_RETURN_IF_ERROR(path_.descend(key_));
    if (!memory_.reserve_holds(nodes_for_change(tree_.height))) {
      return {Code::kNoMemory, "tree: reserve"};
    }
    if (tree_.height == 0) return plant();
    if (path_.found()) return replace(replaced);
    return path_.leaf().node->count == kLeafCapacity ? insert_and_split() : insert();
  }

 private:
  Status plant() {
    Node* leaf = memory_.new_node(tree_.order, 0, &tree_.root);
    tree_.height = 1;
    insert_entry(*leaf, 0, key_head(key_, 0), record_);
    return Status::ok();
  }

  Status replace(BlockRef* replaced) {
    path_.make_writable();
    TreePath::Step& leaf = path_.leaf();
    *replaced = leaf.node->holder(leaf.index);
    leaf.node->holders()[leaf.index] = record_.word();
    return Status::ok();
  }

  Status insert() {
    path_.make_writable();
    TreePath::Step& leaf = path_.leaf();
    insert_entry(*leaf.node, leaf.index, key_head(key_, leaf.node->prefix_bytes), record_);
    return Status::ok();
  }

  Status insert_and_split();
  Status split_inner(uint32_t depth, NewSibling* sibling);
  Status add_sibling(uint32_t below, NewSibling sibling);
  void grow(NewSibling sibling);

  BatchMemory& memory_;
  Tree& tree_;
  TreePath path_;
  Bytes key_;
  BlockRef record_;
};

// How many of a full leaf's entries and the new one, at `index`, stay on the left. Ascending keys
// leave full leaves behind them, and so do descending ones; any others meet in the middle.
uint32_t leaf_cut(uint32_t index) noexcept {
  if (index == kLeafCapacity) return kLeafCapacity;
  if (index == 0) return 1;
  return (kLeafCapacity + 1) / 2;
}

// The separator that moves up when a full inner node gets one more, at `index`. Each side keeps at
// least one.
uint32_t inner_cut(uint32_t index) noexcept {
  if (index == kInnerCapacity) return kInnerCapacity - 1;
  if (index == 0) return 1;
  return (kInnerCapacity + 1) / 2;
}

Status Put::insert_and_split() {
  const uint32_t depth = path_.leaf_depth();
  NodeEntries entries(memory_.view());
  entries.append(*path_.leaf().node);
  entries.insert(path_.leaf().index, key_, record_);
  const uint32_t cut = leaf_cut(path_.leaf().index);
  const Bytes left_key = entries.key(cut - 1);
  const Bytes right_key = entries.key(cut);
  const size_t shared = common_prefix_bytes(left_key, right_key);
  if (shared >= right_key.size()) return {Code::kCorruption, "tree: order"};

  NewSibling right;
  right.separator = memory_.new_separator(right_key.first(shared + 1));
  if (right.separator.is_null()) return {Code::kNoMemory, "tree: separator"};
  path_.make_writable();
  Node* right_node = memory_.new_node(tree_.order, 0, &right.node);
  const Fences fences = path_.fences(depth);
  const Bytes middle = right_key.first(shared + 1);
  SMALL_DB_RETURN_IF_ERROR(entries.write(*path_.leaf().node, {fences.low, middle}, 0, cut));
  SMALL_DB_KILL_POINT("node: leaf half split");
  SMALL_DB_RETURN_IF_ERROR(
      entries.write(*right_node, {middle, fences.high}, cut, entries.count() - cut));
  return add_sibling(depth, right);
}

// Adds `sibling`, which is to the right of the path's node at `below`, to the nodes above that.
Status Put::add_sibling(uint32_t below, NewSibling sibling) {
  for (uint32_t depth = below; depth-- > 0;) {
    TreePath::Step& step = path_[depth];
    if (step.node->count < kInnerCapacity) {
      const Bytes key = separator_key(memory_.view(), sibling.separator);
      insert_entry(*step.node, step.index, key_head(key, step.node->prefix_bytes),
                   sibling.separator, sibling.node);
      return Status::ok();
    }
    SMALL_DB_RETURN_IF_ERROR(split_inner(depth, &sibling));
  }
  if (tree_.height == kTreeHeightMax) return {Code::kCorruption, "tree: height"};
  grow(sibling);
  return Status::ok();
}

// Adds *sibling to the full node at `depth` and splits it; *sibling is then what is to be added
// above.
Status Put::split_inner(uint32_t depth, NewSibling* sibling) {
  TreePath::Step& step = path_[depth];
  NodeEntries entries(memory_.view());
  entries.append(*step.node);
  entries.insert(step.index, separator_key(memory_.view(), sibling->separator), sibling->separator,
                 sibling->node);
  const uint32_t cut = inner_cut(step.index);
  const Bytes middle = entries.key(cut);
  const Fences fences = path_.fences(depth);
  BlockRef right;
  Node* right_node = memory_.new_node(tree_.order, step.node->level, &right);
  SMALL_DB_RETURN_IF_ERROR(entries.write(*step.node, {fences.low, middle}, 0, cut));
  SMALL_DB_RETURN_IF_ERROR(
      entries.write(*right_node, {middle, fences.high}, cut + 1, entries.count() - cut - 1));
  *sibling = {entries.holder(cut), right};
  return Status::ok();
}

void Put::grow(NewSibling sibling) {
  const BlockRef left = tree_.root;
  Node* root = memory_.new_node(tree_.order, tree_.height, &tree_.root);
  ++tree_.height;
  root->children()[0] = left.word();
  const Bytes key = separator_key(memory_.view(), sibling.separator);
  insert_entry(*root, 0, key_head(key, 0), sibling.separator, sibling.node);
}

}  // namespace

Status put_in_tree(BatchMemory& memory, Tree& tree, Bytes key, BlockRef record,
                   BlockRef* replaced) {
  *replaced = BlockRef();
  return Put(memory, tree, key, record).run(replaced);
}

}  // namespace small_db
