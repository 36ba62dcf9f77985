#include "engine/wal/log_tail.h"

#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::NewTestLog;
using log_test::put_record;
using log_test::write_records;

struct TailLog : NewTestLog {
  TailLog() {
    for (uint64_t revision = 1; revision <= 3; ++revision) {
      EXPECT_TRUE(write_records(*log, {put_record(revision, "key", "value")}).is_ok());
    }
    file = std::move(directory->open("logfile.0", OpenMode::kReadWrite)).value();
  }
  TailScan scan(uint64_t offset) { return scan_tail(*file, log->seed(), offset).value(); }
  std::unique_ptr<File> file;
};

TEST(LogTail, ScanFindsTheRevisionThatHeadersProve) {
  TailLog t;
  const TailScan all = t.scan(4096);
  EXPECT_FALSE(all.all_zero);
  EXPECT_EQ(all.headers, 3u);
  EXPECT_EQ(all.proven_revision, 2u);
  EXPECT_EQ(all.header_offset, 5120u);
  EXPECT_EQ(all.prepared_end, 6144u);
  EXPECT_EQ(t.scan(4608).headers, 2u);
  EXPECT_TRUE(t.scan(5632).all_zero);
}

TEST(LogTail, ScanSeesTheLastByteOfAFile) {
  TailLog t;
  const char byte = 1;
  t.disk.poke("logfile.0", 6143, as_bytes(std::string_view(&byte, 1)));
  const TailScan scan = t.scan(5632);
  EXPECT_FALSE(scan.all_zero);
  EXPECT_EQ(scan.nonzero_end, 6144u);
  EXPECT_EQ(scan.headers, 0u);
}

TEST(LogTail, ATailIsSavedBeforeItIsCleared) {
  TailLog t;
  const std::string before = t.disk.contents("logfile.0");
  const TailScan scan = t.scan(4608);
  const auto saved = save_and_clear_tail(*t.directory, *t.file, 0, 4608, scan);
  ASSERT_TRUE(saved.is_ok());
  EXPECT_EQ(saved.value(), "logfile.0.torn.4608");
  t.disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(t.disk.contents("logfile.0.torn.4608"), before.substr(4608, scan.nonzero_end - 4608));
  EXPECT_EQ(t.disk.contents("logfile.0"), before.substr(0, 4608) + std::string(1536, '\0'));
}

TEST(LogTail, ATailIsClearedWithoutACopyWhenTheDiskIsFull) {
  TailLog t;
  t.disk.fail_next(SimCall::kWrite, SimFault::kNoSpace);
  const auto saved = save_and_clear_tail(*t.directory, *t.file, 0, 4608, t.scan(4608));
  ASSERT_TRUE(saved.is_ok());
  EXPECT_EQ(saved.value(), "");
  EXPECT_TRUE(t.scan(4608).all_zero);
}

TEST(LogTail, AnErrorWhileSavingLeavesTheTail) {
  TailLog t;
  for (const SimCall call : {SimCall::kWrite, SimCall::kSyncData, SimCall::kRename}) {
    t.disk.fail_next(call, SimFault::kIoError);
    EXPECT_FALSE(save_and_clear_tail(*t.directory, *t.file, 0, 4608, t.scan(4608)).is_ok());
    EXPECT_EQ(t.scan(4608).headers, 2u);
  }
}

// The frame of a process whose sync failed: readable, clean, and not durable.
TEST(LogTail, ConfirmMakesAFrameDurableThatAFailedSyncLost) {
  TailLog t;
  t.disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(write_records(*t.log, {put_record(4, "d", "4")}).is_ok());
  const std::string frame = t.disk.contents("logfile.0").substr(5632, 512);
  ASSERT_TRUE(confirm_last_frame(*t.directory, *t.file, 0, 5632, as_bytes(frame)).is_ok());
  EXPECT_FALSE(t.disk.exists("logfile.0.last"));
  t.disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(t.disk.contents("logfile.0").substr(5632, 512), frame);
}

TEST(LogTail, AFrameIsNeverLostWhileItIsConfirmed) {
  for (uint64_t at = 0;; ++at) {
    bool finished = false;
    for (uint64_t variant = 0; variant < 60; ++variant) {
      TailLog t;
      const std::string frame = t.disk.contents("logfile.0").substr(5120, 512);
      t.disk.crash_at(t.disk.operations() + at);
      finished = confirm_last_frame(*t.directory, *t.file, 0, 5120, as_bytes(frame)).is_ok();
      t.disk.crash(variant);
      const bool in_place = t.disk.contents("logfile.0").substr(5120, 512) == frame;
      const bool copied =
          t.disk.exists("logfile.0.last") && t.disk.contents("logfile.0.last") == frame;
      EXPECT_TRUE(in_place || copied) << "call " << at << " variant " << variant;
    }
    if (finished) break;
  }
}

}  // namespace
}  // namespace small_db
