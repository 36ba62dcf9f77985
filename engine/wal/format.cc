#include "engine/wal/format.h"

#include <algorithm>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

constexpr size_t kHeaderFieldsEnd = 88;
constexpr size_t kHeaderCrcOffset = kLogHeaderBytes - 4;
constexpr size_t kSeedBegin = 16;
constexpr size_t kSeedEnd = 56;

bool is_zero(Bytes bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

}  // namespace

void encode_log_header(LogHeader& header, std::byte* to) noexcept {
  std::memset(to, 0, kLogHeaderBytes);
  std::memcpy(to, kLogMagic, 8);
  store<uint32_t>(to + 8, kLogFormatVersion);
  store<uint32_t>(to + 12, kLogHeaderBytes);
  copy_bytes(to + 16, header.cluster_id);
  store<uint64_t>(to + 32, header.generation);
  copy_bytes(to + 40, header.log_uid);
  store<uint64_t>(to + 56, header.epoch);
  store<uint64_t>(to + 64, header.first_revision);
  store<uint64_t>(to + 72, header.created_ms);
  store<uint64_t>(to + 80, header.prepared_end);
  header.crc = crc32c(Bytes(to, kHeaderCrcOffset));
  header.seed = crc32c(Bytes(to + kSeedBegin, kSeedEnd - kSeedBegin));
  store<uint32_t>(to + kHeaderCrcOffset, header.crc);
}

Result<LogHeader> decode_log_header(Bytes from) noexcept {
  if (from.size() < kLogHeaderBytes) return Status(Code::kCorruption, "log header: cut short");
  const std::byte* at = from.data();
  if (std::memcmp(at, kLogMagic, 8) != 0) return Status(Code::kCorruption, "log header: magic");
  LogHeader header;
  header.crc = load<uint32_t>(at + kHeaderCrcOffset);
  if (header.crc != crc32c(from.first(kHeaderCrcOffset))) {
    return Status(Code::kCorruption, "log header: checksum");
  }
  if (load<uint32_t>(at + 8) != kLogFormatVersion || load<uint32_t>(at + 12) != kLogHeaderBytes) {
    return Status(Code::kWrongFormat, "log header: format version");
  }
  if (!is_zero(from.subspan(kHeaderFieldsEnd, kHeaderCrcOffset - kHeaderFieldsEnd))) {
    return Status(Code::kCorruption, "log header: zeros");
  }
  std::memcpy(header.cluster_id.data(), at + 16, sizeof(Uid));
  header.generation = load<uint64_t>(at + 32);
  std::memcpy(header.log_uid.data(), at + 40, sizeof(Uid));
  header.epoch = load<uint64_t>(at + 56);
  header.first_revision = load<uint64_t>(at + 64);
  header.created_ms = load<uint64_t>(at + 72);
  header.prepared_end = load<uint64_t>(at + 80);
  if (header.first_revision == 0) return Status(Code::kCorruption, "log header: first revision");
  if (header.prepared_end < kLogHeaderBytes || header.prepared_end % kSectorBytes != 0) {
    return Status(Code::kCorruption, "log header: prepared end");
  }
  header.seed = crc32c(from.subspan(kSeedBegin, kSeedEnd - kSeedBegin));
  return header;
}

void encode_frame_header(FrameHeader& header, uint32_t seed, std::byte* to) noexcept {
  std::memset(to, 0, kFrameHeaderBytes);
  store<uint32_t>(to, kFrameMagic);
  store<uint64_t>(to + 8, header.offset);
  store<uint64_t>(to + 16, header.first_revision);
  store<uint64_t>(to + 24, header.durable_revision);
  store<uint64_t>(to + 32, header.epoch);
  store<uint64_t>(to + 40, header.time_ms);
  store<uint32_t>(to + 48, header.body_bytes);
  store<uint32_t>(to + 52, header.body_crc);
  store<uint32_t>(to + 56, header.records);
  store<uint32_t>(to + 60, header.requests);
  store<uint32_t>(to + 64, header.request_runs);
  store<uint32_t>(to + 68, header.flags);
  store<uint32_t>(to + 72, header.chain);
  store<uint64_t>(to + 80, header.prepared_end);
  header.crc = crc32c(Bytes(to + 8, kFrameHeaderBytes - 8), seed);
  store<uint32_t>(to + 4, header.crc);
}

std::optional<FrameHeader> decode_frame_header(Bytes from, uint64_t offset,
                                               uint32_t seed) noexcept {
  if (from.size() < kFrameHeaderBytes) return std::nullopt;
  const std::byte* at = from.data();
  if (load<uint32_t>(at) != kFrameMagic || load<uint64_t>(at + 8) != offset) return std::nullopt;
  FrameHeader header;
  header.crc = load<uint32_t>(at + 4);
  if (header.crc != crc32c(from.subspan(8, kFrameHeaderBytes - 8), seed)) return std::nullopt;
  header.offset = offset;
  header.first_revision = load<uint64_t>(at + 16);
  header.durable_revision = load<uint64_t>(at + 24);
  header.epoch = load<uint64_t>(at + 32);
  header.time_ms = load<uint64_t>(at + 40);
  header.body_bytes = load<uint32_t>(at + 48);
  header.body_crc = load<uint32_t>(at + 52);
  header.records = load<uint32_t>(at + 56);
  header.requests = load<uint32_t>(at + 60);
  header.request_runs = load<uint32_t>(at + 64);
  header.flags = load<uint32_t>(at + 68);
  header.chain = load<uint32_t>(at + 72);
  header.prepared_end = load<uint64_t>(at + 80);
  header.reserved = load<uint32_t>(at + 76) | load<uint64_t>(at + 88);
  return header;
}

const char* frame_header_contradiction(const FrameHeader& header) noexcept {
  const uint32_t flags = header.flags;
  const uint32_t kind = flags & ~kFrameHeal;
  if (kind != 0 && kind != kFrameStart && kind != kFrameSeal && kind != kFrameIdle) {
    return "flags of the frame";
  }
  if ((flags & kFrameHeal) != 0 && kind != kFrameStart) return "flags of the frame";
  if (header.reserved != 0) return "reserved fields of the frame";
  if ((kind == 0) != (header.requests != 0)) return "request count of the frame";
  if (header.request_runs > header.requests) return "request runs of the frame";
  if ((header.requests != 0) != (header.request_runs != 0)) return "request runs of the frame";
  if (kind != 0 && header.records != 0) return "record count of the frame";
  const uint64_t least = kind == kFrameStart ? kStartBodyBytes
                         : kind != 0         ? 0
                                             : uint64_t{header.request_runs} * kRequestRunBytes +
                                           uint64_t{header.records} * kRecordBytesMin;
  if (header.body_bytes < least || header.body_bytes > kFrameBodyBytesMax ||
      (kind != 0 && header.body_bytes != least)) {
    return "body length of the frame";
  }
  if (header.durable_revision >= header.first_revision) return "durable revision of the frame";
  if (header.next_revision() < header.first_revision) return "first revision of the frame";
  if (header.end_offset() > header.prepared_end || header.prepared_end % kSectorBytes != 0)
    return "prepared end of the frame";
  return nullptr;
}

void encode_start_body(const StartBody& body, std::byte* to) noexcept {
  store<uint64_t>(to, body.previous_generation);
  store<uint64_t>(to + 8, body.last_revision);
  store<uint32_t>(to + 16, body.chain);
  store<uint32_t>(to + 20, 0);
}

StartBody decode_start_body(const std::byte* from) noexcept {
  return {load<uint64_t>(from), load<uint64_t>(from + 8), load<uint32_t>(from + 16)};
}

void encode_request_run(const RequestRun& run, std::byte* to) noexcept {
  store<uint32_t>(to, run.slot);
  store<uint32_t>(to + 4, run.count);
  store<uint64_t>(to + 8, run.incarnation);
  store<uint64_t>(to + 16, run.first_sequence);
}

RequestRun decode_request_run(const std::byte* from) noexcept {
  return {load<uint32_t>(from), load<uint32_t>(from + 4), load<uint64_t>(from + 8),
          load<uint64_t>(from + 16)};
}

std::string log_file_name(uint64_t generation) { return "logfile." + std::to_string(generation); }

std::string log_copy_name(uint64_t generation) { return log_file_name(generation) + ".last"; }

std::string torn_tail_name(uint64_t generation, uint64_t frame_offset) {
  return log_file_name(generation) + ".torn." + std::to_string(frame_offset);
}

}  // namespace small_db
