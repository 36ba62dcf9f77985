#include "engine/record/content_hash.h"

#include <array>

#include "engine/base/assert.h"

namespace small_db {

namespace {

constexpr uint64_t kTopByteShift = 56;
constexpr size_t kWordBits = 64;

}  // namespace

SipHash128::SipHash128(Bytes key) noexcept {
  SMALL_DB_ASSERT(key.size() == 16);
  sip_begin(state_, load<uint64_t>(key.data()), load<uint64_t>(key.data() + 8));
}

// The state is in local variables, which the compiler keeps in registers.
// Words of the message lie across those of the piece when the pieces before it were no whole words.
void SipHash128::add(Bytes piece) noexcept {
  const size_t offset_bits = bytes_ % 8 * 8;
  bytes_ += piece.size();
  SipState<uint64_t> state = state_;
  uint64_t rest = rest_;
  size_t at = 0;
  const auto take = [&](uint64_t word) {
    sip_compress(state, rest | word << offset_bits);
    rest = offset_bits == 0 ? 0 : word >> (kWordBits - offset_bits);
  };
  for (; at + 8 <= piece.size(); at += 8) take(load<uint64_t>(piece.data() + at));
  uint64_t last = 0;
  const size_t last_bits = (piece.size() - at) * 8;
  for (size_t bit = 0; bit < last_bits; bit += 8) {
    last |= std::to_integer<uint64_t>(piece[at++]) << bit;
  }
  if (offset_bits + last_bits >= kWordBits) {
    take(last);
  } else {
    rest |= last << offset_bits;
  }
  state_ = state;
  rest_ = rest;
}

Hash128 SipHash128::finish() noexcept {
  SipState<uint64_t> state = state_;
  sip_compress(state, rest_ | bytes_ << kTopByteShift);
  Hash128 hash;
  sip_finish(state, hash.low, hash.high);
  return hash;
}

SipHash128 ContentHash::begin_record(Bytes key, uint64_t expires_at_ms) noexcept {
  constexpr std::array<uint64_t, 2> kRecordKey = {kRecordKeyLow, kRecordKeyHigh};
  SipHash128 hash(std::as_bytes(std::span(kRecordKey)));
  const auto key_bytes = static_cast<uint32_t>(key.size());
  hash.add(std::as_bytes(std::span(&key_bytes, 1)));
  hash.add(std::as_bytes(std::span(&expires_at_ms, 1)));
  hash.add(key);
  return hash;
}

void ContentHash::add(const Hash128& record) noexcept {
  sum_.low += record.low;
  sum_.high += record.high + (sum_.low < record.low ? 1 : 0);
}

void ContentHash::subtract(const Hash128& record) noexcept {
  sum_.high -= record.high + (sum_.low < record.low ? 1 : 0);
  sum_.low -= record.low;
}

std::string ContentHash::text() const {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string text;
  for (const uint64_t word : {sum_.low, sum_.high}) {
    for (int shift = 0; shift < 64; shift += 8) {
      text += kDigits[word >> (shift + 4) & 15];
      text += kDigits[word >> shift & 15];
    }
  }
  return text;
}

}  // namespace small_db
