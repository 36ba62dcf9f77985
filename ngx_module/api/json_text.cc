#include "ngx_module/api/json_text.h"

#include <array>
#include <cstdint>
#include <cstring>

namespace small_db {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// The letter after the backslash of a short escape; 0 where there is none.
constexpr char short_escape(char character) noexcept {
  switch (character) {
    case '"':
    case '\\':
      return character;
    case '\b':
      return 'b';
    case '\f':
      return 'f';
    case '\n':
      return 'n';
    case '\r':
      return 'r';
    case '\t':
      return 't';
    default:
      return 0;
  }
}

// What a character takes beyond itself, when it is escaped.
constexpr std::array<uint8_t, 256> make_escape_bytes() {
  std::array<uint8_t, 256> bytes{};
  for (size_t i = 0; i < 0x20; i++) bytes[i] = 5;
  for (size_t i = 0; i < bytes.size(); i++) {
    if (short_escape(static_cast<char>(i)) != 0) bytes[i] = 1;
  }
  return bytes;
}
constexpr std::array<uint8_t, 256> kEscapeBytes = make_escape_bytes();

size_t plain_bytes(std::string_view text) noexcept {
  size_t bytes = 0;
  while (bytes < text.size() && kEscapeBytes[static_cast<uint8_t>(text[bytes])] == 0) bytes++;
  return bytes;
}

// REQUIRES: the character is one that is escaped.
char* write_escape(char character, char* to) noexcept {
  if (const char letter = short_escape(character); letter != 0) {
    *to++ = '\\';
    *to++ = letter;
    return to;
  }
  to = write_text("\\u00", to);
  *to++ = kHexDigits[static_cast<uint8_t>(character) >> 4];
  *to++ = kHexDigits[static_cast<uint8_t>(character) & 15];
  return to;
}

}  // namespace

size_t json_escaped_bytes(std::string_view text) noexcept {
  size_t bytes = text.size();
  for (const char character : text) bytes += kEscapeBytes[static_cast<uint8_t>(character)];
  return bytes;
}

char* write_json_escaped(std::string_view text, char* to) noexcept {
  while (!text.empty()) {
    const size_t plain = plain_bytes(text);
    to = write_text(text.substr(0, plain), to);
    if (plain == text.size()) break;
    to = write_escape(text[plain], to);
    text.remove_prefix(plain + 1);
  }
  return to;
}

char* write_text(std::string_view text, char* to) noexcept {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace small_db
