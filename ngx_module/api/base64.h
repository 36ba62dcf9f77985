// Standard base64 (RFC 4648 section 4): the alphabet with '+' and '/', padding always. Strict: what
// the encoder could not have written is refused, so that one value has one encoding only. Pure
// functions over the caller's memory; worker processes call them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"

namespace small_db {

constexpr size_t base64_encoded_bytes(size_t bytes) noexcept { return (bytes + 2) / 3 * 4; }

// Encodes a value that comes in pieces of any length, as if it were one.
class Base64Encoder {
 public:
  // REQUIRES: room for base64_encoded_bytes(sum of all pieces) at `to`.
  explicit Base64Encoder(char* to) noexcept : to_(to) {}

  void add(Bytes piece) noexcept;

  // Writes the last group. Returns the end of the output; nothing may be added afterwards.
  char* finish() noexcept;

 private:
  char* to_;
  uint32_t rest_ = 0;  // up to two bytes that do not make a group yet
  uint32_t rest_bytes_ = 0;
};

struct Base64Error {
  size_t position = 0;    // 0-based byte of the text; its size when something is missing there
  const char* what = "";  // a literal
};

// Bytes that `text` decodes to if it is valid base64.
size_t base64_decoded_bytes(std::string_view text) noexcept;

// Decodes `text` to `to`, which may be the text's own memory.
// Errors: the first byte that breaks the encoding; what stands at `to` is then undefined.
// REQUIRES: room for base64_decoded_bytes(text).
std::optional<Base64Error> base64_decode(std::string_view text, std::byte* to) noexcept;

// The alphabet for addresses (section 5), with '-' and '_', and no padding. As strict.
std::string base64url_encode(Bytes bytes);
std::optional<std::string> base64url_decode(std::string_view text);

}  // namespace small_db
