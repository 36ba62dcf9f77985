#include "engine/checkpoint/writer.h"

#include <algorithm>
#include <functional>

#include "tests/engine/checkpoint/checkpoint_fixture.h"

namespace small_db {
namespace {

using checkpoint_test::CheckpointTest;
using checkpoint_test::kGeneration;
using checkpoint_test::kName;
using checkpoint_test::kTemporary;
using checkpoint_test::read_all;
using checkpoint_test::Records;
using checkpoint_test::records_of;

using CheckpointWriterTest = CheckpointTest;

class LargeCheckpointTest : public CheckpointTest {
 protected:
  LargeCheckpointTest() : CheckpointTest(128 * kMiB) {}
};

TEST_F(CheckpointWriterTest, AFileHasItsGoldenBytes) {
  begin();
  ASSERT_OK(put("alpha", "one"));
  ASSERT_OK(put("beta", ""));
  commit();
  ASSERT_OK(write(*directory_));
  EXPECT_EQ(log_test::hex(disk_.contents(kName).substr(kCheckpointHeaderBytes)),
            // Block, index, footer; every checksum also computed by another program.
            "534d444b86c8fee700100000000000000000000000000000020000002c000000628f24b100000000"
            "01000000000000000300000005000100616c7068616f6e6502000000000000000000000004000100"
            "6265746100100000000000000200000005000000616c706861534d4442434b504502000000000000"
            "000c0000000000000002000000000000000200000000000000070000000000000054100000000000"
            "00150000000000000001000000000000007b066f114aaefbede91000000000000000000000000000"
            "0000000000000000000000000000000000000000000000000000000000eb692b6e");
}

TEST_F(CheckpointWriterTest, AnEmptyStateMakesAFileWithoutBlocks) {
  ASSERT_OK(write(*directory_));
  EXPECT_EQ(disk_.contents(kName).size(), kCheckpointHeaderBytes + kCheckpointFooterBytes);
  const Result<Records> records = read_all(*directory_);
  ASSERT_OK(records.status());
  EXPECT_TRUE(records.value().empty());
}

TEST_F(CheckpointWriterTest, WhatWasWrittenReadsBackWithRevisionsAndExpiries) {
  put_some();
  for (const uint64_t step_bytes : {uint64_t{1}, uint64_t{100}, UINT64_MAX}) {
    ASSERT_OK(write(*directory_, small_blocks(), step_bytes));
    const auto reader = CheckpointReader::open(*directory_, kGeneration, nullptr);
    ASSERT_OK(reader.status());
    const Result<Records> records = read_all(*reader.value());
    ASSERT_OK(records.status());
    EXPECT_EQ(records.value(), records_of(table_.cursor()));
    const CheckpointFooter& footer = reader.value()->footer();
    EXPECT_EQ(footer.entries, 13u);
    EXPECT_EQ(footer.start_revision, revision_);
    EXPECT_EQ(footer.end_revision, revision_);
    EXPECT_EQ(footer.epoch, 7u);
    EXPECT_EQ(footer.data_bytes, table_.published()->data_bytes);
    EXPECT_EQ(footer.blocks, 3u);
    EXPECT_EQ(reader.value()->header().cluster_id, log_test::uid_from(0x10));
    EXPECT_FALSE(disk_.exists(kTemporary));
  }
}

TEST_F(LargeCheckpointTest, LongKeysAndValuesReadBack) {
  begin();
  const std::string longest_key(kKeyBytesMax, 'k');
  ASSERT_OK(put("a", std::string(kMiB, 'm')));
  ASSERT_OK(put("b", std::string(kBlockBodyBytesMax - kRecordHeaderBytes - 1, 'f')));
  ASSERT_OK(put("c", std::string(kBlockBodyBytesMax - kRecordHeaderBytes, 'o')));
  ASSERT_OK(put("d", std::string(40000, 'x')));
  ASSERT_OK(put(longest_key, std::string(3 * kMiB + 17, 'v')));
  ASSERT_OK(put(longest_key.substr(1), "next to the longest"));
  ASSERT_OK(put("z", std::string(kValueBytesMax, 'z')));
  commit();
  ASSERT_OK(write(*directory_));
  const Result<Records> records = read_all(*directory_);
  ASSERT_OK(records.status());
  EXPECT_TRUE(records.value() == records_of(table_.cursor()));
}

// Walks 100 keys of one state partly and goes on in a newer one, in which `change` may have touched
// the last key that was taken.
class CheckpointWalkTest : public CheckpointTest {
 protected:
  void take_from_snapshot(CheckpointWriter& writer, uint64_t bytes, bool more_expected) {
    const Snapshot state = snapshot();
    Cursor cursor = state.cursor();
    ASSERT_OK(writer.seek_next(cursor));
    const Result<bool> more = writer.take(cursor, bytes);
    ASSERT_OK(more.status());
    ASSERT_EQ(more.value(), more_expected);
  }

  // The records of the newer state behind `last`.
  Records newer_behind(const std::string& last) {
    Records behind;
    for (const std::string& record : records_of(table_.cursor())) {
      const Bytes key = decode_record(as_bytes(record)).value().view.key;
      if (compare_bytes(key, as_bytes(last)) > 0) behind.push_back(record);
    }
    return behind;
  }

  void walk(const std::function<void(const std::string& last)>& change) {
    begin();
    for (int i = 0; i < 100; ++i) ASSERT_OK(put("key " + std::to_string(100 + i), "old"));
    commit();
    const uint64_t start = revision_;
    const auto writer =
        CheckpointWriter::create(*directory_, new_checkpoint(start), small_blocks()).value();
    take_from_snapshot(*writer, 900, true);
    ASSERT_GT(writer->entries(), 10u);
    Records expected = records_of(table_.cursor());
    expected.resize(writer->entries());
    const std::string last = "key " + std::to_string(100 + writer->entries() - 1);
    begin();
    for (int i = 0; i < 100; i += 3) ASSERT_OK(put("key " + std::to_string(100 + i), "new"));
    ASSERT_OK(put(last + '\0', "right behind the last one"));
    ASSERT_OK(erase("key 199"));
    change(last);
    commit();
    for (const std::string& record : newer_behind(last)) expected.push_back(record);
    take_from_snapshot(*writer, UINT64_MAX, false);
    ASSERT_OK(writer->finish(revision_));
    const auto reader = CheckpointReader::open(*directory_, kGeneration, nullptr);
    ASSERT_OK(reader.status());
    EXPECT_EQ(reader.value()->footer().start_revision, start);
    EXPECT_EQ(reader.value()->footer().end_revision, revision_);
    EXPECT_EQ(read_all(*reader.value()).value(), expected);
  }
};

TEST_F(CheckpointWalkTest, GoesOnInANewerState) {
  walk([](const std::string&) {});
}

TEST_F(CheckpointWalkTest, GoesOnBehindAKeyThatHasChanged) {
  walk([&](const std::string& last) { ASSERT_OK(put(last, "newer")); });
}

TEST_F(CheckpointWalkTest, GoesOnBehindAKeyThatIsGone) {
  walk([&](const std::string& last) { ASSERT_OK(erase(last)); });
}

TEST_F(CheckpointWriterTest, ACursorThatGoesBackIsNoticed) {
  put_some();
  auto writer = CheckpointWriter::create(*directory_, new_checkpoint(revision_));
  ASSERT_OK(writer.status());
  Cursor cursor = table_.cursor();
  ASSERT_OK(cursor.seek_first());
  ASSERT_TRUE(writer.value()->take(cursor, 200).is_ok());
  ASSERT_OK(cursor.seek_first());
  EXPECT_EQ(writer.value()->take(cursor, 200).status().code(), Code::kCorruption);
  EXPECT_EQ(writer.value()->seal(revision_).code(), Code::kCorruption);  // sticky
}

TEST_F(CheckpointWriterTest, SyncsInBetweenAsItWasTold) {
  put_some();
  ASSERT_OK(write(*directory_, small_blocks()));
  const auto count = [&] {
    return std::count(disk_.calls().begin(), disk_.calls().end(), SimCall::kSyncData);
  };
  EXPECT_EQ(count(), 3);  // the header, two of the three lots of 500 bytes, one at the end
}

TEST_F(CheckpointWriterTest, GivingUpRemovesTheTemporaryFile) {
  put_some();
  {
    auto writer = CheckpointWriter::create(*directory_, new_checkpoint(revision_)).value();
    EXPECT_TRUE(disk_.exists(kTemporary));
    writer->abort();
    EXPECT_FALSE(disk_.exists(kTemporary));
    Cursor cursor = table_.cursor();
    EXPECT_EQ(writer->take(cursor, 1).status().code(), Code::kInterrupted);
  }
  {
    const auto writer = CheckpointWriter::create(*directory_, new_checkpoint(revision_)).value();
    EXPECT_TRUE(disk_.exists(kTemporary));
  }
  EXPECT_FALSE(disk_.exists(kTemporary));
  EXPECT_FALSE(disk_.exists(kName));
}

TEST_F(CheckpointWriterTest, ADiskThatKeptOtherBytesIsNoticedBeforeTheFileGetsItsName) {
  put_some();
  for (const uint64_t offset : {4096 + 60, 4096 + 300}) {
    auto writer =
        CheckpointWriter::create(*directory_, new_checkpoint(revision_), small_blocks()).value();
    Cursor cursor = table_.cursor();
    ASSERT_OK(writer->seek_next(cursor));
    ASSERT_TRUE(writer->take(cursor, UINT64_MAX).is_ok());
    ASSERT_OK(writer->seal(revision_));
    disk_.poke(kTemporary, offset, as_bytes("!"));
    Result<bool> more = true;
    while (more.is_ok() && more.value()) more = writer->verify(1);
    EXPECT_EQ(more.status().code(), Code::kCorruption);
    EXPECT_EQ(writer->publish().code(), Code::kCorruption);
    EXPECT_FALSE(disk_.exists(kName));
  }
}

// However the power goes off, a file that has its name is whole.
TEST_F(CheckpointWriterTest, ACrashAtAnyCallLeavesNoCheckpointOrACompleteOne) {
  put_some();
  const Records expected = records_of(table_.cursor());
  SimDisk reference;
  ASSERT_OK(write(*reference.mount(), small_blocks()));
  const uint64_t calls = reference.operations();
  int complete = 0;
  for (uint64_t call = 0; call <= calls; ++call) {
    SimDisk disk;
    disk.crash_at(call);
    const bool written = write(*disk.mount(), small_blocks()).is_ok();
    EXPECT_EQ(written, call == calls);
    for (uint64_t variant = 0; variant < 16; ++variant) {
      SimDisk crashed = disk;
      crashed.crash(variant);
      ASSERT_TRUE(!written || crashed.exists(kName));
      if (!crashed.exists(kName)) continue;
      const Result<Records> records = read_all(*crashed.mount());
      ASSERT_TRUE(records.is_ok()) << call << " " << variant << " " << records.status().text();
      ASSERT_EQ(records.value(), expected);
      ++complete;
    }
  }
  EXPECT_GT(complete, 16);
}

TEST_F(CheckpointWriterTest, AnErrorOfAnyCallIsReportedAndLeavesNothing) {
  put_some();
  SimDisk reference;
  ASSERT_OK(write(*reference.mount(), small_blocks()));
  for (const SimFault fault : {SimFault::kIoError, SimFault::kNoSpace, SimFault::kShortWrite}) {
    for (uint64_t call = 0; call < reference.operations(); ++call) {
      SimDisk disk;
      disk.fail_at(call, fault);
      const Status status = write(*disk.mount(), small_blocks());
      const Code expected = fault == SimFault::kNoSpace ? Code::kNoDiskSpace : Code::kIoError;
      ASSERT_EQ(status.code(), expected) << call << " " << status.text();
      ASSERT_TRUE(disk.names().empty()) << call;
    }
  }
}

}  // namespace
}  // namespace small_db
