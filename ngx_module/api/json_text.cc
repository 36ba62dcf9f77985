#include "ngx_module/api/json_text.h"

#include <cstdint>
#include <cstring>

namespace small_db {
namespace {

constexpr char kHexDigits[] = "0123456789abcdef";

// The letter after the backslash of a short escape; 0 where there is none.
char short_escape(char character) noexcept {
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

bool is_control(char character) noexcept { return static_cast<uint8_t>(character) < 0x20; }

}  // namespace

size_t json_escaped_bytes(std::string_view text) noexcept {
  size_t bytes = text.size();
  for (const char character : text) {
    if (short_escape(character) != 0) {
      bytes += 1;
    } else if (is_control(character)) {
      bytes += 5;
    }
  }
  return bytes;
}

char* write_json_escaped(std::string_view text, char* to) noexcept {
  for (const char character : text) {
    if (const char letter = short_escape(character); letter != 0) {
      *to++ = '\\';
      *to++ = letter;
    } else if (is_control(character)) {
      to = write_text("\\u00", to);
      *to++ = kHexDigits[static_cast<uint8_t>(character) >> 4];
      *to++ = kHexDigits[static_cast<uint8_t>(character) & 15];
    } else {
      *to++ = character;
    }
  }
  return to;
}

char* write_text(std::string_view text, char* to) noexcept {
  if (!text.empty()) std::memcpy(to, text.data(), text.size());
  return to + text.size();
}

}  // namespace small_db
