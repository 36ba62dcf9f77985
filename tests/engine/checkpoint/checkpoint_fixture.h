// What the tests of checkpoints share: a table, a simulated disk, and ways to write and to read
// back what the table holds.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/reader.h"
#include "engine/checkpoint/writer.h"
#include "tests/engine/checkpoint/crafted_checkpoint.h"
#include "tests/engine/table/table_test_support.h"
#include "tests/engine/wal/log_fixture.h"
#include "tests/sim/sim_fs.h"

namespace small_db::checkpoint_test {

inline constexpr uint64_t kGeneration = 3;
inline constexpr std::string_view kName = "checkpoint.3";
inline constexpr std::string_view kTemporary = "checkpoint.3.tmp";

using Records = std::vector<std::string>;  // encoded

inline Records records_of(Cursor cursor) {
  Records records;
  Status status = cursor.seek_first();
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    const StoredRecord stored = cursor.record().value();
    const std::string value = value_text(stored.value);
    records.push_back(encoded(
        {RecordType::kPut, stored.revision, stored.expires_at_ms, stored.key, as_bytes(value)}));
  }
  EXPECT_TRUE(status.is_ok());
  return records;
}

inline Result<Records> read_all(CheckpointReader& reader) {
  Records records;
  CheckpointBlock block;
  for (;;) {
    const Result<bool> more = reader.next(block);
    if (!more.is_ok()) return more.status();
    if (!more.value()) return records;
    SMALL_DB_RETURN_IF_ERROR(block.for_each_record([&](const RecordView& record) {
      records.push_back(encoded(record));
      return Status::ok();
    }));
  }
}

inline Result<Records> read_all(Directory& directory, uint64_t generation = kGeneration) {
  const auto reader = CheckpointReader::open(directory, generation, nullptr);
  if (!reader.is_ok()) return reader.status();
  return read_all(*reader.value());
}

class CheckpointTest : public TableTest {
 protected:
  explicit CheckpointTest(size_t region_bytes = 8 * kMiB) : TableTest(region_bytes) {
    directory_ = disk_.mount();
  }

  NewCheckpoint new_checkpoint(uint64_t start_revision) const {
    NewCheckpoint checkpoint;
    checkpoint.cluster_id = log_test::uid_from(0x10);
    checkpoint.generation = kGeneration;
    checkpoint.uid = log_test::uid_from(0xa0);
    checkpoint.epoch = 7;
    checkpoint.start_revision = start_revision;
    checkpoint.created_ms = 0x0123456789ab;
    return checkpoint;
  }

  // Writes what the table holds, in steps of `step_bytes`.
  Status write(Directory& directory, const CheckpointWriterOptions& options = {},
               uint64_t step_bytes = UINT64_MAX) {
    auto writer = CheckpointWriter::create(directory, new_checkpoint(revision_), options);
    if (!writer.is_ok()) return writer.status();
    Cursor cursor = table_.cursor();
    SMALL_DB_RETURN_IF_ERROR(writer.value()->seek_next(cursor));
    for (;;) {
      const Result<bool> more = writer.value()->take(cursor, step_bytes);
      if (!more.is_ok()) return more.status();
      if (!more.value()) return writer.value()->finish(revision_);
    }
  }

  // A few keys, one with a value in extents, in several small blocks.
  void put_some() {
    begin();
    for (int i = 0; i < 12; ++i) {
      ASSERT_OK(put("key " + std::to_string(i), "value " + std::to_string(i * i)));
    }
    RecordView expiring = put_view("lapses", "soon", ++revision_);
    expiring.expires_at_ms = 1234567;
    ASSERT_OK(table_.put(expiring));
    commit();
  }

  static CheckpointWriterOptions small_blocks() {
    CheckpointWriterOptions options;
    options.block_bytes = 200;
    options.sync_bytes = 500;
    return options;
  }

  SimDisk disk_;
  std::unique_ptr<Directory> directory_;
};

}  // namespace small_db::checkpoint_test
