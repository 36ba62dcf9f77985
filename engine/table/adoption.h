// Rebuilds the writer's private knowledge from the region: marks what the published root and the
// pinned older ones reach, and retires what only the older ones reach. Commit thread of a new
// owner, or of one that rolls back; readers go on meanwhile, and pins may be dropped.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/status.h"
#include "engine/table/arena.h"
#include "engine/table/reclaimer.h"
#include "engine/table/root.h"

namespace small_db {

class Adoption {
 public:
  Adoption(ArenaView view, Arena& arena, Reclaimer& reclaimer) noexcept
      : view_(view), arena_(arena), reclaimer_(reclaimer) {}

  // REQUIRES: the arena is being marked, the reclaimer is empty.
  // Errors: kCorruption; arena and reclaimer are of no use then.
  Status run(BlockRef published_ref, const RootBlock& published);

 private:
  struct FoundRoot {
    BlockRef ref;
    const RootBlock* block;
  };

  std::vector<FoundRoot> find_roots(BlockRef published_ref, const RootBlock& published) const;
  Status mark_root(const FoundRoot& root);
  Status mark_tree(const Tree& tree);
  Status mark_node(BlockRef ref, TreeOrder order, uint32_t level);
  Status mark_holders(const Node& node);
  Status check_marked(const Node& leaf);
  Status mark_extents(BlockRef record);
  Status mark(BlockRef block, bool* is_new);
  void retire_if_old(BlockRef block, uint64_t birth);

  ArenaView view_;
  Arena& arena_;
  Reclaimer& reclaimer_;
  uint64_t published_batch_ = 0;
  uint64_t marking_batch_ = 0;  // of the root whose tree is being marked
};

}  // namespace small_db
