// The table as its one writer sees it. The writer builds the next state beside the published one,
// never in it, and hands a sealed batch's root to whoever made it durable.
//
//   begin_batch ─▶ put / erase … ─▶ seal_batch ─▶ (durable) publish_root
//                                       └─▶ (failed) rollback
//
// Up to two batches may be sealed and not yet published. All calls run in the owner's commit
// thread, but for publish_root.
#pragma once

#include "engine/shm/region.h"
#include "engine/table/reader.h"

namespace small_db {

class Table {
 public:
  explicit Table(Region region);

  // Empties the arena; nothing is published. For loading from disk. REQUIRES: no process holds a
  // pin.
  void clear();

  // Makes the writer agree with the region's published root, and with the roots that pins still
  // hold, after another process wrote it: marks what they reach and frees the rest. Time grows with
  // nodes, not with values. Errors: kCorruption when references make no sense; the region must then
  // be cleared and loaded.
  Status adopt();

  // Starts a batch whose first request has revision `first_revision`, and frees what no root needs
  // any more.
  void begin_batch(uint64_t first_revision);

  // A put record under construction: memory taken, not yet in the tree.
  // reserve_put: takes memory for `prefix` and `value_bytes` of value. Errors: kNoMemory, nothing
  // is changed.
  Result<BlockRef> reserve_put(const RecordView& prefix, uint32_t value_bytes);
  // Copies `bytes` to position `at` of the value.
  void fill_put(BlockRef record, uint32_t at, Bytes bytes);
  void discard_put(BlockRef record);
  // Puts it into the tree under `revision`. Errors: kNoMemory (the record stays reserved).
  Status commit_put(BlockRef record, uint64_t revision);

  // reserve_put, fill_put and commit_put in one. Errors: kNoMemory, nothing is changed.
  Status put(const RecordView& record);

  // Removes the key; ok when it was not there (*existed = false). Errors: kNoMemory, nothing is
  // changed.
  Status erase(Bytes key, uint64_t revision, bool* existed);

  // A key's record in the state that the batch has built so far.
  Result<StoredRecord> find(Bytes key) const;

  // True when another put or erase is sure to find memory for its path copies.
  bool has_node_reserve() const;

  // Ends the batch: makes its root. Returns its reference, for publish_root.
  BlockRef seal_batch(uint64_t last_revision, uint64_t epoch, const LogPosition& log);

  // Forgets every batch that is not published.
  void rollback();
};

// Makes the root's state what readers see. Sync thread.
void publish_root(Region region, BlockRef root) noexcept;

}  // namespace small_db
