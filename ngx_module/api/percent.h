// Percent-encoded text (RFC 3986), as it stands in paths and parameters: decoded once, and a + is a
// plus. Pure functions; worker processes call them.
#pragma once

#include <cstddef>
#include <string_view>

namespace small_db {

inline constexpr std::string_view kTwoDigits = "a % needs two hexadecimal digits after it";

// One byte of percent-encoded text, and how much of the text stands for it; taken is 0 where the
// encoding is invalid.
struct DecodedByte {
  char byte = 0;
  size_t taken = 0;
};

inline int hex_value(char digit) noexcept {
  if (digit >= '0' && digit <= '9') return digit - '0';
  const char lower = static_cast<char>(digit | 0x20);
  return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

// REQUIRES: text is not empty.
inline DecodedByte decode_byte(std::string_view text) noexcept {
  if (text[0] != '%') return {text[0], 1};
  if (text.size() < 3) return {};
  const int high = hex_value(text[1]);
  const int low = hex_value(text[2]);
  if (high < 0 || low < 0) return {};
  return {static_cast<char>(high << 4 | low), 3};
}

}  // namespace small_db
