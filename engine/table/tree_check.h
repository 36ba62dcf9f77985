// For tests: that a tree is what node.h says, rule by rule.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/base/status.h"
#include "engine/table/node_entries.h"
#include "engine/table/tree.h"

namespace small_db {

class TreeCheck {
 public:
  // visit: called with each block that the tree reaches, extents apart.
  TreeCheck(ArenaView arena, std::function<Status(BlockRef)> visit)
      : arena_(arena), visit_(std::move(visit)) {}

  // Errors: kCorruption when a rule is broken; what `visit` returns.
  Status run(const Tree& tree);

  uint64_t keys() const noexcept { return keys_; }
  uint64_t data_bytes() const noexcept { return data_bytes_; }

 private:
  Status check_node(BlockRef ref, uint32_t level, const Fences& fences);
  Status check_entries(const Node& node, const Fences& fences);

  ArenaView arena_;
  std::function<Status(BlockRef)> visit_;
  uint64_t keys_ = 0;
  uint64_t data_bytes_ = 0;
};

}  // namespace small_db
