#include "engine/replication/stream.h"

#include <algorithm>
#include <array>

#include "engine/base/crc32c.h"
#include "engine/record/record.h"

namespace small_db {

namespace {

constexpr size_t kCrcBegin = 8;

uint32_t header_crc(const std::byte* header) noexcept {
  return crc32c(Bytes(header + kCrcBegin, kStreamHeaderBytes - kCrcBegin));
}

// Rule 4, of the records.
const char* record_contradiction(const StreamMessage& message) noexcept {
  Bytes rest = message.body;
  uint64_t revision = message.first_revision;
  for (uint32_t i = 0; i < message.records; ++i) {
    const Result<DecodedRecord> record = decode_record(rest);
    if (!record.is_ok()) return "stream: record of a frame";
    const uint64_t next = record.value().view.revision;
    if (next < revision || next >= message.next_revision()) return "stream: revision of a record";
    revision = next;
    rest = rest.subspan(record.value().bytes);
  }
  return rest.empty() ? nullptr : "stream: bytes behind the records";
}

}  // namespace

Hash128 StreamMessage::state_hash() const noexcept {
  SMALL_DB_ASSERT(body.size() == kStateBodyBytes);
  return {load<uint64_t>(body.data()), load<uint64_t>(body.data() + 8)};
}

uint64_t StreamMessage::bytes_behind() const noexcept {
  SMALL_DB_ASSERT(body.size() == kAliveBodyBytes);
  return load<uint64_t>(body.data());
}

const char* stream_message_contradiction(const StreamMessage& message,
                                         uint64_t body_bytes) noexcept {
  const bool is_frame = message.type == StreamMessageType::kFrame;
  const bool is_state = message.type == StreamMessageType::kState;
  if (!is_frame && !is_state && message.type != StreamMessageType::kAlive) return "stream: type";
  if (message.first_revision == 0) return "stream: first revision";
  if (message.next_revision() < message.first_revision) return "stream: last revision";
  if (message.durable_revision < message.next_revision() - 1) return "stream: durable revision";
  if (is_frame != (message.requests != 0)) return "stream: request count";
  if (!is_frame && message.records != 0) return "stream: record count";
  if (is_frame) {
    const uint64_t least = uint64_t{message.records} * kRecordBytesMin;
    const uint64_t most = message.records == 0 ? 0 : kFrameBodyBytesMax;
    return body_bytes < least || body_bytes > most ? "stream: body length" : nullptr;
  }
  const size_t exactly = is_state ? kStateBodyBytes : kAliveBodyBytes;
  return body_bytes == exactly ? nullptr : "stream: body length";
}

void encode_stream_header(const StreamMessage& message, uint32_t body_bytes, uint32_t body_crc,
                          std::byte* to) noexcept {
  store<uint32_t>(to, kStreamMagic);
  store<uint32_t>(to + 8, static_cast<uint32_t>(message.type));
  store<uint32_t>(to + 12, body_bytes);
  store<uint32_t>(to + 16, body_crc);
  store<uint32_t>(to + 20, 0);
  store<uint64_t>(to + 24, message.epoch);
  store<uint64_t>(to + 32, message.first_revision);
  store<uint32_t>(to + 40, message.requests);
  store<uint32_t>(to + 44, message.records);
  store<uint64_t>(to + 48, message.durable_revision);
  store<uint64_t>(to + 56, message.time_ms);
  store<uint32_t>(to + 4, header_crc(to));
}

void encode_stream_header(const StreamMessage& message, std::byte* to) noexcept {
  encode_stream_header(message, static_cast<uint32_t>(message.body.size()), crc32c(message.body),
                       to);
}

void append_message(const StreamMessage& message, std::string* out) {
  std::array<std::byte, kStreamHeaderBytes> header;
  encode_stream_header(message, header.data());
  out->append(as_text(header)).append(as_text(message.body));
}

void encode_state_body(const Hash128& hash, std::byte* to) noexcept {
  store<uint64_t>(to, hash.low);
  store<uint64_t>(to + 8, hash.high);
}

void encode_alive_body(uint64_t bytes_behind, std::byte* to) noexcept {
  store<uint64_t>(to, bytes_behind);
}

void StreamParser::feed(Bytes bytes) noexcept {
  if (!failure_.is_ok()) return;
  SMALL_DB_ASSERT(input_.empty());
  input_ = bytes;
}

Result<bool> StreamParser::next(StreamMessage* message) {
  if (!failure_.is_ok()) return failure_;
  if (buffer_used_) {
    buffer_.clear();
    if (buffer_.capacity() > kKeptBytes) release_buffer();
    buffer_used_ = false;
  }
  if (message_bytes_ == 0) {
    fill(kStreamHeaderBytes);
    if (at_hand().size() < kStreamHeaderBytes) return wait_for_more();
    const Status status = read_header(at_hand());
    if (!status.is_ok()) return fail(status.site());
  }
  fill(message_bytes_);
  if (at_hand().size() < message_bytes_) return wait_for_more();
  header_.body = at_hand().subspan(kStreamHeaderBytes, message_bytes_ - kStreamHeaderBytes);
  if (crc32c(header_.body) != body_crc_) return fail("stream: body checksum");
  if (header_.type == StreamMessageType::kFrame) {
    const char* contradiction = record_contradiction(header_);
    if (contradiction != nullptr) return fail(contradiction);
  }
  if (buffer_.empty()) {
    input_ = input_.subspan(message_bytes_);
  } else {
    buffer_used_ = true;
  }
  message_bytes_ = 0;
  *message = header_;
  return true;
}

// Before its body is waited for: what a header asks for is never more than a message may have.
Status StreamParser::read_header(Bytes at) noexcept {
  const std::byte* from = at.data();
  if (load<uint32_t>(from) != kStreamMagic) return {Code::kCorruption, "stream: magic"};
  if (load<uint32_t>(from + 4) != header_crc(from)) {
    return {Code::kCorruption, "stream: header checksum"};
  }
  if (load<uint32_t>(from + 20) != 0) return {Code::kCorruption, "stream: zeros"};
  const uint32_t body_bytes = load<uint32_t>(from + 12);
  header_ = {};
  header_.type = static_cast<StreamMessageType>(load<uint32_t>(from + 8));
  header_.epoch = load<uint64_t>(from + 24);
  header_.first_revision = load<uint64_t>(from + 32);
  header_.requests = load<uint32_t>(from + 40);
  header_.records = load<uint32_t>(from + 44);
  header_.durable_revision = load<uint64_t>(from + 48);
  header_.time_ms = load<uint64_t>(from + 56);
  const char* contradiction = stream_message_contradiction(header_, body_bytes);
  if (contradiction != nullptr) return {Code::kCorruption, contradiction};
  message_bytes_ = kStreamHeaderBytes + body_bytes;
  body_crc_ = load<uint32_t>(from + 16);
  return Status::ok();
}

Result<bool> StreamParser::fail(const char* site) noexcept {
  failure_ = Status(Code::kCorruption, site);
  input_ = {};
  release_buffer();
  return failure_;
}

void StreamParser::release_buffer() noexcept { std::vector<std::byte>().swap(buffer_); }

// Nobody keeps the bytes that were fed.
Result<bool> StreamParser::wait_for_more() {
  if (buffer_.empty()) {
    buffer_.reserve(std::max(message_bytes_, kStreamHeaderBytes));
    buffer_.assign(input_.begin(), input_.end());
    input_ = {};
  }
  return false;
}

// Completes a message that did not come whole, up to that length, as far as there is input.
void StreamParser::fill(size_t bytes) {
  if (buffer_.empty() || buffer_.size() >= bytes) return;
  buffer_.reserve(bytes);
  const Bytes taken = input_.first(std::min(input_.size(), bytes - buffer_.size()));
  buffer_.insert(buffer_.end(), taken.begin(), taken.end());
  input_ = input_.subspan(taken.size());
}

}  // namespace small_db
