// A hash of a store's content: equal for equal keys, values and expiries, whatever the order of
// writes, the revisions and the files; different, but for a chance of 2^-128, for any others.
//
//   hash of a record   SipHash-2-4 with 128 bits of output, key bytes 00 01 … 0f, over
//                      key_bytes (4 bytes, little-endian) | expires_at_ms (8 bytes) | key | value
//   hash of a content  the sum of its records' hashes modulo 2^128; 0 for an empty one
//   as text            its 16 bytes in hex, least significant byte first
//
// A sum, so that whoever changes one record changes the hash in the time of one record, and two
// nodes can compare at equal revisions without a walk. It finds divergence, not forgery: who knows
// the key can make two contents with one hash.
//
// Source: Aumasson, Bernstein, "SipHash: a fast short-input PRF", and its reference for 128 bits.
#pragma once

#include <cstdint>
#include <string>

#include "engine/base/bytes.h"
#include "engine/record/sip_round.h"

namespace small_db {

// The key of the hash of a record.
inline constexpr uint64_t kRecordKeyLow = 0x0706050403020100;
inline constexpr uint64_t kRecordKeyHigh = 0x0f0e0d0c0b0a0908;

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  bool operator==(const Hash128&) const = default;
};
inline constexpr size_t kHash128Bytes = 16;  // as it is kept in memory: low, high
static_assert(sizeof(Hash128) == kHash128Bytes);

// SipHash-2-4-128 of a message that comes in pieces of any length.
class SipHash128 {
 public:
  explicit SipHash128(Bytes key) noexcept;  // REQUIRES: 16 bytes
  void add(Bytes piece) noexcept;
  // Nothing may be added afterwards.
  Hash128 finish() noexcept;

 private:
  SipState<uint64_t> state_ = {};
  uint64_t bytes_ = 0;
  uint64_t rest_ = 0;  // the bytes_ % 8 bytes that are no word yet
};

class ContentHash {
 public:
  ContentHash() noexcept = default;
  explicit ContentHash(const Hash128& value) noexcept : sum_(value) {}

  // value: calls the given function with each piece of the value, in order.
  template <typename ForEachPiece>
  static Hash128 of_record(Bytes key, uint64_t expires_at_ms, ForEachPiece&& for_each_piece) {
    SipHash128 hash = begin_record(key, expires_at_ms);
    for_each_piece([&](Bytes piece) { hash.add(piece); });
    return hash.finish();
  }

  void add(const Hash128& record) noexcept;
  void subtract(const Hash128& record) noexcept;
  const Hash128& value() const noexcept { return sum_; }
  std::string text() const;

 private:
  static SipHash128 begin_record(Bytes key, uint64_t expires_at_ms) noexcept;

  Hash128 sum_;
};

}  // namespace small_db
