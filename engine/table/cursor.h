// Walks a tree's records in key order, in both directions. Any process, one thread, on a tree that
// does not change meanwhile: that of a snapshot, or the writer's between two changes.
//
//   for (status = cursor.seek(from); status.is_ok() && cursor.is_valid(); status = cursor.next())
//
// A step past either end is no error: the cursor is not valid then, and stays so until it seeks.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/status.h"
#include "engine/table/tree.h"

namespace small_db {

class Cursor {
 public:
  Cursor(ArenaView arena, const Tree& tree) noexcept : arena_(arena), tree_(tree) {}

  // To the first record whose key is not less than `key`. Errors of these: kCorruption.
  Status seek(Bytes key) noexcept;
  Status seek_first() noexcept;
  Status seek_last() noexcept;

  // REQUIRES: is_valid().
  Status next() noexcept;
  Status previous() noexcept;

  bool is_valid() const noexcept { return valid_; }

  // REQUIRES for both: is_valid().
  BlockRef record_ref() const noexcept;
  Result<StoredRecord> record() const noexcept;

 private:
  enum class Edge { kFirst, kLast };

  struct Step {
    const Node* node;
    uint32_t index;  // of the child, or of the record in the leaf
  };

  Status enter(uint32_t depth, BlockRef ref) noexcept;
  Status descend(uint32_t depth, BlockRef ref, Edge edge) noexcept;
  Status climb(Edge edge) noexcept;
  void fetch_first_records() const noexcept;
  void fetch_next_leaf() const noexcept;
  Step& leaf() noexcept { return steps_[tree_.height - 1]; }
  const Step& leaf() const noexcept { return steps_[tree_.height - 1]; }

  ArenaView arena_;
  Tree tree_;
  bool valid_ = false;
  std::array<Step, kTreeHeightMax> steps_{};  // from the root down; tree_.height of them
};

}  // namespace small_db
