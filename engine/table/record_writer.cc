#include "engine/table/record_writer.h"

#include <algorithm>

#include "engine/base/kill_point.h"

namespace small_db {
namespace {

constexpr size_t kFlagsOffset = kRecordHeaderBytes - 1;
constexpr size_t kExtentBytesMin = 512;  // a value that would be scattered more is refused

static_assert(kRecordHeaderBytes + kRecordExpiryBytes + kKeyBytesMax +
                      kValueBytesMax / kExtentBytesMax * kExtentRefBytes + kHash128Bytes <=
                  kBlockBytesMax,
              "the references of the longest value's extents fit behind the longest key");

}  // namespace

Result<BlockRef> RecordWriter::allocate(const RecordView& prefix, uint32_t value_bytes) {
  if (prefix.key.empty() || prefix.type != RecordType::kPut) {
    return Status(Code::kInvalidArgument, "table: record");
  }
  if (prefix.key.size() > kKeyBytesMax || value_bytes > kValueBytesMax) {
    return Status(Code::kTooLarge, "table: record");
  }
  const size_t prefix_bytes = record_prefix_bytes(prefix.key.size(), prefix.expires_at_ms != 0);
  BlockRef block;
  if (prefix_bytes + value_bytes <= kInlineRecordBytesMax || value_bytes == 0) {
    block = arena_.allocate(prefix_bytes + value_bytes + kept_hash_bytes(value_bytes));
  }
  if (block.is_null()) block = allocate_in_extents(prefix_bytes, value_bytes);
  if (block.is_null()) return Status(Code::kNoMemory, "table: record");
  std::byte* bytes = view_.at(block).data();
  SMALL_DB_KILL_POINT("record: allocated");
  encode_record_prefix(prefix, value_bytes, bytes);
  if (prefix.expires_at_ms != 0) {
    const ExpiryKey expiry = expiry_key(prefix.expires_at_ms);
    copy_bytes(bytes + kRecordHeaderBytes, expiry);
  }
  if (block.has_extents()) bytes[kFlagsOffset] |= std::byte{kRecordFlagExtents};
  if (kept_hash_bytes(value_bytes) != 0) {
    store(bytes + block.bytes() - kHash128Bytes, Hash128());  // not computed
  }
  return block;
}

Result<BlockRef> RecordWriter::make(const RecordView& record) {
  if (record.value.size() > kValueBytesMax) return Status(Code::kTooLarge, "table: record");
  const auto value_bytes = static_cast<uint32_t>(record.value.size());
  Result<BlockRef> ref = allocate(record, value_bytes);
  if (!ref.is_ok()) return ref;
  if (ref.value().has_extents()) {
    fill(ref.value(), 0, record.value);
  } else {
    const size_t prefix = record_prefix_bytes(record.key.size(), record.expires_at_ms != 0);
    copy_bytes(view_.at(ref.value()).data() + prefix, record.value);
  }
  return ref;
}

BlockRef RecordWriter::allocate_in_extents(size_t prefix_bytes, uint32_t value_bytes) {
  if (value_bytes == 0 || value_bytes > arena_.free_bytes()) return {};
  BlockRef block;
  if (gather_extents(value_bytes)) {
    const size_t bytes =
        prefix_bytes + extents_.size() * kExtentRefBytes + kept_hash_bytes(value_bytes);
    if (bytes <= kBlockBytesMax) block = arena_.allocate(bytes);
  }
  if (block.is_null()) {
    for (const BlockRef extent : extents_) arena_.free(extent);
    return {};
  }
  std::byte* to = view_.at(block).data() + prefix_bytes;
  for (const BlockRef extent : extents_) {
    store(to, extent.word());
    to += kExtentRefBytes;
  }
  return block.with_extents();
}

// Long pieces while there are any, then what the arena still has.
bool RecordWriter::gather_extents(uint32_t value_bytes) {
  extents_.clear();
  for (size_t left = value_bytes; left != 0;) {
    const size_t wanted = std::min(left, kExtentBytesMax);
    BlockRef extent = arena_.allocate(wanted);
    if (extent.is_null()) {
      const size_t largest = std::min(arena_.largest_bytes(), wanted);
      if (largest < std::min(left, kExtentBytesMin)) return false;
      extent = arena_.allocate(largest);
      if (extent.is_null()) return false;
    }
    extents_.push_back(extent);
    left -= std::min(left, extent.bytes());
  }
  return true;
}

void RecordWriter::fill(BlockRef ref, uint32_t at, Bytes bytes) noexcept {
  const Result<StoredRecord> record = read_stored_record(view_, ref);
  SMALL_DB_ASSERT(record.is_ok());
  SMALL_DB_ASSERT(bytes.size() <= record.value().value.bytes() &&
                  at <= record.value().value.bytes() - bytes.size());
  size_t start = 0;  // of the piece, in the value
  const Status status = record.value().value.for_each_piece([&](Bytes piece) {
    const size_t from = std::max<size_t>(at, start);
    const size_t to = std::min(at + bytes.size(), start + piece.size());
    if (from < to) {
      // The piece lies in the arena, which is this process's to write.
      copy_bytes(const_cast<std::byte*>(piece.data()) + (from - start),
                 bytes.subspan(from - at, to - from));
    }
    start += piece.size();
  });
  SMALL_DB_ASSERT(status.is_ok());
}

void RecordWriter::set_revision(BlockRef record, uint64_t revision) noexcept {
  store(view_.at(record).data() + kRecordRevisionOffset, revision);
}

void RecordWriter::free(BlockRef block) noexcept {
  if (block.has_extents()) {
    // A record that can't be read was checked when it was adopted, so it is of this process's own
    // making and readable; if it is not, its extents stay taken until the region is cleared.
    extents_.clear();
    const Result<StoredRecord> record = read_stored_record(view_, block);
    const Status status = !record.is_ok()
                              ? record.status()
                              : record.value().value.for_each_extent(
                                    [&](BlockRef extent) { extents_.push_back(extent); });
    if (status.is_ok()) {
      for (const BlockRef extent : extents_) arena_.free(extent);
    }
  }
  arena_.free(block);
}

}  // namespace small_db
