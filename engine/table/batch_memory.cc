#include "engine/table/batch_memory.h"

#include <cstring>

#include "engine/base/kill_point.h"

namespace small_db {

BatchMemory::BatchMemory(Arena& arena, ArenaView view, Reclaimer& reclaimer)
    : arena_(arena), view_(view), reclaimer_(reclaimer) {
  reserve_.reserve(kReserveNodes);
}

void BatchMemory::refill() noexcept {
  while (!reserve_is_full()) {
    const BlockRef block = arena_.allocate(kNodeBytes);
    if (block.is_null()) return;
    reserve_.push_back(block);
  }
}

Node* BatchMemory::new_node(TreeOrder order, uint32_t level, BlockRef* ref) noexcept {
  *ref = take(kNodeBytes);
  auto* node = reinterpret_cast<Node*>(view_.at(*ref).data());
  std::memset(node, 0, kNodeHeaderBytes);
  node->birth = reclaimer_.open_batch();
  node->level = static_cast<uint8_t>(level);
  node->order = order;
  return node;
}

Node* BatchMemory::copy_node(const Node& node, BlockRef* ref) {
  const BlockRef old = *ref;
  *ref = take(kNodeBytes);
  auto* copy = reinterpret_cast<Node*>(view_.at(*ref).data());
  std::memcpy(copy, &node, sizeof(Node));
  SMALL_DB_KILL_POINT("node: copied under the old birth");
  copy->birth = reclaimer_.open_batch();
  retire_node(old, node);
  return copy;
}

BlockRef BatchMemory::new_separator(Bytes key) noexcept {
  const BlockRef block = arena_.allocate(kSeparatorHeaderBytes + key.size());
  if (!block.is_null()) write_separator(view_.at(block), reclaimer_.open_batch(), key);
  return block;
}

BlockRef BatchMemory::new_root_block() noexcept { return take(sizeof(RootBlock)); }

// A whole node block of the reserve stands in for what the arena has no room for.
BlockRef BatchMemory::take(size_t bytes) noexcept {
  BlockRef block = arena_.allocate(bytes);
  if (block.is_null()) {
    SMALL_DB_ASSERT(!reserve_.empty());
    block = reserve_.back();
    reserve_.pop_back();
  }
  return block;
}

}  // namespace small_db
