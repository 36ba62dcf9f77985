// Reads the frames of one log file, each verified (header, body, order) before it is shown. Memory:
// one buffer, as long as the longest frame at hand. One thread; only reads.
//
// The reader never decides what a bad frame means: it stops there and says why. What follows from
// it is the recovery rule of format.h, in engine/wal/log_tail.h and engine/recovery.
#pragma once

#include <cstdint>
#include <memory>
#include <vector>

#include "engine/platform/file_system.h"
#include "engine/record/record.h"
#include "engine/wal/format.h"

namespace small_db {

// A verified frame. Points into the reader's buffer: valid until its next call.
class FrameView {
 public:
  FrameView() = default;
  FrameView(const FrameHeader& header, Bytes frame) : header_(header), frame_(frame) {}

  const FrameHeader& header() const noexcept { return header_; }
  bool is(uint32_t flag) const noexcept { return (header_.flags & flag) != 0; }
  // Header, body, padding: the bytes in the file.
  Bytes bytes() const noexcept { return frame_; }
  // Requires: is(kFrameStart).
  StartBody start() const noexcept;
  RequestRun run(uint32_t index) const noexcept;
  std::vector<RequestRun> runs() const;
  // Behind the request table: encoded, one behind the other.
  Bytes records() const noexcept {
    return body().subspan(size_t{header_.request_runs} * kRequestRunBytes);
  }

  // Calls `apply(const RecordView&)`, which returns a Status, for each record in order.
  // Errors: the first that `apply` gives; kCorruption when the records are not what the header
  // says.
  template <typename Apply>
  Status for_each_record(Apply&& apply) const {
    Bytes rest = records();
    uint64_t revision = header_.first_revision;
    for (uint32_t i = 0; i < header_.records; ++i) {
      const Result<DecodedRecord> record = decode_record(rest);
      if (!record.is_ok()) return record.status();
      const RecordView& view = record.value().view;
      if (view.revision < revision || view.revision >= header_.next_revision()) {
        return Status(Code::kCorruption, "log: revision of a record");
      }
      revision = view.revision;
      SMALL_DB_RETURN_IF_ERROR(apply(view));
      rest = rest.subspan(record.value().bytes);
    }
    if (!rest.empty()) return Status(Code::kCorruption, "log: bytes behind the records");
    return Status::ok();
  }

 private:
  Bytes body() const noexcept { return frame_.subspan(kFrameHeaderBytes, header_.body_bytes); }

  FrameHeader header_;
  Bytes frame_;
};

enum class ReadOutcome : uint8_t {
  kFrame,          // frame() is the next one
  kNoFrame,        // no valid frame here: the end, or damage; by rules 2 and 3
  kContradiction,  // a valid header that breaks rule 4 or 5: corruption whatever follows
};

class LogReader {
 public:
  // Opens logfile.N and verifies its header. Errors: kNotFound, kCorruption, kWrongFormat,
  // kIoError.
  static Result<std::unique_ptr<LogReader>> open(Directory& directory, uint64_t generation);

  const LogHeader& header() const noexcept { return header_; }
  uint64_t size() const noexcept { return size_; }
  File& file() noexcept { return *file_; }

  // Goes to `position`, behind the frame that ends with `revision`; no epoch below `epoch` may
  // follow. Errors: kCorruption when this file has no such place; kIoError.
  Status resume(const LogFilePosition& position, uint64_t revision, uint64_t epoch);

  // Reads the frame at position(). Only kFrame moves on. Errors: kIoError, the file can't be read.
  Result<ReadOutcome> next();

  // Forgets what was read ahead: the file may be longer by now, and other bytes may stand where no
  // frame was. bytes: how much is read ahead from now on. Errors: kIoError.
  Status refresh(size_t read_ahead_bytes);

  // Takes `frame` (header to padding, read elsewhere) for the frame at position() if it is exactly
  // one that fits there; then as next() with kFrame. `frame` must outlive the use of frame().
  bool substitute(Bytes frame);

  const FrameView& frame() const noexcept { return frame_; }
  // What was wrong, after kNoFrame or kContradiction: a literal.
  const char* reason() const noexcept { return reason_; }

  const LogFilePosition& position() const noexcept { return position_; }
  // The revision expected at position(); 0 when any is.
  uint64_t next_revision() const noexcept { return next_revision_; }
  uint64_t epoch() const noexcept { return epoch_; }
  bool sealed() const noexcept { return sealed_; }
  // The highest prepared end of the file header and the frames read: rule 7.
  uint64_t prepared_end() const noexcept { return prepared_end_; }

 private:
  LogReader(std::unique_ptr<File> file, const LogHeader& header, uint64_t size);
  Result<Bytes> peek(uint64_t offset, size_t bytes);
  const char* misfit(const FrameHeader& header) const noexcept;
  ReadOutcome check(const FrameHeader& header, Bytes frame) noexcept;
  ReadOutcome stop(ReadOutcome outcome, const char* reason) noexcept;

  std::unique_ptr<File> file_;
  LogHeader header_;
  uint64_t size_;
  LogFilePosition position_;
  uint64_t next_revision_ = 0;
  uint64_t epoch_ = 0;
  uint64_t prepared_end_;
  bool sealed_ = false;
  const char* reason_ = "";
  FrameView frame_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t buffer_capacity_ = 0;
  size_t read_ahead_bytes_ = kMiB;
  uint64_t buffer_offset_ = 0;  // of the file
  size_t buffer_bytes_ = 0;
};

// A frame with its bytes, header to padding.
struct OwnedFrame {
  FrameHeader header;
  std::vector<std::byte> bytes;
};

// The frame before `position`, verified but for its order. Errors: kCorruption when what stands
// there is not the frame that `position` names; kIoError. Requires: there is a frame before.
Result<OwnedFrame> read_frame_before(File& file, uint32_t seed, const LogFilePosition& position);

}  // namespace small_db
