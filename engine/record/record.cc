#include "engine/record/record.h"

namespace small_db {

namespace {

constexpr size_t kValueBytesOffset = 8;
constexpr size_t kKeyBytesOffset = 12;
constexpr size_t kTypeOffset = 14;
constexpr size_t kFlagsOffset = 15;

static_assert(kRecordRevisionOffset + sizeof(uint64_t) == kValueBytesOffset);
static_assert(kFlagsOffset + 1 == kRecordHeaderBytes);
static_assert(kValueBytesMax <= UINT32_MAX && kKeyBytesMax <= UINT16_MAX);

Status corrupt(const char* site) noexcept { return Status(Code::kCorruption, site); }

// The rules that the header alone can break.
Status check_header(const std::byte* header) noexcept {
  const uint32_t value_bytes = load<uint32_t>(header + kValueBytesOffset);
  const uint16_t key_bytes = load<uint16_t>(header + kKeyBytesOffset);
  const uint8_t type = load<uint8_t>(header + kTypeOffset);
  const uint8_t flags = load<uint8_t>(header + kFlagsOffset);
  if (type != static_cast<uint8_t>(RecordType::kPut) &&
      type != static_cast<uint8_t>(RecordType::kDelete)) {
    return corrupt("record: type");
  }
  if ((flags & ~kRecordFlagExpiry) != 0) return corrupt("record: flags");
  if (key_bytes == 0 || key_bytes > kKeyBytesMax) return corrupt("record: key length");
  if (value_bytes > kValueBytesMax) return corrupt("record: value length");
  if (type == static_cast<uint8_t>(RecordType::kDelete) && (value_bytes != 0 || flags != 0)) {
    return corrupt("record: delete with a value or an expiry");
  }
  return Status::ok();
}

}  // namespace

size_t record_prefix_bytes(size_t key_bytes, bool expires) noexcept {
  return kRecordHeaderBytes + (expires ? kRecordExpiryBytes : 0) + key_bytes;
}

size_t record_bytes(const RecordView& record) noexcept {
  return record_prefix_bytes(record.key.size(), record.expires_at_ms != 0) + record.value.size();
}

size_t encode_record_prefix(const RecordView& record, uint32_t value_bytes,
                            std::byte* to) noexcept {
  const bool expires = record.expires_at_ms != 0;
  SMALL_DB_ASSERT(!record.key.empty() && record.key.size() <= kKeyBytesMax);
  SMALL_DB_ASSERT(value_bytes <= kValueBytesMax);
  SMALL_DB_ASSERT(record.type == RecordType::kPut || (value_bytes == 0 && !expires));

  store<uint64_t>(to + kRecordRevisionOffset, record.revision);
  store<uint32_t>(to + kValueBytesOffset, value_bytes);
  store<uint16_t>(to + kKeyBytesOffset, static_cast<uint16_t>(record.key.size()));
  store<uint8_t>(to + kTypeOffset, static_cast<uint8_t>(record.type));
  store<uint8_t>(to + kFlagsOffset, expires ? kRecordFlagExpiry : 0);
  if (expires) store<uint64_t>(to + kRecordHeaderBytes, record.expires_at_ms);
  const size_t bytes = record_prefix_bytes(record.key.size(), expires);
  copy_bytes(to + bytes - record.key.size(), record.key);
  return bytes;
}

size_t encode_record(const RecordView& record, std::byte* to) noexcept {
  SMALL_DB_ASSERT(record.value.size() <= kValueBytesMax);
  const size_t prefix =
      encode_record_prefix(record, static_cast<uint32_t>(record.value.size()), to);
  copy_bytes(to + prefix, record.value);
  return prefix + record.value.size();
}

Result<DecodedPrefix> decode_record_prefix(Bytes from) noexcept {
  if (from.size() < kRecordHeaderBytes) return corrupt("record: header cut short");
  const std::byte* const header = from.data();
  SMALL_DB_RETURN_IF_ERROR(check_header(header));

  const bool expires = (load<uint8_t>(header + kFlagsOffset) & kRecordFlagExpiry) != 0;
  const size_t key_bytes = load<uint16_t>(header + kKeyBytesOffset);
  DecodedPrefix decoded;
  decoded.bytes = record_prefix_bytes(key_bytes, expires);
  if (from.size() < decoded.bytes) return corrupt("record: key cut short");
  decoded.value_bytes = load<uint32_t>(header + kValueBytesOffset);
  decoded.view.type = static_cast<RecordType>(load<uint8_t>(header + kTypeOffset));
  decoded.view.revision = load<uint64_t>(header + kRecordRevisionOffset);
  if (expires) {
    decoded.view.expires_at_ms = load<uint64_t>(header + kRecordHeaderBytes);
    if (decoded.view.expires_at_ms == 0) return corrupt("record: expiry of zero");
  }
  decoded.view.key = from.subspan(decoded.bytes - key_bytes, key_bytes);
  return decoded;
}

Result<DecodedRecord> decode_record(Bytes from) noexcept {
  const Result<DecodedPrefix> prefix = decode_record_prefix(from);
  if (!prefix.is_ok()) return prefix.status();
  const size_t value_bytes = prefix.value().value_bytes;
  if (from.size() - prefix.value().bytes < value_bytes) return corrupt("record: value cut short");
  DecodedRecord decoded;
  decoded.view = prefix.value().view;
  decoded.view.value = from.subspan(prefix.value().bytes, value_bytes);
  decoded.bytes = prefix.value().bytes + value_bytes;
  return decoded;
}

}  // namespace small_db
