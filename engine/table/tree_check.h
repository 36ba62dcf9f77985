// For tests: that a tree is what node.h says, rule by rule.
#pragma once

#include <cstdint>
#include <functional>
#include <vector>

#include "engine/base/status.h"
#include "engine/table/node_entries.h"
#include "engine/table/tree.h"

namespace small_db {

class TreeCheck {
 public:
  // visit: called with each block that is the tree's own, extents apart: a tree by expiry owns no
  // records.
  TreeCheck(ArenaView arena, std::function<Status(BlockRef)> visit)
      : arena_(arena), visit_(std::move(visit)) {}

  // Errors: kCorruption when a rule is broken; what `visit` returns.
  Status run(const Tree& tree);

  uint64_t keys() const noexcept { return keys_; }
  uint64_t data_bytes() const noexcept { return data_bytes_; }
  const Hash128& content() const noexcept { return content_.value(); }
  // The records with an expiry, in order of their references.
  std::vector<uint64_t> expiring() const;

 private:
  Status check_node(BlockRef ref, uint32_t level, const Fences& fences);
  Status check_entries(const Node& node, const Fences& fences);
  Status count_record(BlockRef ref);

  ArenaView arena_;
  std::function<Status(BlockRef)> visit_;
  uint64_t keys_ = 0;
  uint64_t data_bytes_ = 0;
  ContentHash content_;
  TreeOrder order_ = TreeOrder::kKey;
  std::vector<uint64_t> expiring_;
};

}  // namespace small_db
