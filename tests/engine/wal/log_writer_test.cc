#include "engine/wal/log_writer.h"

#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::fill_frame;
using log_test::hex;
using log_test::NewTestLog;
using log_test::put_record;
using log_test::small_options;
using log_test::uid_from;
using log_test::write_frame;
using log_test::write_mark;
using log_test::write_records;

// logfile.3 of the golden file header, which goes on from logfile.2.
class GoldenLog : public ::testing::Test {
 protected:
  void SetUp() override {
    directory_ = disk_.mount();
    Result<LogEnd> end =
        create_log(*directory_, {uid_from(0x10), 3, 7, 5, 0x0123456789ab}, small_options());
    ASSERT_TRUE(end.is_ok());
    end.value().start_missing = true;
    end.value().previous = {2, 4, 0xdeadbeef};
    auto log = LogWriter::open(*directory_, end.value(), 7, 0x1111, small_options());
    ASSERT_TRUE(log.is_ok()) << log.status().text();
    log_ = std::move(log).value();
  }

  std::string file(size_t offset, size_t bytes) {
    return hex(disk_.contents("logfile.3").substr(offset, bytes));
  }

  SimDisk disk_;
  std::unique_ptr<Directory> directory_;
  std::unique_ptr<LogWriter> log_;
};

TEST_F(GoldenLog, StartHasItsGoldenBytes) {
  EXPECT_EQ(file(4096, 120),
            "534d444677ca8a1a0010000000000000050000000000000004000000000000000700000000000000"
            "11110000000000001800000073dacf3000000000000000000000000001000000c314a19800000000"
            "0018000000000000000000000000000002000000000000000400000000000000efbeadde00000000");
  EXPECT_EQ(file(4216, 392), hex(std::string(392, '\0')));
}

TEST_F(GoldenLog, FrameAndSealHaveTheirGoldenBytes) {
  FrameBuilder frame;
  frame.reset(5, log_->seed());
  frame.add_request(1, 9, 100);
  frame.add_request(1, 9, 101);
  frame.add_request(4, 8, 1);
  log_test::append_record(frame, put_record(5, "k", "abc"));
  log_test::append_record(frame, {RecordType::kPut, 6, 0x99, as_bytes("k2"), {}});
  log_test::append_record(frame, log_test::delete_record(7, "d"));
  frame.finish();
  ASSERT_TRUE(log_->reserve(frame.frame_bytes()));
  ASSERT_TRUE(log_->write(frame, 4, 7, 0x2222).is_ok());
  ASSERT_TRUE(log_->sync().is_ok());
  EXPECT_EQ(file(4608, 207),
            "534d4446a93ee67d0012000000000000050000000000000004000000000000000700000000000000"
            "22220000000000006f00000083c151390300000003000000020000000000000077ca8a1a00000000"
            "00180000000000000000000000000000010000000200000009000000000000006400000000000000"
            "04000000010000000800000000000000010000000000000005000000000000000300000001000100"
            "6b6162630600000000000000000000000200010199000000000000006b3207000000000000000000"
            "00000100020064");
  EXPECT_EQ(file(4815, 305), hex(std::string(305, '\0')));

  frame.reset(8, log_->seed());
  frame.make_seal();
  frame.finish();
  ASSERT_TRUE(log_->reserve(frame.frame_bytes()));
  ASSERT_TRUE(log_->write(frame, 7, 7, 0x3333).is_ok());
  ASSERT_TRUE(log_->sync().is_ok());
  EXPECT_EQ(file(5120, 96),
            "534d4446005f46e30014000000000000080000000000000007000000000000000700000000000000"
            "3333000000000000000000002230a7b500000000000000000000000002000000a93ee67d00000000"
            "00180000000000000000000000000000");
  EXPECT_TRUE(log_->sealed());
  EXPECT_EQ(log_->position(), (LogFilePosition{3, 5120, 5632, 0xe3465f00}));
}

TEST(LogWriter, WritesEachFrameWithOneCallAndOneSync) {
  NewTestLog t;
  FrameBuilder frame;
  fill_frame(frame, t.log->seed(), {put_record(1, "key", "value")});
  ASSERT_TRUE(t.log->reserve(frame.frame_bytes()));
  const size_t before = t.disk.calls().size();
  ASSERT_TRUE(t.log->write(frame, 0, 7, 1).is_ok());
  ASSERT_TRUE(t.log->sync().is_ok());
  const std::vector<SimCall> calls(t.disk.calls().begin() + static_cast<ptrdiff_t>(before),
                                   t.disk.calls().end());
  EXPECT_EQ(calls, (std::vector<SimCall>{SimCall::kWrite, SimCall::kSyncData}));
}

TEST(LogWriter, NeverWritesBeyondPreparedSpace) {
  NewTestLog t(1024);
  EXPECT_EQ(t.log->available_bytes(), 1024u);
  EXPECT_FALSE(t.log->reserve(1536));
  EXPECT_TRUE(t.log->reserve(1024));
  EXPECT_FALSE(t.log->reserve(512));
  ASSERT_TRUE(t.log->space().prepare_step(t.log->reserved_end() + 1).is_ok());
  EXPECT_EQ(t.log->available_bytes(), 1024u);
  EXPECT_TRUE(t.log->reserve(512));
}

// Defect of the ancestor: after a failed write the log went on behind a partial record.
TEST(LogWriter, NothingFollowsAFailedWrite) {
  for (const SimFault fault : {SimFault::kIoError, SimFault::kShortWrite, SimFault::kNoSpace}) {
    NewTestLog t;
    ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
    t.disk.fail_next(SimCall::kWrite, fault);
    const Status failed = write_records(*t.log, {put_record(2, "b", "2")});
    EXPECT_EQ(failed.code(), Code::kIoError);
    const std::string file = t.disk.contents("logfile.0");
    const uint64_t operations = t.disk.operations();
    EXPECT_EQ(write_records(*t.log, {put_record(3, "c", "3")}).text(), failed.text());
    EXPECT_EQ(t.log->sync().text(), failed.text());
    EXPECT_EQ(t.disk.operations(), operations);
    EXPECT_EQ(t.disk.contents("logfile.0"), file);
  }
}

// Defect of the ancestor: after a failed fsync the next batch simply went on.
TEST(LogWriter, NothingFollowsAFailedSync) {
  for (const SimFault fault : {SimFault::kIoError, SimFault::kNoSpace}) {
    NewTestLog t;
    t.disk.fail_next(SimCall::kSyncData, fault);
    const Status failed = write_records(*t.log, {put_record(1, "a", "1")});
    EXPECT_EQ(failed.code(), Code::kIoError);
    const uint64_t operations = t.disk.operations();
    EXPECT_EQ(write_records(*t.log, {put_record(2, "b", "2")}).text(), failed.text());
    EXPECT_EQ(t.log->sync().text(), failed.text());
    EXPECT_EQ(t.disk.operations(), operations);
  }
}

TEST(LogWriter, AFailedSyncOfPreparedSpaceFailsTheWriterToo) {
  NewTestLog t;
  ASSERT_TRUE(t.log->reserve(512));
  FrameBuilder frame;
  fill_frame(frame, t.log->seed(), {put_record(1, "a", "1")});
  ASSERT_TRUE(t.log->write(frame, 0, 7, 1).is_ok());
  t.disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(t.log->space().prepare_step(1 << 20).is_ok());
  // The kernel calls the frame's page clean now: this sync succeeds and means nothing.
  EXPECT_EQ(t.log->sync().code(), Code::kIoError);
  EXPECT_EQ(t.log->failure().code(), Code::kIoError);
}

TEST(LogWriter, GoesOnInTheNextFileAfterSeal) {
  NewTestLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  ASSERT_TRUE(write_mark(*t.log, kFrameSeal, 2).is_ok());
  LogEnd end;
  end.header = t.log->header();
  end.position = t.log->position();
  end.last_revision = 1;
  end.sealed = true;
  auto next = LogWriter::open(*t.directory, end, 8, 0x1111, t.options);
  ASSERT_TRUE(next.is_ok()) << next.status().text();
  auto reader = LogReader::open(*t.directory, 1);
  ASSERT_TRUE(reader.is_ok());
  ASSERT_EQ(reader.value()->next().value(), ReadOutcome::kFrame);
  const FrameView& start = reader.value()->frame();
  EXPECT_EQ(start.header().flags, kFrameStart);
  EXPECT_EQ(start.header().epoch, 8u);
  EXPECT_EQ(start.start().previous_generation, 0u);
  EXPECT_EQ(start.start().last_revision, 1u);
  EXPECT_EQ(start.start().chain, end.position.chain);
  EXPECT_EQ(reader.value()->header().cluster_id, uid_from(0x10));
}

TEST(CreateLog, LeavesNoLogWhenAnyCallFails) {
  for (uint64_t at = 0;; ++at) {
    SimDisk disk;
    auto directory = disk.mount();
    disk.fail_at(at, SimFault::kIoError);
    const Result<LogEnd> end = create_log(*directory, {uid_from(1), 0, 1, 1, 1}, small_options());
    if (end.is_ok()) {
      EXPECT_GT(at, 5u);
      break;
    }
    // Only the sync of the directory comes after the name: whoever sees the file can use it.
    const bool usable = LogReader::open(*directory, 0).is_ok();
    EXPECT_EQ(disk.exists("logfile.0"), usable) << at;
  }
}

}  // namespace
}  // namespace small_db
