#include "engine/wal/frame_builder.h"

#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::put_record;

TEST(FrameBuilder, ConsecutiveRequestsOfASlotShareARun) {
  FrameBuilder frame;
  frame.reset(10, 0);
  frame.add_request(1, 5, 100);
  frame.add_request(1, 5, 101);
  frame.add_request(2, 6, 7);
  frame.add_request(1, 5, 102);  // another run: runs are in the order of revisions
  frame.add_request(1, 5, 104);
  frame.add_request(1, 6, 105);
  const std::vector<RequestRun> expected = {
      {1, 2, 5, 100}, {2, 1, 6, 7}, {1, 1, 5, 102}, {1, 1, 5, 104}, {1, 1, 6, 105}};
  EXPECT_EQ(frame.runs(), expected);
  EXPECT_EQ(frame.requests(), 6u);
  EXPECT_EQ(frame.next_revision(), 16u);
}

TEST(FrameBuilder, CountsTheBytesThatTheFrameWillTake) {
  FrameBuilder frame;
  frame.reset(1, 0);
  EXPECT_EQ(frame.frame_bytes(), 512u);
  EXPECT_EQ(frame.frame_bytes_with(512 - 96 - 24), 512u);
  EXPECT_EQ(frame.frame_bytes_with(512 - 96 - 24 + 1), 1024u);
  frame.add_request(1, 1, 1);
  ASSERT_NE(frame.append(400), nullptr);
  EXPECT_EQ(frame.body_bytes(), 424u);
  EXPECT_EQ(frame.frame_bytes(), 1024u);
  frame.unappend(100);
  EXPECT_EQ(frame.frame_bytes(), 512u);
}

TEST(FrameBuilder, RefusesABodyBeyondTheLimit) {
  FrameBuilder frame;
  frame.reset(1, 0);
  EXPECT_EQ(frame.append(kFrameBodyBytesMax + 1), nullptr);
  EXPECT_EQ(frame.append(SIZE_MAX), nullptr);
  EXPECT_TRUE(frame.empty());
}

TEST(FrameBuilder, TheLongestRecordFitsAndReadsBack) {
  log_test::NewTestLog t(kMiB);
  const std::string key(kKeyBytesMax, 'k');
  std::string value(kValueBytesMax, 'v');
  value.back() = 'e';
  ASSERT_TRUE(log_test::write_records(*t.log, {put_record(1, key, value)}).is_ok());
  ASSERT_TRUE(log_test::write_records(*t.log, {put_record(2, "small", "value")}).is_ok());
  auto reader = LogReader::open(*t.directory, 0);
  ASSERT_TRUE(reader.is_ok());
  ASSERT_EQ(reader.value()->next().value(), ReadOutcome::kFrame);
  int records = 0;
  const Status status = reader.value()->frame().for_each_record([&](const RecordView& record) {
    ++records;
    EXPECT_TRUE(as_text(record.key) == key);
    EXPECT_TRUE(as_text(record.value) == value);
    return Status::ok();
  });
  EXPECT_TRUE(status.is_ok());
  EXPECT_EQ(records, 1);
  EXPECT_EQ(reader.value()->next().value(), ReadOutcome::kFrame);
}

TEST(FrameBuilder, AFrameOfTheMostRequestsOfDifferentSlotsReadsBack) {
  log_test::NewTestLog t(kMiB);
  FrameBuilder frame;
  frame.reset(1, t.log->seed());
  for (uint32_t i = 0; i < kBatchRequestsMax; ++i) {
    frame.add_request(i % 7, 1, i);
    log_test::append_record(frame, put_record(1 + i, "key" + std::to_string(i), "value"));
  }
  frame.finish();
  ASSERT_TRUE(log_test::write_frame(*t.log, frame, 0).is_ok());
  auto reader = LogReader::open(*t.directory, 0);
  ASSERT_EQ(reader.value()->next().value(), ReadOutcome::kFrame);
  EXPECT_EQ(reader.value()->frame().runs(), frame.runs());
  EXPECT_EQ(reader.value()->next_revision(), 1 + kBatchRequestsMax);
}

}  // namespace
}  // namespace small_db
