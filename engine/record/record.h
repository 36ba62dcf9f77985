// THE encoding of an operation. The submission rings, the log, checkpoints and replication carry
// these bytes; the table keeps them with the expiry in big-endian order, and with the value in
// extents where it is long (table/stored_record.h).
//
//   offset  bytes  field
//        0      8  revision       that of the committed request; 0 until the committer sets it
//        8      4  value_bytes    at most kValueBytesMax; 0 for a delete
//       12      2  key_bytes      1 to kKeyBytesMax
//       14      1  type           1 put, 2 delete
//       15      1  flags          bit 0: an expiry follows, never for a delete; bit 7: only within
//                                 the table (table/stored_record.h); all others zero
//       16      8  expires_at_ms  only with bit 0: Unix time in milliseconds, not zero
//       ..         key            key_bytes long
//       ..         value          value_bytes long
//
// All fields little-endian, no padding, no checksum of its own: what carries records has one.
// Operations are absolute results, so that applying a record twice is the same as once.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/base/status.h"

namespace small_db {

enum class RecordType : uint8_t { kPut = 1, kDelete = 2 };

inline constexpr size_t kRecordHeaderBytes = 16;
inline constexpr size_t kRecordExpiryBytes = 8;
inline constexpr size_t kRecordRevisionOffset = 0;
inline constexpr uint8_t kRecordFlagExpiry = 0x01;
inline constexpr uint8_t kRecordFlagExtents = 0x80;

// A record's fields; key and value point into memory that the maker of the view owns.
struct RecordView {
  RecordType type = RecordType::kPut;
  uint64_t revision = 0;
  uint64_t expires_at_ms = 0;  // 0: never
  Bytes key;
  Bytes value;
};

// Bytes of everything before the value: header, expiry, key.
size_t record_prefix_bytes(size_t key_bytes, bool expires) noexcept;

// Bytes of the whole encoding.
size_t record_bytes(const RecordView& record) noexcept;

// Encodes header, expiry and key of `record`, with `value_bytes` as the length of a value that is
// stored elsewhere. Returns the bytes written. REQUIRES: room for record_prefix_bytes; sizes within
// the limits; a delete has neither value nor expiry.
size_t encode_record_prefix(const RecordView& record, uint32_t value_bytes, std::byte* to) noexcept;

// Encodes the whole record. Returns the bytes written. REQUIRES: room for record_bytes(record),
// and what encode_record_prefix requires.
size_t encode_record(const RecordView& record, std::byte* to) noexcept;

struct DecodedRecord {
  RecordView view;
  size_t bytes = 0;  // length of the encoding; more may follow it
};

// Decodes the record at the start of `from`. The view points into `from`.
// Errors: kCorruption for anything that encode_record could not have written, or that is cut short.
Result<DecodedRecord> decode_record(Bytes from) noexcept;

// Decodes header, expiry and key only; the value's bytes need not be there, and view.value is
// empty. value_bytes: the length that the header states.
struct DecodedPrefix {
  RecordView view;
  uint32_t value_bytes = 0;
  size_t bytes = 0;  // length of the prefix
};
Result<DecodedPrefix> decode_record_prefix(Bytes from) noexcept;

}  // namespace small_db
