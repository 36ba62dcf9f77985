#include "engine/table/stored_record.h"

namespace small_db {
namespace {

// Fields of the record prefix, see record.h.
constexpr size_t kValueBytesOffset = 8;
constexpr size_t kKeyBytesOffset = 12;
constexpr size_t kTypeOffset = 14;
constexpr size_t kFlagsOffset = 15;
static_assert(kFlagsOffset + 1 == kRecordHeaderBytes);

// REQUIRES: the block is not shorter than a header.
bool expires(Bytes block) noexcept {
  return (load<uint8_t>(block.data() + kFlagsOffset) & kRecordFlagExpiry) != 0;
}

// REQUIRES: the value is not in extents; it follows the key then.
RecordInLane in_lane(const StoredRecord& record) noexcept {
  const Bytes key_and_value(record.key.data(), record.key.size() + record.value.bytes());
  return {key_and_value, static_cast<uint32_t>(record.key.size()), record.expires_at_ms};
}

}  // namespace

StoredValue StoredValue::in_one_piece(Bytes value) noexcept {
  StoredValue stored;
  stored.content_ = value;
  stored.bytes_ = value.size();
  return stored;
}

StoredValue StoredValue::in_extents(ArenaView arena, Bytes extent_refs, size_t bytes) noexcept {
  StoredValue stored;
  stored.arena_ = arena;
  stored.content_ = extent_refs;
  stored.bytes_ = bytes;
  stored.in_extents_ = true;
  return stored;
}

Status StoredValue::copy_to(std::byte* to) const noexcept {
  return for_each_piece([&](Bytes piece) {
    copy_bytes(to, piece);
    to += piece.size();
  });
}

Bytes stored_key(ArenaView arena, BlockRef ref) noexcept {
  const Bytes block = arena.at(ref);
  if (block.size() < kRecordHeaderBytes) return {};
  const size_t key_bytes = load<uint16_t>(block.data() + kKeyBytesOffset);
  const size_t key_at = kRecordHeaderBytes + (expires(block) ? kRecordExpiryBytes : 0);
  if (key_bytes > kKeyBytesMax || key_at + key_bytes > block.size()) return {};
  return block.subspan(key_at, key_bytes);
}

Bytes stored_expiry_key(ArenaView arena, BlockRef ref) noexcept {
  const Bytes key = stored_key(arena, ref);
  const Bytes block = arena.at(ref);
  if (key.empty() || !expires(block)) return {};
  return block.subspan(kRecordHeaderBytes, kRecordExpiryBytes + key.size());
}

ExpiryKey expiry_key(uint64_t expires_at_ms) noexcept {
  ExpiryKey key;
  store(key.data(), __builtin_bswap64(expires_at_ms));
  return key;
}

Hash128 hash_of(const StoredRecord& record) noexcept {
  return ContentHash::of_record(record.key, record.expires_at_ms, [&](const auto& visit) {
    (void)record.value.for_each_piece(visit);  // a damaged one makes another hash
  });
}

MutableBytes kept_hash(ArenaView arena, BlockRef ref, const StoredRecord& record) noexcept {
  return arena.at(ref).last(kept_hash_bytes(record.value.bytes()));
}

void add_record(ContentSum& content, ArenaView arena, BlockRef ref,
                const StoredRecord& record) noexcept {
  const MutableBytes kept = kept_hash(arena, ref, record);
  std::byte* keep_at = kept.empty() ? nullptr : kept.data();
  if (!record.value.is_in_extents()) return content.add(in_lane(record), keep_at);
  const Hash128 hash = hash_of(record);
  if (keep_at != nullptr) store(keep_at, hash);
  content.add(hash);
}

void subtract_record(ContentSum& content, ArenaView arena, BlockRef ref,
                     const StoredRecord& record) noexcept {
  const MutableBytes kept = kept_hash(arena, ref, record);
  const Hash128 hash = kept.empty() ? Hash128() : load<Hash128>(kept.data());
  if (hash != Hash128()) return content.subtract(hash);
  if (!record.value.is_in_extents()) return content.subtract(in_lane(record));
  content.subtract(hash_of(record));
}

Result<StoredRecord> read_stored_record(ArenaView arena, BlockRef ref) noexcept {
  StoredRecord record;
  record.key = stored_key(arena, ref);
  if (record.key.empty()) return Status(Code::kCorruption, "record: key");
  const Bytes block = arena.at(ref);
  const auto type = load<uint8_t>(block.data() + kTypeOffset);
  const auto flags = load<uint8_t>(block.data() + kFlagsOffset);
  const auto value_bytes = load<uint32_t>(block.data() + kValueBytesOffset);
  const bool in_extents = (flags & kRecordFlagExtents) != 0;
  if (type != static_cast<uint8_t>(RecordType::kPut) || value_bytes > kValueBytesMax ||
      (flags & ~(kRecordFlagExpiry | kRecordFlagExtents)) != 0 || in_extents != ref.has_extents()) {
    return Status(Code::kCorruption, "record: header");
  }
  record.revision = load<uint64_t>(block.data() + kRecordRevisionOffset);
  if ((flags & kRecordFlagExpiry) != 0) {
    record.expires_at_ms = __builtin_bswap64(load<uint64_t>(block.data() + kRecordHeaderBytes));
  }
  const Bytes rest = block.subspan(record.key.data() + record.key.size() - block.data());
  if (in_extents) {
    if (rest.size() < kept_hash_bytes(value_bytes)) {
      return Status(Code::kCorruption, "record: extents");
    }
    record.value = StoredValue::in_extents(arena, rest, value_bytes);
    return record;
  }
  if (value_bytes + kept_hash_bytes(value_bytes) > rest.size()) {
    return Status(Code::kCorruption, "record: value");
  }
  record.value = StoredValue::in_one_piece(rest.first(value_bytes));
  return record;
}

}  // namespace small_db
