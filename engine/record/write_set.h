// A write set: what a client asks to be done at once. Guards, which must all hold when it is
// evaluated, and operations, which are then done in order: all of them or, when a guard does not
// hold or one of them can't be done, none. It takes one revision.
//
// It travels through a submission ring and is gone after that: the log holds its results only, as
// plain records (record.h), so that applying them again changes nothing.
//
//   offset  bytes  field
//        0      4  guards      how many
//        4      4  operations  how many, at least 1
//        8         the guards, then the operations; nothing behind them
//
// GUARD
//        0      1  kind        GuardKind
//        1      1  zero
//        2      2  key_bytes   1 to kKeyBytesMax
//        4      4  revisions   how many; 0 but for kRevisionIn and kRevisionNotIn
//        8         the revisions, 8 bytes each, then the key
//
// OPERATION
//        0      1  type        OperationType
//        1      3  zero
//        4      4  bytes       of what follows
//        8         kRecord: one record, revision 0
//                  kEraseRange, kReplaceRange: u16 start_bytes, u16 end_bytes, start, end
//                  kAdd: i64 delta, i64 initial, u64 expires_at_ms, key
//                  kSetExpiry: u64 expires_at_ms, key
//
// A record that has expired is absent, for guards and for operations.
// All fields are little-endian, without padding.
#pragma once

#include <cstdint>
#include <span>
#include <vector>

#include "engine/record/record.h"

namespace small_db {

enum class GuardKind : uint8_t {
  kPresent = 1,        // the key has a record
  kAbsent = 2,         // it has none
  kRevisionIn = 3,     // it has one, of one of these revisions
  kRevisionNotIn = 4,  // it has none, or one of another revision
};

enum class OperationType : uint8_t {
  kRecord = 1,        // a put or a delete
  kEraseRange = 2,    // deletes every key from start up to, not including, end; empty end: all
  kReplaceRange = 3,  // the range holds what the rest of the set puts, and nothing else: see below
  kAdd = 4,           // a decimal counter: adds delta; one that is absent starts with initial
  kSetExpiry = 5,     // changes when the key's record expires, and nothing else of it
};

// The longest write set: its results must fit one frame of the log.
inline constexpr size_t kWriteSetBytesMax = kValueBytesMax + kBatchBytesMax;
inline constexpr size_t kWriteSetHeaderBytes = 8;
inline constexpr size_t kWriteSetOperationBytes = 8;  // of an operation, before what it says

// Puts a write set together.
class WriteSetBuilder {
 public:
  WriteSetBuilder() { clear(); }
  void clear();

  // Room for this many bytes in all, so that adding to a long set copies nothing again.
  void reserve(size_t bytes) { bytes_.reserve(bytes); }

  // Guards come before operations. REQUIRES: a key of 1 to kKeyBytesMax bytes.
  void guard(GuardKind kind, Bytes key, std::span<const uint64_t> revisions = {});

  // REQUIRES of these: keys as above, values of at most kValueBytesMax bytes.
  // expires_at_ms: Unix time in milliseconds, 0 for never.
  void put(Bytes key, Bytes value, uint64_t expires_at_ms);
  void erase(Bytes key);
  void erase_range(Bytes start, Bytes end);
  // After it only puts may follow, in ascending order of their keys and within the range. A record
  // that is there already, with the same value and expiry, is left as it is, revision and all.
  void replace_range(Bytes start, Bytes end);
  // The counter's text is an optional minus sign and digits, of a signed 64-bit number.
  // expires_at_ms: for a counter that is absent; one that exists keeps its own.
  void add(Bytes key, int64_t delta, int64_t initial, uint64_t expires_at_ms);
  void set_expiry(Bytes key, uint64_t expires_at_ms);

  uint32_t operations() const noexcept;
  // Valid until the next call that adds something.
  Bytes bytes() const noexcept { return bytes_; }
  // Gives the bytes away.
  std::vector<std::byte> release();

 private:
  std::byte* append(size_t bytes);
  std::byte* begin_operation(OperationType type, size_t content_bytes);
  void range(OperationType type, Bytes start, Bytes end);
  void record(const RecordView& record);

  std::vector<std::byte> bytes_;
};

struct GuardView {
  GuardKind kind = GuardKind::kPresent;
  Bytes key;
  Bytes revisions;  // 8 bytes each

  // Whether the guard holds for a key whose record has this revision; 0: it has none.
  bool holds(uint64_t revision) const noexcept;
};

struct OperationView {
  OperationType type = OperationType::kRecord;
  RecordView record;  // kRecord; of kAdd and kSetExpiry key and expires_at_ms
  Bytes start;        // of a range
  Bytes end;
  int64_t delta = 0;
  int64_t initial = 0;
};

// Reads a write set from the start: guards().. then operations.
class WriteSetReader {
 public:
  // REQUIRES: the bytes outlive the reader and do not change.
  explicit WriteSetReader(Bytes bytes) noexcept : bytes_(bytes) {}

  // The counts. Errors of these: kInvalidArgument for anything that no builder writes.
  Status begin() noexcept;
  uint32_t guards() const noexcept { return guards_; }
  uint32_t operations() const noexcept { return operations_; }

  // True when no more than one record can come of what follows the guards. REQUIRES: all guards
  // were read.
  bool is_one_record() const noexcept;

  // REQUIRES: begin(); each at most as often as there are, guards first.
  Result<GuardView> next_guard() noexcept;
  Result<OperationView> next_operation() noexcept;

  // Ok when nothing is left behind the last operation.
  Status end() const noexcept;

 private:
  Status take(size_t bytes, Bytes* piece) noexcept;

  Bytes bytes_;
  size_t at_ = 0;
  uint32_t guards_ = 0;
  uint32_t operations_ = 0;
};

// The first key that no longer begins with `prefix`, in byte order; empty: there is none.
std::vector<std::byte> end_of_prefix(Bytes prefix);

}  // namespace small_db
