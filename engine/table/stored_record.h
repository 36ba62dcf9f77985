// A record as the table keeps it: one block, immutable once it is in the tree.
//
//   value inline       record prefix (record.h) | value | … | hash
//   value in extents   record prefix, flag 0x80 | BlockRef of an extent, 8 bytes, × n | … | hash
//
// 1. The value lies in extents when the encoding is longer than kInlineRecordBytesMax, or when the
//    arena has no run that long; an empty value never does. References to such a record carry
//    BlockRef::has_extents().
// 2. Each extent but the last is full to its last byte; together they hold value_bytes, which
//    gives n.
// 3. A value of kKeptHashValueBytesMin bytes or more has a hash: the last 16 bytes of the block are
//    that of the record (content_hash.h), so that who replaces it need not read it all again; or
//    zeros, when it was not computed. Other bytes behind the last field mean nothing.
// 4. The prefix differs from record.h in one thing: expires_at_ms is big-endian. So it and the key,
//    which follows it, are together a key that orders records by the time of their expiry.
//
// Whoever reads a record checks it, in any process: lengths that make no sense give kCorruption.
#pragma once

#include <array>
#include <cstdint>

#include "engine/base/status.h"
#include "engine/record/content_hash.h"
#include "engine/record/content_sum.h"
#include "engine/record/record.h"
#include "engine/table/memory.h"

namespace small_db {

inline constexpr size_t kExtentRefBytes = sizeof(uint64_t);
inline constexpr size_t kKeptHashValueBytesMin = kKiB;

// Of a block, for the hash.
inline constexpr size_t kept_hash_bytes(size_t value_bytes) noexcept {
  return value_bytes < kKeptHashValueBytesMin ? 0 : kHash128Bytes;
}

// A value in the arena: one piece, or extents in order. Valid while the record is, which for a
// reader means: while its snapshot is held.
class StoredValue {
 public:
  StoredValue() noexcept = default;
  static StoredValue in_one_piece(Bytes value) noexcept;
  static StoredValue in_extents(ArenaView arena, Bytes extent_refs, size_t bytes) noexcept;

  size_t bytes() const noexcept { return bytes_; }
  bool is_in_extents() const noexcept { return in_extents_; }

  // Calls visit(Bytes) for each piece in order. Errors: kCorruption when a piece lies outside of
  // the arena; the pieces before it were visited.
  template <typename Visit>
  Status for_each_piece(Visit&& visit) const;

  // Calls visit(BlockRef) for each extent in order. Errors: as above.
  template <typename Visit>
  Status for_each_extent(Visit&& visit) const;

  // Copies the whole value. REQUIRES: room for bytes().
  Status copy_to(std::byte* to) const noexcept;

 private:
  ArenaView arena_;
  Bytes content_;  // the value, or the references of its extents
  size_t bytes_ = 0;
  bool in_extents_ = false;
};

struct StoredRecord {
  uint64_t revision = 0;
  uint64_t expires_at_ms = 0;  // 0: never
  Bytes key;
  StoredValue value;
};

// Hash of a record, as content_hash.h has it.
Hash128 hash_of(const StoredRecord& record) noexcept;

// Adds the hash of the record at `ref` to a content's, and keeps it if it has a place; or subtracts
// it. The record must stay as it is until the content is settled.
// Runs in: the owner's commit thread. add_record: before a reader can reach the record.
void add_record(ContentSum& content, ArenaView arena, BlockRef ref,
                const StoredRecord& record) noexcept;
void subtract_record(ContentSum& content, ArenaView arena, BlockRef ref,
                     const StoredRecord& record) noexcept;

// Where the hash of the record at `ref` is kept; empty when its value is too short for one.
// REQUIRES: `record` was read there.
MutableBytes kept_hash(ArenaView arena, BlockRef ref, const StoredRecord& record) noexcept;

// Errors: kCorruption when `ref` is not that of a record.
Result<StoredRecord> read_stored_record(ArenaView arena, BlockRef ref) noexcept;

// The key of the record at `ref`; empty when it is not that of a record. Reads nothing else.
Bytes stored_key(ArenaView arena, BlockRef ref) noexcept;

// Rule 4's key of the record at `ref`; empty when it has no expiry, or is not that of a record.
Bytes stored_expiry_key(ArenaView arena, BlockRef ref) noexcept;

// The least of those keys for records that expire at `expires_at_ms` or later.
using ExpiryKey = std::array<std::byte, kRecordExpiryBytes>;
ExpiryKey expiry_key(uint64_t expires_at_ms) noexcept;

template <typename Visit>
Status StoredValue::for_each_extent(Visit&& visit) const {
  if (!in_extents_) return Status::ok();
  size_t left = bytes_;
  for (size_t at = 0; left != 0; at += kExtentRefBytes) {
    if (at + kExtentRefBytes > content_.size()) return {Code::kCorruption, "record: extents"};
    const BlockRef extent = BlockRef::from_word(load<uint64_t>(content_.data() + at));
    if (arena_.at(extent).empty()) return {Code::kCorruption, "record: extent"};
    visit(extent);
    left -= left < extent.bytes() ? left : extent.bytes();
  }
  return Status::ok();
}

template <typename Visit>
Status StoredValue::for_each_piece(Visit&& visit) const {
  if (!in_extents_) {
    visit(content_);
    return Status::ok();
  }
  size_t left = bytes_;
  return for_each_extent([&](BlockRef extent) {
    const Bytes block = arena_.at(extent);
    const Bytes piece = block.first(left < block.size() ? left : block.size());
    left -= piece.size();
    visit(piece);
  });
}

}  // namespace small_db
