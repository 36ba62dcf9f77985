#include "ngx_module/api/base64.h"

#include <algorithm>
#include <array>

#include "ngx_module/api/base64_simd.h"

namespace small_db {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kInvalid = 0xff;

using Pairs = std::array<std::array<char, 2>, 4096>;
using Sextets = std::array<uint8_t, 256>;

// Two characters for each 12 bits: half the lookups of a table by sextet, and 8 KiB only.
constexpr Pairs make_pairs() {
  Pairs pairs{};
  for (size_t i = 0; i < pairs.size(); i++) pairs[i] = {kAlphabet[i >> 6], kAlphabet[i & 63]};
  return pairs;
}

constexpr Sextets make_sextets() {
  Sextets sextets{};
  for (auto& sextet : sextets) sextet = kInvalid;
  for (size_t i = 0; i < kAlphabet.size(); i++) {
    sextets[static_cast<uint8_t>(kAlphabet[i])] = static_cast<uint8_t>(i);
  }
  return sextets;
}

constexpr Pairs kPairs = make_pairs();
constexpr Sextets kSextets = make_sextets();

// A character's bits where they stand in a group of four characters; bit 31 where it has none.
using Group = std::array<std::array<uint32_t, 256>, 4>;
constexpr Group make_group() {
  Group group{};
  for (size_t place = 0; place < group.size(); place++) {
    for (size_t i = 0; i < kSextets.size(); i++) {
      group[place][i] =
          kSextets[i] == kInvalid ? uint32_t{1} << 31 : uint32_t{kSextets[i]} << (18 - 6 * place);
    }
  }
  return group;
}
constexpr Group kGroup = make_group();

uint32_t bits_at(size_t place, char character) noexcept {
  return kGroup[place][static_cast<uint8_t>(character)];
}

uint32_t sextet(char character) noexcept { return kSextets[static_cast<uint8_t>(character)]; }

uint32_t byte_at(Bytes bytes, size_t at) noexcept { return std::to_integer<uint32_t>(bytes[at]); }

void encode_group(uint32_t group, char* to) noexcept {
  std::memcpy(to, kPairs[group >> 12].data(), 2);
  std::memcpy(to + 2, kPairs[group & 0xfff].data(), 2);
}

uint64_t pair_of(uint64_t twelve_bits) noexcept {
  return load<uint16_t>(reinterpret_cast<const std::byte*>(kPairs[twelve_bits].data()));
}

// Encodes the first 6 of the 8 bytes at `from`: four pairs in one store.
void encode_six(const std::byte* from, char* to) noexcept {
  const uint64_t bits = __builtin_bswap64(load<uint64_t>(from)) >> 16;
  const uint64_t text = pair_of(bits >> 36) | pair_of(bits >> 24 & 0xfff) << 16 |
                        pair_of(bits >> 12 & 0xfff) << 32 | pair_of(bits & 0xfff) << 48;
  std::memcpy(to, &text, sizeof text);
}

size_t padding_of(std::string_view text) noexcept {
  if (text.empty() || text.back() != '=') return 0;
  return text.size() > 1 && text[text.size() - 2] == '=' ? 2 : 1;
}

// The first fault of a text that is known to have one. The last group is `text`'s last 4 bytes.
Base64Error find_error(std::string_view text) noexcept {
  const size_t data_bytes = text.size() - padding_of(text);
  for (size_t i = 0; i < data_bytes; i++) {
    if (text[i] == '=') return {i, "padding before the end of the base64 text"};
    if (sextet(text[i]) == kInvalid) return {i, "a character outside of the base64 alphabet"};
  }
  if (data_bytes % 4 == 1) return {data_bytes, "the base64 text ends within a byte"};
  if (data_bytes % 4 == 0) return {data_bytes, "padding where the base64 text needs none"};
  if (text.size() % 4 != 0) return {text.size(), "the base64 text lacks its padding"};
  return {data_bytes - 1, "unused bits of the last base64 character are not zero"};
}

// Decodes the last group, with its padding. False: it is not valid.
bool decode_last(std::string_view group, std::byte* to) noexcept {
  const size_t padding = padding_of(group);
  uint32_t bits = 0;
  for (size_t i = 0; i < 4; i++) {
    const uint32_t six = i < 4 - padding ? sextet(group[i]) : 0;
    if (six == kInvalid) return false;
    bits = bits << 6 | six;
  }
  const uint32_t unused_mask = padding == 2 ? 0xffff : (padding == 1 ? 0xff : 0);
  if ((bits & unused_mask) != 0) return false;
  for (size_t i = 0; i < 3 - padding; i++) to[i] = static_cast<std::byte>(bits >> (16 - 8 * i));
  return true;
}

}  // namespace

void Base64Encoder::add(Bytes piece) noexcept {
  size_t at = 0;
  while (rest_bytes_ != 0 && at < piece.size()) {
    rest_ = rest_ << 8 | byte_at(piece, at++);
    if (++rest_bytes_ == 3) {
      encode_group(rest_, to_);
      to_ += 4;
      rest_ = rest_bytes_ = 0;
    }
  }
  char* to = to_;  // a local: stores through a char pointer could alias the member
  const size_t wide = base64_encode_wide(piece.subspan(at), to);
  at += wide;
  to += wide / 3 * 4;
  for (; at + 8 <= piece.size(); at += 6, to += 8) encode_six(piece.data() + at, to);
  for (; at + 3 <= piece.size(); at += 3, to += 4) {
    encode_group(byte_at(piece, at) << 16 | byte_at(piece, at + 1) << 8 | byte_at(piece, at + 2),
                 to);
  }
  to_ = to;
  while (at < piece.size()) {
    rest_ = rest_ << 8 | byte_at(piece, at++);
    rest_bytes_++;
  }
}

char* Base64Encoder::finish() noexcept {
  if (rest_bytes_ == 0) return to_;
  encode_group(rest_ << (rest_bytes_ == 1 ? 16 : 8), to_);
  to_[3] = '=';
  if (rest_bytes_ == 1) to_[2] = '=';
  to_ += 4;
  rest_ = rest_bytes_ = 0;
  return to_;
}

size_t base64_decoded_bytes(std::string_view text) noexcept {
  return text.size() / 4 * 3 - (text.size() >= 4 ? padding_of(text) : 0);
}

std::optional<Base64Error> base64_decode(std::string_view text, std::byte* to) noexcept {
  if (text.empty()) return std::nullopt;
  if (text.size() % 4 != 0) return find_error(text);
  const char* from = text.data();
  const char* const last = from + text.size() - 4;
  const size_t wide = base64_decode_wide(text, to);
  from += wide;
  to += wide / 4 * 3;
  for (; from < last; from += 4, to += 3) {
    const uint32_t bits =
        bits_at(0, from[0]) | bits_at(1, from[1]) | bits_at(2, from[2]) | bits_at(3, from[3]);
    if (bits >> 31 != 0) {
      // What is already decoded may stand in the text's own memory; the fault is not before here.
      const size_t done = static_cast<size_t>(from - text.data());
      Base64Error error = find_error(text.substr(done));
      error.position += done;
      return error;
    }
    to[0] = static_cast<std::byte>(bits >> 16);
    to[1] = static_cast<std::byte>(bits >> 8);
    to[2] = static_cast<std::byte>(bits);
  }
  const size_t done = static_cast<size_t>(last - text.data());
  if (decode_last(text.substr(done), to)) return std::nullopt;
  Base64Error error = find_error(text.substr(done));
  error.position += done;
  return error;
}

std::string base64url_encode(Bytes bytes) {
  std::string text(base64_encoded_bytes(bytes.size()), '\0');
  Base64Encoder encoder(text.data());
  encoder.add(bytes);
  encoder.finish();
  while (!text.empty() && text.back() == '=') text.pop_back();
  std::replace(text.begin(), text.end(), '+', '-');
  std::replace(text.begin(), text.end(), '/', '_');
  return text;
}

std::optional<std::string> base64url_decode(std::string_view text) {
  if (text.find_first_of("+/=") != std::string_view::npos) return std::nullopt;
  std::string standard(text);
  std::replace(standard.begin(), standard.end(), '-', '+');
  std::replace(standard.begin(), standard.end(), '_', '/');
  while (standard.size() % 4 != 0) standard.push_back('=');
  std::string bytes(base64_decoded_bytes(standard), '\0');
  if (base64_decode(standard, reinterpret_cast<std::byte*>(bytes.data()))) return std::nullopt;
  return bytes;
}

}  // namespace small_db
