// The bodies of a PUT and of a PATCH:
//   {"value":"…","encoding":"base64"|"utf-8","ttl":…|"expires_at":…}
//   {"ttl":…|null} or {"expires_at":…|null}
//
// Strict (flat_object.h). `encoding` may be omitted (base64) and ignores case; utf8, plain and text
// are synonyms of utf-8. `ttl` and `expires_at` are numbers of seconds or texts (expiry.h); null
// means never.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ngx_module/api/flat_object.h"
#include "ngx_module/api/problem.h"

namespace small_db {

struct PutEnvelope {
  std::string value;
  Expiry expiry;
};

// A longer body cannot be an envelope for a value within the limit: every byte escaped as \u00XX,
// and room for the members and white space. Lets a request be refused before its body is read.
constexpr size_t put_envelope_bytes_max(size_t value_bytes_max) noexcept {
  return value_bytes_max * 6 + 4096;
}

// What stands between the first and the last quote of {"value":"…"}, the body that almost every
// client sends, found without a parser. If it is valid base64, which has no character that JSON
// escapes, it says the value, and the body is valid. Everything else, right or wrong, is for
// parse_put_envelope.
std::optional<std::string_view> only_value(std::string_view body) noexcept;

// Parses `body`. now_ms: what `ttl` counts from.
// Errors: kInvalidBody; kTooLarge, which names max_value_size and the value's size; kOverloaded
// when the process has no memory. *envelope is then undefined.
[[nodiscard]] std::optional<Problem> parse_put_envelope(std::string_view body,
                                                        size_t value_bytes_max, uint64_t now_ms,
                                                        PutEnvelope* envelope) noexcept;

// Errors: as above.
[[nodiscard]] std::optional<Problem> parse_patch(std::string_view body, uint64_t now_ms,
                                                 Expiry* expiry) noexcept;

}  // namespace small_db
