// Small readers for the text of HTTP fields (RFC 9110 section 5.6).
#pragma once

#include <cstddef>
#include <string_view>

namespace small_db {

inline std::string_view without_spaces(std::string_view text) noexcept {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

inline bool equals_ignoring_case(std::string_view left, std::string_view right) noexcept {
  if (left.size() != right.size()) return false;
  if (left == right) return true;
  for (size_t i = 0; i < left.size(); i++) {
    const auto lower = [](char letter) {
      return letter >= 'A' && letter <= 'Z' ? static_cast<char>(letter | 0x20) : letter;
    };
    if (lower(left[i]) != lower(right[i])) return false;
  }
  return true;
}

// The part of `text` before the first `separator` that stands outside of a quoted string.
inline std::string_view before_separator(std::string_view text, char separator) noexcept {
  bool quoted = false;
  for (size_t i = 0; i < text.size(); i++) {
    if (text[i] == '"') quoted = !quoted;
    if (quoted && text[i] == '\\') {
      i++;
    } else if (!quoted && text[i] == separator) {
      return text.substr(0, i);
    }
  }
  return text;
}

}  // namespace small_db
