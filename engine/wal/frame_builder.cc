#include "engine/wal/frame_builder.h"

#include <algorithm>
#include <cstring>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

// What a builder keeps between frames: a batch of the usual bounds fits without growing.
constexpr size_t kKeptRecordBytes = kBatchBytesMax + kMiB;
constexpr size_t kFirstRecordBytes = 64 * kKiB;

}  // namespace

FrameBuilder::FrameBuilder(size_t requests_max)
    : requests_max_(requests_max),
      front_bytes_(align_up(
          kFrameHeaderBytes + std::max(kStartBodyBytes, requests_max * kRequestRunBytes), 64)) {
  reset(1, 0);
}

void FrameBuilder::reset(uint64_t first_revision, uint32_t seed) {
  header_ = FrameHeader();
  header_.first_revision = first_revision;
  seed_ = seed;
  finished_ = false;
  runs_.clear();
  record_bytes_ = 0;
  if (record_capacity_ > kKeptRecordBytes) {
    buffer_.reset();
    record_capacity_ = 0;
  }
}

void FrameBuilder::add_request(uint32_t slot, uint64_t incarnation, uint64_t sequence) {
  SMALL_DB_ASSERT(header_.flags == 0 && header_.requests < requests_max_);
  ++header_.requests;
  if (!runs_.empty()) {
    RequestRun& last = runs_.back();
    if (last.slot == slot && last.incarnation == incarnation &&
        last.first_sequence + last.count == sequence) {
      ++last.count;
      return;
    }
  }
  runs_.push_back({slot, 1, incarnation, sequence});
}

std::byte* FrameBuilder::append(size_t bytes) {
  SMALL_DB_ASSERT(header_.flags == 0 && !finished_);
  if (bytes > kFrameBodyBytesMax || body_bytes() + bytes > kFrameBodyBytesMax) return nullptr;
  grow(record_bytes_ + bytes);
  std::byte* room = buffer_.get() + front_bytes_ + record_bytes_;
  record_bytes_ += bytes;
  return room;
}

void FrameBuilder::unappend(size_t bytes) noexcept {
  SMALL_DB_ASSERT(bytes <= record_bytes_ && !finished_);
  record_bytes_ -= bytes;
}

void FrameBuilder::make_idle() noexcept {
  SMALL_DB_ASSERT(empty());
  header_.flags = kFrameIdle;
}

void FrameBuilder::make_seal() noexcept {
  SMALL_DB_ASSERT(empty());
  header_.flags = kFrameSeal;
}

void FrameBuilder::make_start(const StartBody& body, bool heal) {
  SMALL_DB_ASSERT(empty());
  grow(kStartBodyBytes);
  encode_start_body(body, buffer_.get() + front_bytes_);
  record_bytes_ = kStartBodyBytes;
  header_.flags = kFrameStart | (heal ? kFrameHeal : 0);
}

void FrameBuilder::grow(size_t record_bytes) {
  if (buffer_ != nullptr && record_bytes <= record_capacity_) return;
  const size_t capacity = std::max({record_bytes, record_capacity_ * 2, kFirstRecordBytes});
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(front_bytes_ + capacity + kSectorBytes);
  if (record_bytes_ != 0) {
    std::memcpy(buffer.get() + front_bytes_, buffer_.get() + front_bytes_, record_bytes_);
  }
  buffer_ = std::move(buffer);
  record_capacity_ = capacity;
}

void FrameBuilder::finish() {
  SMALL_DB_ASSERT(!finished_);
  grow(0);
  const size_t table_bytes = runs_.size() * kRequestRunBytes;
  std::byte* body = buffer_.get() + front_bytes_ - table_bytes;
  std::byte* at = body;
  for (const RequestRun& run : runs_) {
    encode_request_run(run, at);
    at += kRequestRunBytes;
  }
  header_.request_runs = static_cast<uint32_t>(runs_.size());
  header_.body_bytes = static_cast<uint32_t>(body_bytes());
  header_.body_crc = crc32c(Bytes(body, body_bytes()), seed_);
  std::memset(body + body_bytes(), 0, frame_bytes() - kFrameHeaderBytes - body_bytes());
  finished_ = true;
}

MutableBytes FrameBuilder::frame() noexcept {
  SMALL_DB_ASSERT(finished_);
  const size_t before_records = kFrameHeaderBytes + runs_.size() * kRequestRunBytes;
  return {buffer_.get() + front_bytes_ - before_records, frame_bytes()};
}

}  // namespace small_db
