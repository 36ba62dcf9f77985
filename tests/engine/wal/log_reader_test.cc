#include "engine/wal/log_reader.h"

#include "engine/base/crc32c.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::fill_frame;
using log_test::NewTestLog;
using log_test::put_record;
using log_test::write_frame;
using log_test::write_mark;
using log_test::write_records;

std::string keys_of(const FrameView& frame) {
  std::string keys;
  const Status status = frame.for_each_record([&](const RecordView& record) {
    keys += std::string(as_text(record.key)) + "@" + std::to_string(record.revision) + " ";
    return Status::ok();
  });
  return status.is_ok() ? keys : status.text();
}

struct ReadLog : NewTestLog {
  LogReader& open() {
    auto opened = LogReader::open(*directory, 0);
    EXPECT_TRUE(opened.is_ok()) << opened.status().text();
    reader = std::move(opened).value();
    return *reader;
  }
  void flip(uint64_t offset) {
    const char byte = static_cast<char>(disk.contents("logfile.0")[offset] ^ 1);
    disk.poke("logfile.0", offset, as_bytes(std::string_view(&byte, 1)));
  }
  std::unique_ptr<LogReader> reader;
};

TEST(LogReader, GivesFramesInOrderAndStopsAtTheEnd) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1"), put_record(2, "b", "2")}).is_ok());
  ASSERT_TRUE(write_mark(*t.log, kFrameIdle, 3).is_ok());
  ASSERT_TRUE(write_records(*t.log, {put_record(3, "c", "3")}).is_ok());
  LogReader& reader = t.open();
  ASSERT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(keys_of(reader.frame()), "a@1 b@2 ");
  EXPECT_EQ(reader.frame().runs(), (std::vector<RequestRun>{{1, 2, 9, 1}}));
  ASSERT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_TRUE(reader.frame().is(kFrameIdle));
  EXPECT_EQ(reader.next_revision(), 3u);
  ASSERT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(keys_of(reader.frame()), "c@3 ");
  EXPECT_EQ(reader.next().value(), ReadOutcome::kNoFrame);
  EXPECT_EQ(reader.next().value(), ReadOutcome::kNoFrame);
  EXPECT_EQ(reader.position(), t.log->position());
  EXPECT_EQ(reader.next_revision(), 4u);
}

TEST(LogReader, EveryFlippedBitOfAFrameStopsItThere) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  ASSERT_TRUE(write_records(*t.log, {put_record(2, "b", "2")}).is_ok());
  const size_t frame_bytes = kFrameHeaderBytes + kRequestRunBytes + kRecordHeaderBytes + 2;
  for (uint64_t at = 4608; at < 4608 + frame_bytes; ++at) {
    t.flip(at);
    LogReader& reader = t.open();
    EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
    EXPECT_EQ(reader.next().value(), ReadOutcome::kNoFrame) << at;
    EXPECT_EQ(reader.position().end_offset, 4608u);
    t.flip(at);
  }
  t.flip(4608 + frame_bytes);  // padding says nothing
  LogReader& reader = t.open();
  EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
}

// Defect of the ancestor: a zero-filled tail made the store refuse to open.
TEST(LogReader, AZeroFilledTailIsTheEnd) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  ASSERT_TRUE(t.log->space().prepare_step(1 << 14).is_ok());
  LogReader& reader = t.open();
  EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(reader.next().value(), ReadOutcome::kNoFrame);
}

// Defect of the ancestor: the checksum covered neither length nor position.
TEST(LogReader, AFrameThatStandsElsewhereIsNoFrame) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  ASSERT_TRUE(write_records(*t.log, {put_record(2, "b", "2")}).is_ok());
  const std::string frame = t.disk.contents("logfile.0").substr(4608, 512);
  t.disk.poke("logfile.0", 4096, as_bytes(frame));
  EXPECT_EQ(t.open().next().value(), ReadOutcome::kNoFrame);
}

TEST(LogReader, AFrameOfAnotherLogIsNoFrame) {
  ReadLog t;
  NewTestLog other;
  ASSERT_TRUE(write_records(*other.log, {put_record(1, "a", "1")}).is_ok());
  const Result<LogEnd> again =
      create_log(*t.directory, {log_test::uid_from(0x10), 0, 7, 1, 5}, t.options);  // another uid
  ASSERT_TRUE(again.is_ok());
  t.disk.poke("logfile.0", 4096, as_bytes(other.disk.contents("logfile.0").substr(4096, 512)));
  EXPECT_EQ(t.open().next().value(), ReadOutcome::kNoFrame);
  t.disk.poke("logfile.0", 0, as_bytes(other.disk.contents("logfile.0").substr(0, 4096)));
  EXPECT_EQ(t.open().next().value(), ReadOutcome::kFrame);
}

// Frames of a valid header and body that do not belong where they stand.
TEST(LogReader, AFrameThatDoesNotFitIsAContradiction) {
  struct Case {
    const char* name;
    uint64_t revision, epoch;
    uint32_t chain_change;
    uint32_t flag;
  };
  const Case cases[] = {{"revision left out", 3, 7, 0, 0},
                        {"revision again", 1, 7, 0, 0},
                        {"former epoch", 2, 6, 0, 0},
                        {"chain", 2, 7, 1, 0},
                        {"START in the middle", 2, 7, 0, kFrameStart}};
  for (const Case& c : cases) {
    ReadLog t;
    ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
    FrameHeader header;
    header.offset = 4608;
    header.first_revision = c.revision;
    header.durable_revision = c.revision - 1;
    header.epoch = c.epoch;
    header.flags = c.flag == 0 ? kFrameIdle : c.flag;
    header.chain = t.log->position().chain ^ c.chain_change;
    header.prepared_end = t.log->space().prepared_end();
    header.body_crc = t.log->seed();  // of an empty body
    header.body_bytes = c.flag == kFrameStart ? kStartBodyBytes : 0;
    std::array<std::byte, kFrameHeaderBytes> bytes;
    encode_frame_header(header, t.log->seed(), bytes.data());
    t.disk.poke("logfile.0", 4608, bytes);
    LogReader& reader = t.open();
    EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
    EXPECT_EQ(reader.next().value(), ReadOutcome::kContradiction) << c.name;
    EXPECT_STRNE(reader.reason(), "") << c.name;
  }
}

TEST(LogReader, ARequestTableThatDoesNotAddUpIsAContradiction) {
  ReadLog t;
  FrameBuilder frame;
  fill_frame(frame, t.log->seed(), {put_record(1, "a", "1")});
  ASSERT_TRUE(write_frame(*t.log, frame, 0).is_ok());
  // Counts two requests in the run, with all CRCs made right again.
  std::string file = t.disk.contents("logfile.0");
  std::byte* at = reinterpret_cast<std::byte*>(file.data()) + 4096;
  FrameHeader header = *decode_frame_header(Bytes(at, 512), 4096, t.log->seed());
  store<uint32_t>(at + kFrameHeaderBytes + 4, 2);
  header.body_crc = crc32c(Bytes(at + kFrameHeaderBytes, header.body_bytes), t.log->seed());
  encode_frame_header(header, t.log->seed(), at);
  t.disk.set_contents("logfile.0", as_bytes(file));
  EXPECT_EQ(t.open().next().value(), ReadOutcome::kContradiction);
}

TEST(LogReader, RecordsOutsideOfTheFramesRevisionsAreCorrupt) {
  for (const uint64_t revision : {uint64_t{0}, uint64_t{2}}) {
    ReadLog t;
    FrameBuilder frame;
    frame.reset(1, t.log->seed());
    frame.add_request(1, 9, 1);
    log_test::append_record(frame, put_record(revision, "a", "1"));
    frame.finish();
    ASSERT_TRUE(write_frame(*t.log, frame, 0).is_ok());
    LogReader& reader = t.open();
    ASSERT_EQ(reader.next().value(), ReadOutcome::kFrame);
    const auto ignore = [](const RecordView&) { return Status::ok(); };
    EXPECT_EQ(reader.frame().for_each_record(ignore).code(), Code::kCorruption);
  }
}

TEST(LogReader, NothingIsReadBehindSeal) {
  ReadLog t;
  ASSERT_TRUE(write_mark(*t.log, kFrameSeal, 1).is_ok());
  LogReader& reader = t.open();
  EXPECT_EQ(reader.next().value(), ReadOutcome::kFrame);
  EXPECT_TRUE(reader.sealed());
  EXPECT_EQ(reader.next().value(), ReadOutcome::kNoFrame);
}

TEST(LogReader, ReadsOnFromAPlaceThatTheLogAgreesWith) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  const LogFilePosition middle = t.log->position();
  ASSERT_TRUE(write_records(*t.log, {put_record(2, "b", "2")}).is_ok());
  ASSERT_TRUE(t.open().resume(middle, 1, 7).is_ok());
  ASSERT_EQ(t.reader->next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(keys_of(t.reader->frame()), "b@2 ");

  EXPECT_EQ(t.open().resume(middle, 2, 7).code(), Code::kCorruption);
  LogFilePosition wrong = middle;
  wrong.chain ^= 1;
  EXPECT_EQ(t.open().resume(wrong, 1, 7).code(), Code::kCorruption);
  wrong = middle;
  wrong.end_offset += 512;
  EXPECT_EQ(t.open().resume(wrong, 1, 7).code(), Code::kCorruption);
  wrong = middle;
  wrong.frame_offset = wrong.end_offset;
  EXPECT_EQ(t.open().resume(wrong, 1, 7).code(), Code::kCorruption);
}

TEST(LogReader, AReadErrorIsAnErrorAndNotTheEnd) {
  ReadLog t;
  ASSERT_TRUE(write_records(*t.log, {put_record(1, "a", "1")}).is_ok());
  LogReader& reader = t.open();
  t.disk.fail_next(SimCall::kRead, SimFault::kIoError);
  EXPECT_EQ(reader.next().status().code(), Code::kIoError);
}

TEST(LogReader, ALogUnderAnotherNumberIsRefused) {
  ReadLog t;
  t.disk.set_contents("logfile.1", as_bytes(t.disk.contents("logfile.0")));
  EXPECT_EQ(LogReader::open(*t.directory, 1).status().code(), Code::kCorruption);
  EXPECT_EQ(LogReader::open(*t.directory, 2).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace small_db
