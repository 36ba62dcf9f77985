#include "engine/table/cursor.h"

#include <algorithm>

namespace small_db {
namespace {

constexpr uint32_t kFetchedAhead = 8;  // records
constexpr size_t kFetchedBytesMax = 256;

}  // namespace

Status Cursor::seek(Bytes key) noexcept {
  valid_ = false;
  if (tree_.height == 0) return Status::ok();
  BlockRef ref = tree_.root;
  for (uint32_t depth = 0; depth < tree_.height; ++depth) {
    prefetch(arena_.at(ref), kNodeBytes);  // the search looks at many of its lines
    SMALL_DB_RETURN_IF_ERROR(enter(depth, ref));
    Step& step = steps_[depth];
    NodePosition position;
    if (!search_node(arena_, *step.node, key, &position)) {
      return Status(Code::kCorruption, "cursor: node");
    }
    step.index = step.node->is_leaf() ? position.index : position.child();
    if (!step.node->is_leaf()) ref = step.node->child(step.index);
  }
  valid_ = true;
  fetch_first_records();
  return leaf().index < leaf().node->count ? Status::ok() : climb(Edge::kFirst);
}

Status Cursor::seek_first() noexcept {
  valid_ = false;
  return tree_.height == 0 ? Status::ok() : descend(0, tree_.root, Edge::kFirst);
}

Status Cursor::seek_last() noexcept {
  valid_ = false;
  return tree_.height == 0 ? Status::ok() : descend(0, tree_.root, Edge::kLast);
}

Status Cursor::next() noexcept {
  SMALL_DB_ASSERT(valid_);
  if (++leaf().index < leaf().node->count) return Status::ok();
  return climb(Edge::kFirst);
}

Status Cursor::previous() noexcept {
  SMALL_DB_ASSERT(valid_);
  if (leaf().index-- > 0) return Status::ok();
  return climb(Edge::kLast);
}

BlockRef Cursor::record_ref() const noexcept {
  SMALL_DB_ASSERT(valid_);
  return leaf().node->holder(leaf().index);
}

// Whoever reads one record reads those behind it, too, and each lies elsewhere: the processor
// fetches a later one meanwhile, and the next leaf.
Result<StoredRecord> Cursor::record() const noexcept {
  SMALL_DB_ASSERT(valid_);
  const uint32_t later = leaf().index + kFetchedAhead;
  if (later < leaf().node->count) {
    prefetch(arena_.at(leaf().node->holder(later)), kFetchedBytesMax);
  } else if (later == leaf().node->count) {
    fetch_next_leaf();
  }
  return read_stored_record(arena_, record_ref());
}

void Cursor::fetch_first_records() const noexcept {
  const Node& node = *leaf().node;
  const uint32_t end = std::min<uint32_t>(node.count, leaf().index + kFetchedAhead);
  for (uint32_t i = leaf().index; i < end; ++i)
    prefetch(arena_.at(node.holder(i)), kFetchedBytesMax);
}

// Unless it hangs below another node.
void Cursor::fetch_next_leaf() const noexcept {
  if (tree_.height < 2) return;
  const Step& above = steps_[tree_.height - 2];
  if (above.index == above.node->count) return;
  prefetch(arena_.at(above.node->child(above.index + 1)), kNodeBytes);
}

Status Cursor::enter(uint32_t depth, BlockRef ref) noexcept {
  if (tree_.height > kTreeHeightMax) return Status(Code::kCorruption, "cursor: height");
  steps_[depth] = {node_at(arena_, ref, tree_.level(depth)), 0};
  if (steps_[depth].node == nullptr) return Status(Code::kCorruption, "cursor: node");
  return Status::ok();
}

// Down from `ref` to the first or last record below it.
Status Cursor::descend(uint32_t depth, BlockRef ref, Edge edge) noexcept {
  valid_ = false;
  for (; depth < tree_.height; ++depth) {
    SMALL_DB_RETURN_IF_ERROR(enter(depth, ref));
    Step& step = steps_[depth];
    const uint32_t places = step.node->count + (step.node->is_leaf() ? 0 : 1);
    step.index = edge == Edge::kFirst ? 0 : places - 1;
    if (!step.node->is_leaf()) ref = step.node->child(step.index);
  }
  valid_ = true;
  if (edge == Edge::kFirst) fetch_first_records();
  return Status::ok();
}

// From the end of a leaf to the near edge of the neighbour: kFirst of the next one, kLast of the
// one before.
Status Cursor::climb(Edge edge) noexcept {
  valid_ = false;
  for (uint32_t depth = tree_.height - 1; depth-- > 0;) {
    Step& step = steps_[depth];
    const bool at_end = edge == Edge::kFirst ? step.index == step.node->count : step.index == 0;
    if (at_end) continue;
    step.index += edge == Edge::kFirst ? 1 : -1;
    return descend(depth + 1, step.node->child(step.index), edge);
  }
  return Status::ok();
}

}  // namespace small_db
