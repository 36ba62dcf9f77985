// Takes records out of a tree, and joins the nodes that have become too empty with a neighbour.
//
// An inner node always keeps at least one separator, hence two children: so an empty leaf has a
// neighbour under the same parent that can take over its range. Nothing here needs memory but the
// copies of the path's nodes and of one neighbour per level.
#include "engine/table/tree_path.h"
#include "engine/table/tree_writer.h"

namespace small_db {
namespace {

bool is_too_empty(const Node& node) noexcept { return node.count < node.capacity() / 3; }

class Erase {
 public:
  Erase(BatchMemory& memory, Tree& tree) noexcept
      : memory_(memory), tree_(tree), path_(memory, tree) {}

  Status run(Bytes key, BlockRef* removed) {
    SMALL_DB_RETURN_IF_ERROR(path_.descend(key));
    if (!memory_.reserve_holds(nodes_for_change(tree_.height))) {
      return {Code::kNoMemory, "tree: reserve"};
    }
    if (!path_.found()) return Status::ok();
    path_.make_writable();
    TreePath::Step& leaf = path_.leaf();
    *removed = leaf.node->holder(leaf.index);
    remove_entry(*leaf.node, leaf.index);
    SMALL_DB_RETURN_IF_ERROR(join_upwards());
    shrink();
    return Status::ok();
  }

 private:
  // Two neighbours under the path's node at depth - 1; the path goes through one of them.
  struct Pair {
    uint32_t separator;      // index of what stands between them
    uint32_t sibling_index;  // of the child that the path does not take
    BlockRef sibling;
    Node* sibling_node;
  };

  Status join_upwards();
  Status join(uint32_t depth, bool* parent_lost_one);
  bool find_pair(uint32_t depth, uint32_t separator, Pair* pair) noexcept;
  bool fits_in_one(uint32_t depth, const Pair& pair) noexcept;
  void gather(uint32_t depth, const Pair& pair, NodeEntries* entries) noexcept;
  Status merge(uint32_t depth, const Pair& pair);
  Status share(uint32_t depth, Pair pair);
  void shrink();

  BatchMemory& memory_;
  Tree& tree_;
  TreePath path_;
};

Status Erase::join_upwards() {
  bool lost_one = true;
  for (uint32_t depth = path_.leaf_depth(); depth > 0 && lost_one; --depth) {
    if (!is_too_empty(*path_[depth].node)) return Status::ok();
    SMALL_DB_RETURN_IF_ERROR(join(depth, &lost_one));
  }
  return Status::ok();
}

// Merges the node at `depth` with a neighbour, if the two leave room to grow in one. If not, inner
// nodes share what they have; leaves stay as they are, since another separator would need memory.
Status Erase::join(uint32_t depth, bool* parent_lost_one) {
  const TreePath::Step& parent = path_[depth - 1];
  Pair pairs[2];
  uint32_t count = 0;
  for (const uint32_t separator : {parent.index, parent.index - 1}) {
    if (separator >= parent.node->count) continue;  // no neighbour on that side
    if (!find_pair(depth, separator, &pairs[count])) return {Code::kCorruption, "tree: node"};
    if (fits_in_one(depth, pairs[count])) return merge(depth, pairs[count]);
    ++count;
  }
  *parent_lost_one = false;
  if (count == 0) return {Code::kCorruption, "tree: only child"};
  return path_[depth].node->is_leaf() ? Status::ok() : share(depth, pairs[0]);
}

bool Erase::find_pair(uint32_t depth, uint32_t separator, Pair* pair) noexcept {
  const TreePath::Step& parent = path_[depth - 1];
  pair->separator = separator;
  pair->sibling_index = separator == parent.index ? separator + 1 : separator;
  pair->sibling = parent.node->child(pair->sibling_index);
  pair->sibling_node = node_at(memory_.view(), pair->sibling, path_[depth].node->level);
  return pair->sibling_node != nullptr;
}

bool Erase::fits_in_one(uint32_t depth, const Pair& pair) noexcept {
  const Node& node = *path_[depth].node;
  const uint32_t together = node.count + pair.sibling_node->count + (node.is_leaf() ? 0 : 1);
  return together <= node.capacity() * 3 / 4 || (node.is_leaf() && node.count == 0);
}

void Erase::gather(uint32_t depth, const Pair& pair, NodeEntries* entries) noexcept {
  const TreePath::Step& parent = path_[depth - 1];
  const Node& node = *path_[depth].node;
  const bool sibling_is_left = pair.sibling_index < parent.index;
  entries->append(sibling_is_left ? *pair.sibling_node : node);
  if (!node.is_leaf()) entries->append_separator(parent.node->holder(pair.separator));
  entries->append(sibling_is_left ? node : *pair.sibling_node);
}

Status Erase::merge(uint32_t depth, const Pair& pair) {
  const TreePath::Step& step = path_[depth];
  TreePath::Step& parent = path_[depth - 1];
  NodeEntries entries(memory_.view());
  gather(depth, pair, &entries);
  const Fences fences{path_.child_fences(depth - 1, pair.separator).low,
                      path_.child_fences(depth - 1, pair.separator + 1).high};
  SMALL_DB_RETURN_IF_ERROR(entries.write(*step.node, fences, 0, entries.count()));

  const BlockRef separator = parent.node->holder(pair.separator);
  parent.node->children()[pair.separator] = step.ref.word();
  remove_entry(*parent.node, pair.separator);
  parent.index = pair.separator;
  memory_.retire_node(pair.sibling, *pair.sibling_node);
  if (step.node->is_leaf()) memory_.retire_separator(separator);  // else it moved down
  return Status::ok();
}

// Divides the separators and children of two inner nodes evenly.
Status Erase::share(uint32_t depth, Pair pair) {
  TreePath::Step& parent = path_[depth - 1];
  if (!memory_.is_own(pair.sibling_node->birth)) {
    pair.sibling_node = memory_.copy_node(*pair.sibling_node, &pair.sibling);
    parent.node->children()[pair.sibling_index] = pair.sibling.word();
  }
  NodeEntries entries(memory_.view());
  gather(depth, pair, &entries);
  const uint32_t cut = entries.count() / 2;
  const Bytes middle = entries.key(cut);
  const Bytes low = path_.child_fences(depth - 1, pair.separator).low;
  const Bytes high = path_.child_fences(depth - 1, pair.separator + 1).high;
  const bool sibling_is_left = pair.sibling_index < parent.index;
  Node& left = sibling_is_left ? *pair.sibling_node : *path_[depth].node;
  Node& right = sibling_is_left ? *path_[depth].node : *pair.sibling_node;
  SMALL_DB_RETURN_IF_ERROR(entries.write(left, {low, middle}, 0, cut));
  SMALL_DB_RETURN_IF_ERROR(
      entries.write(right, {middle, high}, cut + 1, entries.count() - cut - 1));
  if (middle.size() < parent.node->prefix_bytes) return {Code::kCorruption, "tree: separator"};
  parent.node->holders()[pair.separator] = entries.holder(cut).word();
  parent.node->heads()[pair.separator] = key_head(middle, parent.node->prefix_bytes);
  return Status::ok();
}

// A root without entries gives way to its only child, or to no tree at all.
void Erase::shrink() {
  const TreePath::Step& root = path_[0];
  if (root.node->count != 0) return;
  tree_.root = root.node->is_leaf() ? BlockRef() : root.node->child(0);
  --tree_.height;
  memory_.retire_node(root.ref, *root.node);
}

}  // namespace

Status erase_from_tree(BatchMemory& memory, Tree& tree, Bytes key, BlockRef* removed) {
  *removed = BlockRef();
  return Erase(memory, tree).run(key, removed);
}

}  // namespace small_db
