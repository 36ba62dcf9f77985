// Text between the quotes of a JSON string (RFC 8259 section 7). Escapes what must be escaped and
// nothing else: quote, backslash, control characters (short forms where there are any, else
// \u00XX).
#pragma once

#include <cstddef>
#include <string_view>

namespace small_db {

// Exact length of what write_json_escaped writes.
size_t json_escaped_bytes(std::string_view text) noexcept;

// Writes `text`, without quotes around it, and returns the end of the output.
// REQUIRES: `text` is UTF-8; room for json_escaped_bytes(text).
char* write_json_escaped(std::string_view text, char* to) noexcept;

// Copies `text` as it is, and returns the end of the output.
char* write_text(std::string_view text, char* to) noexcept;

}  // namespace small_db
