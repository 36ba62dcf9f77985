// What the tests of log and recovery share: a small log with known ids on a simulated disk, and
// short ways to write a frame.
#pragma once

#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/record/record.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"
#include "tests/sim/sim_fs.h"

namespace small_db::log_test {

// Counted ids, so that files are the same in each run.
inline LogOptions small_options(uint64_t step_bytes = 2048) {
  LogOptions options;
  options.prepare_step_bytes = step_bytes;
  options.random = [next = 0xa0](MutableBytes bytes) mutable {
    for (std::byte& byte : bytes) byte = static_cast<std::byte>(next++);
  };
  return options;
}

inline Uid uid_from(int first) {
  Uid uid{};
  for (std::byte& byte : uid) byte = static_cast<std::byte>(first++);
  return uid;
}

inline std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

inline RecordView put_record(uint64_t revision, std::string_view key, std::string_view value) {
  return {RecordType::kPut, revision, 0, as_bytes(key), as_bytes(value)};
}

inline RecordView delete_record(uint64_t revision, std::string_view key) {
  return {RecordType::kDelete, revision, 0, as_bytes(key), {}};
}

inline void append_record(FrameBuilder& frame, const RecordView& record) {
  std::byte* room = frame.append(record_bytes(record));
  ASSERT_NE(room, nullptr);
  encode_record(record, room);
  frame.count_records(1);
}

// A builder with one request per record, of slot 1.
inline void fill_frame(FrameBuilder& frame, uint32_t seed, const std::vector<RecordView>& records) {
  frame.reset(records.front().revision, seed);
  for (const RecordView& record : records) {
    frame.add_request(1, 9, record.revision);
    append_record(frame, record);
  }
  frame.finish();
}

// Prepares room when there is none, reserves, writes and syncs.
inline Status write_frame(LogWriter& log, FrameBuilder& frame, uint64_t durable_revision,
                          uint64_t epoch = 7) {
  while (log.available_bytes() < frame.frame_bytes()) {
    const Result<bool> step = log.space().prepare_step(log.reserved_end() + frame.frame_bytes());
    if (!step.is_ok()) return step.status();
  }
  EXPECT_TRUE(log.reserve(frame.frame_bytes()));
  SMALL_DB_RETURN_IF_ERROR(log.write(frame, durable_revision, epoch, 0x1111));
  return log.sync();
}

inline Status write_records(LogWriter& log, const std::vector<RecordView>& records) {
  FrameBuilder frame;
  fill_frame(frame, log.seed(), records);
  return write_frame(log, frame, records.front().revision - 1);
}

inline Status write_mark(LogWriter& log, uint32_t flag, uint64_t next_revision) {
  FrameBuilder frame;
  frame.reset(next_revision, log.seed());
  if (flag == kFrameSeal) frame.make_seal();
  if (flag == kFrameIdle) frame.make_idle();
  frame.finish();
  return write_frame(log, frame, next_revision - 1);
}

// A new logfile.0 and its writer.
struct NewTestLog {
  explicit NewTestLog(uint64_t step_bytes = 2048) : options(small_options(step_bytes)) {
    directory = disk.mount();
    const Result<LogEnd> end = create_log(*directory, {uid_from(0x10), 0, 7, 1, 5}, options);
    EXPECT_TRUE(end.is_ok()) << end.status().text();
    Result<std::unique_ptr<LogWriter>> opened =
        LogWriter::open(*directory, end.value(), 7, 0x1111, options);
    EXPECT_TRUE(opened.is_ok()) << opened.status().text();
    log = std::move(opened).value();
  }

  SimDisk disk;
  std::unique_ptr<Directory> directory;
  LogOptions options;
  std::unique_ptr<LogWriter> log;
};

}  // namespace small_db::log_test
