// How a value is shown in an answer, and what decides it: the parameters, else Accept.
//
//   ?raw                                   the bytes that it is
//   ?encoding=base64                       the JSON envelope, value as base64
//   ?encoding=utf-8                        the JSON envelope, value as text
//   Accept: application/octet-stream       the bytes
//   otherwise                              the JSON envelope, value as base64
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "ngx_module/api/accept.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/query.h"

namespace small_db {

enum class ValueEncoding : uint8_t { kBase64, kUtf8 };

// The encoding of that name: base64; utf-8, and its synonyms utf8, plain and text; in any case.
std::optional<ValueEncoding> value_encoding_named(std::string_view name) noexcept;

// What ?encoding= says; base64 when it is not there. Errors: kInvalidQuery.
[[nodiscard]] std::optional<Problem> choose_encoding(const Query& query,
                                                     ValueEncoding* encoding) noexcept;

enum class Representation : uint8_t { kBase64, kUtf8, kBytes };

// Errors: kInvalidQuery, also for raw and encoding at once.
[[nodiscard]] std::optional<Problem> choose_representation(const Query& query, const Accept& accept,
                                                           Representation* choice) noexcept;

}  // namespace small_db
