// The table as its one writer sees it. The writer builds the next state beside the published one,
// never in it, and hands a sealed batch's root to whoever made it durable.
//
//   begin_batch ─▶ put / erase … ─▶ seal_batch ─▶ (durable) publish_root
//                                       └─▶ (failed) rollback
//
// Within a batch, a change puts and erases many records as a whole or not at all:
//
//   begin_change ─▶ put / erase … ─▶ keep_change
//                           └─▶ (one of them failed) undo_change
//
// Up to two batches may be sealed and not yet published; what they let go of comes free only when
// they are. All calls run in the owner's commit thread, but for the two functions at the end.
//
// Loading from disk is one batch, of any size: clear, begin_batch, begin_load, load …, end_load for
// what is sorted, then put and erase for what is not, seal_batch, publish_root.
//
// kCorruption from any call means that the region must be cleared and loaded.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/shm/region.h"
#include "engine/table/arena.h"
#include "engine/table/batch_memory.h"
#include "engine/table/bulk_load.h"
#include "engine/table/cursor.h"
#include "engine/table/reader.h"
#include "engine/table/reclaimer.h"
#include "engine/table/record_writer.h"
#include "engine/table/trees.h"

namespace small_db {

class Table {
 public:
  // Nothing can be done with it before clear() or adopt().
  explicit Table(Region region);
  Table(const Table&) = delete;
  Table& operator=(const Table&) = delete;

  // Empties the arena; nothing is published. For loading from disk. REQUIRES: no process holds a
  // pin.
  void clear();

  // Makes the writer agree with the region's published root, and with the roots that pins still
  // hold, after another process wrote it: marks what they reach and frees the rest. Reserved
  // records are forgotten. Time grows with keys, not with values. Errors: kCorruption when
  // references make no sense.
  Status adopt();

  // Starts a batch whose first request has revision `first_revision`, and frees what no root needs
  // any more. A batch in which nothing was put or erased can be started again.
  void begin_batch(uint64_t first_revision);

  // A put record under construction: memory taken, not yet in the tree. It may stay so over any
  // number of batches.
  // reserve_put: takes memory for `prefix` and `value_bytes` of value. Errors: kNoMemory, nothing
  // is changed; kTooLarge; kInvalidArgument.
  Result<BlockRef> reserve_put(const RecordView& prefix, uint32_t value_bytes);
  // Copies `bytes` to position `at` of the value.
  void fill_put(BlockRef record, uint32_t at, Bytes bytes);
  void discard_put(BlockRef record);
  // Puts it into the tree under `revision`. Errors: kNoMemory (the record stays reserved).
  // REQUIRES: a batch is open.
  Status commit_put(BlockRef record, uint64_t revision);

  // reserve_put, fill_put and commit_put in one, under the record's own revision. Errors: as they.
  Status put(const RecordView& record);

  // Removes the key; ok when it was not there (*existed = false). Errors: kNoMemory, nothing is
  // changed. REQUIRES: a batch is open.
  Status erase(Bytes key, uint64_t revision, bool* existed = nullptr);

  // Starts a change: until it is kept or undone, all puts and erases have this revision, and one
  // key may be put more than once. REQUIRES: a batch is open, and no change; the revision is higher
  // than all before it.
  void begin_change(uint64_t revision);
  void keep_change();
  // Takes back what the change did. Records that commit_put took are reserved again; others that
  // are reserved stay so. Needs no memory. The batch is as it was, and can be started again if
  // nothing else was done in it.
  void undo_change();

  // Puts many records in ascending order of their keys into the empty table, each under its own
  // revision; nothing else may be called in between. An error leaves a table to be cleared.
  // Errors: kCorruption when a key is not above the one before; as put. REQUIRES: a batch is open,
  // the table is empty, every record is a put.
  void begin_load();
  Status load(const RecordView& record);
  // The same without its hash, for who has it computed elsewhere: the sum of all those hashes is
  // given by add_content before end_load.
  Status load_unhashed(const RecordView& record);
  void add_content(const Hash128& sum) noexcept { content_.add(sum); }
  Status end_load();

  // A key's record in the state that the batch has built so far. Valid until the next change.
  Result<StoredRecord> find(Bytes key) const;

  // All records of that state in key order. Valid until the next change.
  Cursor cursor() const { return Cursor(view_, trees_.by_key); }

  // Hash of that state's content.
  Hash128 content() const noexcept { return content_.value(); }

  // When the first record of that state expires; 0 when none does. Errors: kCorruption.
  Result<uint64_t> next_expiry_ms() const;

  // Adds to *keys those of at most `max` records of that state whose time has come at `now_ms`, the
  // earliest first. Errors: kCorruption.
  Status collect_expired(uint64_t now_ms, size_t max, std::vector<std::string>* keys) const;

  // What a reserved record holds. REQUIRES: reserve_put made it.
  StoredRecord stored_record(BlockRef record) const;

  // True when another put or erase is sure to find memory for its path copies.
  bool has_node_reserve() const;

  // Ends the batch: makes its root. Returns its reference, for publish_root. REQUIRES: a batch is
  // open, and no change, in which something was put or erased, or has_node_reserve(); no record
  // that was put has a revision above last_revision.
  BlockRef seal_batch(uint64_t last_revision, uint64_t epoch, const LogPosition& log);

  // Forgets every batch that is not published, and every reserved record. Errors: as adopt.
  Status rollback();

  // The published root; nullptr when nothing is published.
  const Root* published() const;

  uint64_t used_bytes() const { return arena_.used_bytes(); }
  uint64_t reach_bytes() const { return arena_.reach_bytes(); }
  uint64_t free_bytes() const { return arena_.free_bytes(); }

  // For tests: walks every state and all garbage, and compares them with the arena to the byte.
  // Errors: kCorruption when anything disagrees.
  Status check() const;

 private:
  friend class TableCheck;

  // An open change: what was before it, and what to do about records when it ends.
  struct Change {
    uint64_t revision;
    Trees trees;
    uint64_t keys;
    uint64_t data_bytes;
    Hash128 content;
    uint64_t revision_max;
    std::vector<BlockRef> committed;  // by commit_put, hence the caller's if it is undone
    std::vector<BlockRef> replaced;   // born and replaced within the change
  };

  void forget_everything();
  void start_from(const RootBlock& root);
  Status insert(BlockRef record, uint64_t revision);
  void retire_replaced(BlockRef record);
  void free_or_reserve(const std::vector<BlockRef>& records, std::vector<BlockRef> committed);
  void count_record(BlockRef record, bool added);
  void show_memory() const;

  Region region_;
  ArenaView view_;
  Arena arena_;
  RecordWriter records_;
  Reclaimer reclaimer_;
  BatchMemory memory_;

  // The state that the open batch has built, or the last sealed one's.
  Trees trees_;
  uint64_t keys_ = 0;
  uint64_t data_bytes_ = 0;
  // No record that it has noted is freed before it is settled; and sealed batches leave it so.
  ContentSum content_;

  std::optional<Change> change_;
  bool batch_is_open_ = false;
  uint64_t last_batch_ = 0;    // number of the last sealed one
  uint64_t revision_max_ = 0;  // of all records that were ever put
  uint64_t first_revision_ = 0;
  std::vector<BlockRef> reserved_;     // records that are not in the tree
  std::unique_ptr<BulkLoad> loading_;  // between begin_load and end_load
};

// States where the log stands after the root's batch. Sync thread, before publish_root.
void set_root_log(Region region, BlockRef root, const LogPosition& log) noexcept;

// Makes the root's state what readers see. Sync thread.
void publish_root(Region region, BlockRef root) noexcept;

}  // namespace small_db
