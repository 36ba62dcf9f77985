#include "engine/record/content_hash.h"

#include "engine/base/assert.h"

namespace small_db {

namespace {

constexpr std::array<uint64_t, 2> kRecordKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr uint64_t kTopByteShift = 56;
constexpr size_t kWordBits = 64;

// The state in local variables, which the compiler keeps in registers.
using State = std::array<uint64_t, 4>;

inline void round(State& v) noexcept {
  v[0] += v[1];
  v[2] += v[3];
  v[1] = std::rotl(v[1], 13) ^ v[0];
  v[3] = std::rotl(v[3], 16) ^ v[2];
  v[0] = std::rotl(v[0], 32) + v[3];
  v[2] += v[1];
  v[3] = std::rotl(v[3], 21) ^ v[0];
  v[1] = std::rotl(v[1], 17) ^ v[2];
  v[2] = std::rotl(v[2], 32);
}

inline void compress(State& v, uint64_t word) noexcept {
  v[3] ^= word;
  round(v);
  round(v);
  v[0] ^= word;
}

}  // namespace

SipHash128::SipHash128(Bytes key) noexcept {
  SMALL_DB_ASSERT(key.size() == 16);
  const auto k0 = load<uint64_t>(key.data());
  const auto k1 = load<uint64_t>(key.data() + 8);
  v_ = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
        k1 ^ 0x7465646279746573};
}

// Words of the message lie across those of the piece when the pieces before it were no whole words.
void SipHash128::add(Bytes piece) noexcept {
  const size_t offset_bits = bytes_ % 8 * 8;
  bytes_ += piece.size();
  State v = v_;
  uint64_t rest = rest_;
  size_t at = 0;
  const auto take = [&](uint64_t word) {
    compress(v, rest | word << offset_bits);
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
  v_ = v;
  rest_ = rest;
}

Hash128 SipHash128::finish() noexcept {
  State v = v_;
  compress(v, rest_ | bytes_ << kTopByteShift);
  Hash128 hash;
  v[2] ^= 0xee;
  for (int i = 0; i < 4; ++i) round(v);
  hash.low = v[0] ^ v[1] ^ v[2] ^ v[3];
  v[1] ^= 0xdd;
  for (int i = 0; i < 4; ++i) round(v);
  hash.high = v[0] ^ v[1] ^ v[2] ^ v[3];
  return hash;
}

SipHash128 ContentHash::begin_record(Bytes key, uint64_t expires_at_ms) noexcept {
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
