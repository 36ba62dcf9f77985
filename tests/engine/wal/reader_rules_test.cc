// Logs whose checksums are right, and which break one rule of the reader each.
#include <gtest/gtest.h>

#include "engine/base/crc32c.h"
#include "engine/wal/log_tail.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::put_record;
using log_test::write_mark;
using log_test::write_records;

class ReaderRules : public ::testing::Test {
 protected:
  Result<std::unique_ptr<LogReader>> reader() { return LogReader::open(*log_.directory, 0); }

  // Puts a frame behind what the log holds, with the body's checksum and the chain right.
  void craft(FrameHeader header, const std::vector<std::byte>& body) {
    const LogFilePosition end = log_.log->position();
    header.offset = end.end_offset;
    header.chain = end.chain;
    header.epoch = 7;
    header.prepared_end = log_.log->space().prepared_end();
    header.body_bytes = static_cast<uint32_t>(body.size());
    header.body_crc = crc32c(body, log_.log->seed());
    std::vector<std::byte> frame(frame_bytes(body.size()));
    encode_frame_header(header, log_.log->seed(), frame.data());
    std::copy(body.begin(), body.end(), frame.begin() + kFrameHeaderBytes);
    log_.disk.poke("logfile.0", header.offset, frame);
  }

  log_test::NewTestLog log_;
};

TEST_F(ReaderRules, AFrameBehindSealIsNotRead) {
  ASSERT_TRUE(write_mark(*log_.log, kFrameSeal, 1).is_ok());
  FrameHeader idle;
  idle.first_revision = 1;
  idle.flags = kFrameIdle;
  craft(idle, {});
  const auto opened = reader();
  ASSERT_EQ(opened.value()->next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(opened.value()->next().value(), ReadOutcome::kNoFrame);
  EXPECT_STREQ(opened.value()->reason(), "the log is sealed");
}

TEST_F(ReaderRules, ARunOfNoRequestIsAContradiction) {
  std::vector<std::byte> body(2 * kRequestRunBytes + 2 * record_bytes(put_record(1, "a", "1")));
  encode_request_run({1, 2, 9, 1}, body.data());
  encode_request_run({2, 0, 9, 1}, body.data() + kRequestRunBytes);
  std::byte* at = body.data() + 2 * kRequestRunBytes;
  encode_record(put_record(1, "a", "1"), at);
  encode_record(put_record(2, "b", "2"), at + record_bytes(put_record(1, "a", "1")));
  FrameHeader header;
  header.first_revision = 1;
  header.records = header.requests = header.request_runs = 2;
  craft(header, body);
  EXPECT_EQ(reader().value()->next().value(), ReadOutcome::kContradiction);
}

TEST_F(ReaderRules, AMalformedRecordIsAnError) {
  std::vector<std::byte> body(kRequestRunBytes + kRecordBytesMin, std::byte{0xff});
  encode_request_run({1, 1, 9, 1}, body.data());
  FrameHeader header;
  header.first_revision = header.records = header.requests = header.request_runs = 1;
  craft(header, body);
  const auto opened = reader();
  ASSERT_EQ(opened.value()->next().value(), ReadOutcome::kFrame);
  const Status status =
      opened.value()->frame().for_each_record([](const RecordView&) { return Status::ok(); });
  EXPECT_EQ(status.code(), Code::kCorruption);
}

TEST_F(ReaderRules, AnErrorWhileALongFrameIsReadIsNotTheEnd) {
  const std::string value(3 * kMiB, 'v');
  ASSERT_TRUE(write_records(*log_.log, {put_record(1, "a", value)}).is_ok());
  const auto opened = reader();
  log_.disk.fail_at(log_.disk.operations() + 1, SimFault::kIoError);
  EXPECT_FALSE(opened.value()->next().is_ok());
}

TEST_F(ReaderRules, SpaceThatCantBeCutOffIsNotPrepared) {
  LogSpace space(std::move(log_.directory->open("logfile.0", OpenMode::kReadWrite)).value(),
                 kLogHeaderBytes, 2 * kSectorBytes);
  log_.disk.fail_next(SimCall::kTruncate, SimFault::kIoError);
  EXPECT_FALSE(space.prepare_step(2 * kLogHeaderBytes).is_ok());
  EXPECT_TRUE(space.failed());
}

TEST_F(ReaderRules, APlaceMustAgreeWithTheLogInEverything) {
  const LogFilePosition begin = log_.log->position();
  ASSERT_TRUE(write_records(*log_.log, {put_record(1, "a", "1")}).is_ok());
  const LogFilePosition end = log_.log->position();
  const auto resume = [&](LogFilePosition position, uint64_t revision, uint64_t epoch) {
    return reader().value()->resume(position, revision, epoch).code();
  };
  EXPECT_EQ(resume(begin, 0, 7), Code::kOk);
  EXPECT_EQ(resume(end, 1, 7), Code::kOk);
  EXPECT_EQ(resume(end, 1, 6), Code::kCorruption);
  LogFilePosition wrong = begin;
  wrong.generation = 1;
  EXPECT_EQ(resume(wrong, 0, 7), Code::kCorruption);
  wrong = begin;
  wrong.chain ^= 1;
  EXPECT_EQ(resume(wrong, 0, 7), Code::kCorruption);
  wrong = begin;
  wrong.frame_offset = wrong.end_offset = end.end_offset;
  EXPECT_EQ(resume(wrong, 0, 7), Code::kCorruption);
}

TEST_F(ReaderRules, BytesBehindTheRecordsAreAnError) {
  const RecordView record = put_record(1, "a", "1");
  std::vector<std::byte> body(kRequestRunBytes + record_bytes(record) + 1);
  encode_request_run({1, 1, 9, 1}, body.data());
  encode_record(record, body.data() + kRequestRunBytes);
  FrameHeader header;
  header.first_revision = header.records = header.requests = header.request_runs = 1;
  craft(header, body);
  const auto opened = reader();
  ASSERT_EQ(opened.value()->next().value(), ReadOutcome::kFrame);
  const Status status =
      opened.value()->frame().for_each_record([](const RecordView&) { return Status::ok(); });
  EXPECT_EQ(status.code(), Code::kCorruption);
}

TEST_F(ReaderRules, OnlyTheFrameThatFitsStandsInForOne) {
  const uint64_t offset = log_.log->position().end_offset;
  ASSERT_TRUE(write_records(*log_.log, {put_record(1, "a", "1")}).is_ok());
  std::string frame = log_.disk.contents("logfile.0").substr(offset, kSectorBytes);
  const auto fits = [&](const std::string& bytes) {
    return reader().value()->substitute(as_bytes(bytes));
  };
  const auto with = [&](auto change) {
    std::string changed = frame;
    auto* at = reinterpret_cast<std::byte*>(changed.data());
    FrameHeader header = *decode_frame_header(as_bytes(frame), offset, log_.log->seed());
    change(header);
    encode_frame_header(header, log_.log->seed(), at);
    return fits(changed);
  };
  EXPECT_TRUE(fits(frame));
  EXPECT_FALSE(fits(frame + "x"));
  EXPECT_FALSE(fits(std::string(kSectorBytes, 'x')));
  EXPECT_TRUE(with([](FrameHeader& header) { header.time_ms = 1; }));
  EXPECT_FALSE(with([](FrameHeader& header) { header.chain ^= 1; }));
  EXPECT_FALSE(with([](FrameHeader& header) { header.flags = 16; }));
}

TEST_F(ReaderRules, NothingStandsInForWhatFollowsSeal) {
  ASSERT_TRUE(write_mark(*log_.log, kFrameSeal, 1).is_ok());
  FrameHeader idle;
  idle.first_revision = 1;
  idle.flags = kFrameIdle;
  craft(idle, {});
  const std::string frame =
      log_.disk.contents("logfile.0").substr(log_.log->position().end_offset, kSectorBytes);
  const auto opened = reader();
  ASSERT_EQ(opened.value()->next().value(), ReadOutcome::kFrame);
  EXPECT_FALSE(opened.value()->substitute(as_bytes(frame)));
}

TEST_F(ReaderRules, TheFrameBeforeAPlaceIsVerified) {
  ASSERT_TRUE(write_records(*log_.log, {put_record(1, "a", "1")}).is_ok());
  const LogFilePosition end = log_.log->position();
  const std::string whole = log_.disk.contents("logfile.0");
  const auto code = [&](const LogFilePosition& position) {
    const auto file = log_.directory->open("logfile.0", OpenMode::kRead);
    return read_frame_before(*file.value(), log_.log->seed(), position).status().code();
  };
  EXPECT_EQ(code(end), Code::kOk);
  LogFilePosition wrong = end;
  wrong.end_offset = uint64_t{1} << 60;
  EXPECT_EQ(code(wrong), Code::kCorruption);
  log_.disk.poke("logfile.0", end.frame_offset + kFrameHeaderBytes, as_bytes("x"));
  EXPECT_EQ(code(end), Code::kCorruption);
  log_.disk.set_contents("logfile.0", as_bytes(whole).first(end.end_offset - 1));
  EXPECT_EQ(code(end), Code::kCorruption);
  log_.disk.set_contents("logfile.0", as_bytes(whole));
  FrameHeader header = *decode_frame_header(as_bytes(whole).subspan(end.frame_offset),
                                            end.frame_offset, log_.log->seed());
  header.flags = 16;
  std::array<std::byte, kFrameHeaderBytes> bytes;
  encode_frame_header(header, log_.log->seed(), bytes.data());
  log_.disk.poke("logfile.0", end.frame_offset, bytes);
  wrong = end;
  wrong.chain = header.crc;
  EXPECT_EQ(code(wrong), Code::kCorruption);
}

TEST_F(ReaderRules, ATailThatBecameShorterIsNotSaved) {
  const auto file = log_.directory->open("logfile.0", OpenMode::kReadWrite);
  TailScan scan;
  scan.all_zero = false;
  scan.nonzero_end = file.value()->size().value() + kSectorBytes;
  EXPECT_FALSE(
      save_and_clear_tail(*log_.directory, *file.value(), 0, kLogHeaderBytes, scan).is_ok());
}

TEST_F(ReaderRules, ALogWhoseLengthCantBeAskedForIsNotReadOn) {
  const Result<std::unique_ptr<LogReader>> log = reader();
  ASSERT_TRUE(log.is_ok());
  log_.disk.fail_next(SimCall::kSize, SimFault::kIoError);
  EXPECT_EQ(log.value()->refresh(kMiB).code(), Code::kIoError);
  EXPECT_TRUE(log.value()->refresh(kMiB).is_ok());
}

TEST_F(ReaderRules, NothingIsWrittenWhenPreparedSpaceHasFailed) {
  log_.disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(log_.log->space().prepare_step(2 * kLogHeaderBytes).is_ok());
  const uint64_t calls = log_.disk.operations();
  EXPECT_FALSE(write_records(*log_.log, {put_record(1, "a", "1")}).is_ok());
  EXPECT_EQ(log_.disk.operations(), calls);
}

TEST_F(ReaderRules, ALogWhoseStartCantBeWrittenIsNotOpened) {
  for (uint64_t call = 0;; ++call) {
    SimDisk disk(1);
    const std::unique_ptr<Directory> directory = disk.mount();
    Result<LogEnd> end =
        create_log(*directory, {log_test::uid_from(0x10), 1, 7, 1, 5}, log_.options);
    ASSERT_TRUE(end.is_ok());
    LogEnd start = end.value();
    start.start_missing = true;
    const uint64_t fails = disk.operations() + call;
    disk.fail_at(fails, SimFault::kIoError);
    const bool opened = LogWriter::open(*directory, start, 7, 0, log_.options).is_ok();
    if (disk.operations() <= fails) break;
    EXPECT_FALSE(opened) << "call " << call << ", " << call_name(disk.calls()[fails]);
  }
}

TEST(FrameBuilderRules, AFrameIsEmptyWithoutRequestsAndBytes) {
  FrameBuilder frame;
  frame.reset(1, 0);
  EXPECT_TRUE(frame.empty());
  ASSERT_NE(frame.append(10), nullptr);
  EXPECT_FALSE(frame.empty());
  frame.reset(1, 0);
  frame.add_request(1, 1, 1);
  EXPECT_FALSE(frame.empty());
}

TEST(FrameBuilderRules, TheSumOfItsPartsIsLimited) {
  FrameBuilder frame;
  frame.reset(1, 0);
  ASSERT_NE(frame.append(kFrameBodyBytesMax - 10), nullptr);
  EXPECT_EQ(frame.append(11), nullptr);
  EXPECT_EQ(frame.append(SIZE_MAX - 5), nullptr);
  EXPECT_NE(frame.append(10), nullptr);
}

}  // namespace
}  // namespace small_db
