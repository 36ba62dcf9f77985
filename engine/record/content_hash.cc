#include "engine/record/content_hash.h"

#include "engine/base/assert.h"

namespace small_db {

namespace {

constexpr std::array<uint64_t, 2> kRecordKey = {0x0706050403020100, 0x0f0e0d0c0b0a0908};
constexpr uint64_t kTopByteShift = 56;

}  // namespace

SipHash128::SipHash128(Bytes key) noexcept {
  SMALL_DB_ASSERT(key.size() == 16);
  const auto k0 = load<uint64_t>(key.data());
  const auto k1 = load<uint64_t>(key.data() + 8);
  v_ = {k0 ^ 0x736f6d6570736575, k1 ^ 0x646f72616e646f6d ^ 0xee, k0 ^ 0x6c7967656e657261,
        k1 ^ 0x7465646279746573};
}

void SipHash128::round() noexcept {
  v_[0] += v_[1];
  v_[2] += v_[3];
  v_[1] = std::rotl(v_[1], 13) ^ v_[0];
  v_[3] = std::rotl(v_[3], 16) ^ v_[2];
  v_[0] = std::rotl(v_[0], 32) + v_[3];
  v_[2] += v_[1];
  v_[3] = std::rotl(v_[3], 21) ^ v_[0];
  v_[1] = std::rotl(v_[1], 17) ^ v_[2];
  v_[2] = std::rotl(v_[2], 32);
}

void SipHash128::compress(uint64_t word) noexcept {
  v_[3] ^= word;
  round();
  round();
  v_[0] ^= word;
}

void SipHash128::add(Bytes piece) noexcept {
  size_t at = 0;
  for (; bytes_ % 8 != 0 && at < piece.size(); ++at) {
    rest_ |= std::to_integer<uint64_t>(piece[at]) << (bytes_ % 8 * 8);
    if (++bytes_ % 8 == 0) {
      compress(rest_);
      rest_ = 0;
    }
  }
  for (; at + 8 <= piece.size(); at += 8, bytes_ += 8) {
    compress(load<uint64_t>(piece.data() + at));
  }
  for (; at < piece.size(); ++at, ++bytes_) {
    rest_ |= std::to_integer<uint64_t>(piece[at]) << (bytes_ % 8 * 8);
  }
}

Hash128 SipHash128::finish() noexcept {
  compress(rest_ | bytes_ << kTopByteShift);
  Hash128 hash;
  v_[2] ^= 0xee;
  for (int i = 0; i < 4; ++i) round();
  hash.low = v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
  v_[1] ^= 0xdd;
  for (int i = 0; i < 4; ++i) round();
  hash.high = v_[0] ^ v_[1] ^ v_[2] ^ v_[3];
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
