// Strict UTF-8 (RFC 3629): no surrogates, no overlong forms, nothing above U+10FFFF.
#pragma once

#include <cstddef>

#include "engine/base/bytes.h"

namespace small_db {

// Length of the longest prefix that is whole, valid UTF-8: bytes.size() when all of it is, else the
// position of the first byte of the first bad sequence.
size_t utf8_valid_prefix(Bytes bytes) noexcept;

inline bool is_utf8(Bytes bytes) noexcept { return utf8_valid_prefix(bytes) == bytes.size(); }

}  // namespace small_db
