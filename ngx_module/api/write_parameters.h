// What the parameters and the Content-Type of a write to one key say.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ngx_module/api/flat_object.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/query.h"

namespace small_db {

// Of `ttl` and `expires_at`. Errors: kInvalidQuery.
[[nodiscard]] std::optional<Problem> read_expiry(const Query& query, uint64_t now_ms,
                                                 Expiry* expiry) noexcept;

// A step of a counter: one that is absent starts with `initial`, then `delta` is added.
struct CounterStep {
  int64_t delta = 0;
  int64_t initial = 0;
};
// Of `incr`, which must be there, and `init`. Errors: kInvalidQuery.
[[nodiscard]] std::optional<Problem> read_counter_step(const Query& query,
                                                       CounterStep* step) noexcept;

// How the body of a PUT says the value. Media types are compared without case and parameters.
enum class BodyForm : uint8_t {
  kEnvelope,  // JSON; without a Content-Type, or with that of a form, which curl sends by itself
  kRaw,       // the body is the value: any other Content-Type, or `raw`
  kMultipart  // a form of parts, which is neither
};
BodyForm body_form(std::string_view content_type, const Query& query) noexcept;

// True for what a JSON body may be sent as: JSON, a form's type (curl -d), or nothing.
bool may_be_json(std::string_view content_type) noexcept;

// True for what lines of JSON may be sent as: application/x-ndjson, application/ndjson,
// application/jsonl, application/x-jsonlines, a form's type (curl --data-binary), or nothing.
bool may_be_lines(std::string_view content_type) noexcept;

}  // namespace small_db
