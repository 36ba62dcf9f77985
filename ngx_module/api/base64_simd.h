// Base64 many bytes at a time, where the processor can: the same text as base64.cc makes, a quarter
// of the instructions. Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstddef>
#include <string_view>

#include "engine/base/bytes.h"

namespace small_db {

// Encodes as many whole groups of 3 bytes at the start of `bytes` as it can, and returns how many
// bytes these were: nothing where the processor lacks the instructions.
// REQUIRES: room for base64_encoded_bytes(bytes.size()) at `to`.
size_t base64_encode_wide(Bytes bytes, char* to) noexcept;

// Decodes as many whole groups of 4 characters at the start of `text` as it can, none of which is
// the last one, and stops before the first that is not valid. Returns how many characters these
// were: nothing where the processor lacks the instructions. `to` may be the text's own memory.
// REQUIRES: room for base64_decoded_bytes(text) at `to`.
size_t base64_decode_wide(std::string_view text, std::byte* to) noexcept;

}  // namespace small_db
