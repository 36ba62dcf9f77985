// Gathers one batch in the bytes that the log will hold. Commit thread; then, from finish() to the
// end of LogWriter::write, whoever writes it. Two builders are used in turn: one fills while the
// other is written.
//
//   reset ─▶ add_request, append … ─▶ finish ─▶ LogWriter::write ─▶ reset
//
// Invariant: the records lie in one buffer behind a gap that is wide enough for the frame header
// and the longest request table, so that finishing a frame moves nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "engine/wal/format.h"

namespace small_db {

class FrameBuilder {
 public:
  explicit FrameBuilder(size_t requests_max = kBatchRequestsMax);

  // Starts an empty frame whose first request gets `first_revision`, for the file with `seed`
  // (LogWriter::seed). Lets memory go that only a giant frame needed.
  void reset(uint64_t first_revision, uint32_t seed);

  // The next revision's request: one more of the last run, or a new run.
  // Requires: at most requests_max requests between two resets.
  void add_request(uint32_t slot, uint64_t incarnation, uint64_t sequence);

  // Room for `bytes` more of records, to be filled by the caller; a record may come in pieces.
  // Valid until the next append. Returns nullptr, and changes nothing, when the body would exceed
  // kFrameBodyBytesMax.
  std::byte* append(size_t bytes);

  // Counts records whose bytes are all appended.
  void count_records(uint32_t count) noexcept { header_.records += count; }

  // Takes back the last `bytes` that were appended and not counted.
  void unappend(size_t bytes) noexcept;

  // Makes it a frame without requests. Requires: no request, no bytes.
  void make_idle() noexcept;
  void make_seal() noexcept;
  void make_start(const StartBody& body, bool heal);

  bool empty() const noexcept { return header_.requests == 0 && record_bytes_ == 0; }
  uint64_t first_revision() const noexcept { return header_.first_revision; }
  uint64_t next_revision() const noexcept { return header_.next_revision(); }
  uint32_t requests() const noexcept { return header_.requests; }
  uint32_t records() const noexcept { return header_.records; }
  const std::vector<RequestRun>& runs() const noexcept { return runs_; }

  // As the frame stands now: its body, and what it takes in the file (a multiple of 512).
  size_t body_bytes() const noexcept { return runs_.size() * kRequestRunBytes + record_bytes_; }
  size_t frame_bytes() const noexcept { return small_db::frame_bytes(body_bytes()); }
  // What it would take with one more request in a new run, and `bytes` more of records.
  size_t frame_bytes_with(size_t bytes) const noexcept {
    return small_db::frame_bytes(body_bytes() + kRequestRunBytes + bytes);
  }

  // Lays the request table before the records and computes the body's CRC.
  void finish();

 private:
  friend class LogWriter;

  // The whole frame, header to padding. The header is not encoded yet. Requires: finish().
  MutableBytes frame() noexcept;
  void grow(size_t record_bytes);

  FrameHeader header_;
  uint32_t seed_ = 0;
  bool finished_ = false;
  std::vector<RequestRun> runs_;
  size_t requests_max_;
  size_t front_bytes_;                   // the gap before the records
  std::unique_ptr<std::byte[]> buffer_;  // gap, records, room for padding
  size_t record_capacity_ = 0;
  size_t record_bytes_ = 0;
};

}  // namespace small_db
