// Writes a checkpoint (format.h), a step at a time, so that the caller can pace it, change to a
// newer state in between, and give up at any point. Its own thread of the storage worker; memory:
// one block.
//
//   create ─▶ seek_next, take … ─▶ seal ─▶ verify … ─▶ publish
//      └──────────────┴──────────────┴─────────┴──▶ abort, or the destructor
//
// The file is checkpoint.G.tmp until publish() has made it checkpoint.G. A failure of any call but
// abort() is sticky: kernel and disk may disagree about the file, so it is never tried again.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/format.h"
#include "engine/checkpoint/reader.h"
#include "engine/platform/file_system.h"
#include "engine/table/cursor.h"

namespace small_db {

struct NewCheckpoint {
  Uid cluster_id{};
  uint64_t generation = 0;
  Uid uid{};  // of make_uid()
  uint64_t epoch = 0;
  uint64_t start_revision = 0;  // of the state that is walked first
  uint64_t created_ms = 0;
};

struct CheckpointWriterOptions {
  // Written bytes are synced when there are so many of them. Between two syncs the kernel is told
  // to write them bit by bit, as fast as they are taken: one long sync would make the log's syncs
  // wait.
  uint64_t sync_bytes = 256 * kMiB;
  // Of a block with more than one record, header included; written at once. At most kMiB.
  size_t block_bytes = 128 * kKiB;
};

class CheckpointWriter {
 public:
  // Errors: those of the file system; the .tmp is removed if that can be.
  // REQUIRES: no checkpoint of that generation is in force.
  static Result<std::unique_ptr<CheckpointWriter>> create(
      Directory& directory, const NewCheckpoint& checkpoint,
      const CheckpointWriterOptions& options = {});
  ~CheckpointWriter();  // as abort()
  CheckpointWriter(const CheckpointWriter&) = delete;
  CheckpointWriter& operator=(const CheckpointWriter&) = delete;

  // Puts the cursor, of the first state or of a newer one, to the first record that was not taken.
  // Errors: kCorruption.
  Status seek_next(Cursor& cursor) const;

  // Takes records from the cursor on until they are `bytes` long or the cursor is at its end, one
  // at least; writes the blocks that are full. A record may be up to kValueBytesMax long.
  // Returns: false when the cursor is at its end. REQUIRES: seek_next, or the take before, has
  // placed the cursor, and its state is still pinned.
  Result<bool> take(Cursor& cursor, uint64_t bytes);

  // Takes one record, of whatever source. Errors: kCorruption when its key is not above the last
  // one that was taken.
  Status add(const RecordView& record);

  // Writes the last block, the index and the footer, and syncs. end_revision: of the state that was
  // walked last. REQUIRES: not below the start revision.
  Status seal(uint64_t end_revision);

  // Reads blocks of the sealed file back until they are `bytes` long, one at least, and verifies
  // them. Returns: false when all were. Errors: kCorruption.
  Result<bool> verify(uint64_t bytes);

  // Gives the verified file its name, durably. REQUIRES: verify() has returned false.
  // Errors: as of the file system; no checkpoint.G is left then, if it can be removed.
  Status publish();

  // seal, verify and publish in one. Errors: as they.
  Status finish(uint64_t end_revision);

  // Removes the .tmp unless the checkpoint is published.
  void abort() noexcept;

  uint64_t entries() const noexcept { return footer_.entries; }
  uint64_t written_bytes() const noexcept { return offset_; }
  // After seal().
  const CheckpointFooter& footer() const noexcept { return footer_; }

 private:
  enum class Phase : uint8_t { kTaking, kSealed, kVerified, kPublished };

  CheckpointWriter(Directory& directory, const NewCheckpoint& checkpoint,
                   const CheckpointWriterOptions& options);

  Status open();
  Status take_record(const StoredRecord& record, uint64_t* taken);
  void add_prefix(const StoredRecord& record);
  Status add_to_block(const StoredRecord& record);
  Status write_large(const StoredRecord& record);
  Status write_block();
  void enter_block(BlockHeader& header, Bytes first_key);
  Status write_ends();
  Status append(Bytes bytes);
  void start_writeback() noexcept;
  Status sync();
  Status fail(Status status);

  Directory& directory_;
  const CheckpointWriterOptions options_;
  std::string name_;
  std::string temporary_;
  CheckpointHeader header_;
  CheckpointFooter footer_;
  std::unique_ptr<File> file_;
  std::unique_ptr<CheckpointReader> reader_;
  CheckpointBlock read_block_;
  Phase phase_ = Phase::kTaking;
  Status failure_;
  bool removed_ = false;          // the .tmp
  uint64_t offset_ = 0;           // where the next bytes go
  uint64_t unsynced_ = 0;         // bytes
  uint64_t writeback_end_ = 0;    // the kernel was told to write what is before
  std::vector<std::byte> block_;  // header and records that are not written yet
  uint32_t block_records_ = 0;
  std::vector<std::byte> index_;
  uint64_t indexed_records_ = 0;
  std::string last_key_;  // that was taken; empty: none
};

}  // namespace small_db
