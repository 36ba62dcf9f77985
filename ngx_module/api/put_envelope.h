// The body of a PUT: {"value":"…","encoding":"base64"|"utf-8"}.
//
// Strict: anything but exactly these members, once each, with string values, is refused with the
// cause and the 0-based byte of the body where it stands. Parsed as a stream of events, without a
// tree: the first event that the envelope has no place for ends the parse, so that nesting costs
// nothing.
//
// `encoding` may be omitted (base64) and ignores case; utf8, plain and text are synonyms of utf-8.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ngx_module/api/problem.h"

namespace small_db {

// A longer body cannot be an envelope for a value within the limit: every byte escaped as \u00XX,
// and room for the members and white space. Lets a request be refused before its body is read.
constexpr size_t put_envelope_bytes_max(size_t value_bytes_max) noexcept {
  return value_bytes_max * 6 + 4096;
}

// Parses `body`; on success `*value` is the decoded value.
// Errors: kInvalidBody; kTooLarge, which names max_value_size and the value's size; kOverloaded
// when the process has no memory. `*value` is then undefined.
[[nodiscard]] std::optional<Problem> parse_put_envelope(std::string_view body,
                                                        size_t value_bytes_max,
                                                        std::string* value) noexcept;

}  // namespace small_db
