#include "ngx_module/api/utf8.h"

#include <cstdint>

namespace small_db {
namespace {

constexpr uint64_t kHighBits = 0x8080808080808080;

// What may follow a lead byte (Unicode 15, table 3-7): the length of the sequence, and the range of
// its second byte, which alone excludes overlong forms, surrogates and what is above U+10FFFF.
struct Sequence {
  size_t bytes;
  uint8_t second_min;
  uint8_t second_max;
};

Sequence sequence_of(uint8_t lead) noexcept {
  if (lead < 0xc2) return {0, 0, 0};
  if (lead < 0xe0) return {2, 0x80, 0xbf};
  if (lead == 0xe0) return {3, 0xa0, 0xbf};
  if (lead == 0xed) return {3, 0x80, 0x9f};
  if (lead < 0xf0) return {3, 0x80, 0xbf};
  if (lead == 0xf0) return {4, 0x90, 0xbf};
  if (lead < 0xf4) return {4, 0x80, 0xbf};
  if (lead == 0xf4) return {4, 0x80, 0x8f};
  return {0, 0, 0};
}

// Length of the valid multi-byte sequence at the start of `from`; 0 if there is none.
size_t sequence_bytes(Bytes from) noexcept {
  const Sequence sequence = sequence_of(std::to_integer<uint8_t>(from[0]));
  if (sequence.bytes == 0 || sequence.bytes > from.size()) return 0;
  const auto second = std::to_integer<uint8_t>(from[1]);
  if (second < sequence.second_min || second > sequence.second_max) return 0;
  for (size_t i = 2; i < sequence.bytes; i++) {
    if ((std::to_integer<uint8_t>(from[i]) & 0xc0) != 0x80) return 0;
  }
  return sequence.bytes;
}

}  // namespace

size_t utf8_valid_prefix(Bytes bytes) noexcept {
  size_t at = 0;
  while (at < bytes.size()) {
    if (at + 8 <= bytes.size() && (load<uint64_t>(bytes.data() + at) & kHighBits) == 0) {
      at += 8;
    } else if (std::to_integer<uint8_t>(bytes[at]) < 0x80) {
      at++;
    } else {
      const size_t length = sequence_bytes(bytes.subspan(at));
      if (length == 0) return at;
      at += length;
    }
  }
  return at;
}

}  // namespace small_db
