// Builds both trees of a state bottom-up, from records in ascending order of their keys. Within the
// open batch; commit thread only.
//
// Those that expire are noted on the way, 16 bytes each of the process's own memory, and sorted at
// the end: putting them into the tree one by one would take many times as long.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/status.h"
#include "engine/table/bulk_builder.h"
#include "engine/table/trees.h"

namespace small_db {

class BulkLoad {
 public:
  explicit BulkLoad(BatchMemory& memory) noexcept
      : memory_(memory), by_key_(memory, TreeOrder::kKey) {}

  // Adds a record of the arena; expires_at_ms is its own, 0 for none. Errors: kCorruption when its
  // key is not above the one before (the record is not taken); kNoMemory.
  Status add(BlockRef record, uint64_t expires_at_ms);

  // Ends with the trees of all that was added. Errors: kNoMemory.
  Result<Trees> finish();

 private:
  struct Expiring {
    uint64_t expires_at_ms;
    BlockRef record;
  };

  Result<Tree> build_by_expiry();

  BatchMemory& memory_;
  BulkBuilder by_key_;
  std::vector<Expiring> expiring_;
};

}  // namespace small_db
