// CRC32C (Castagnoli polynomial, reflected 0x82F63B78), as in RFC 3720 appendix B.4. One value for
// every checksum of the engine; formats differ by the seed that they start from.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"

namespace small_db {

// Extends `crc`, the CRC32C of the bytes before (0 for none), by `bytes`. crc32c("123456789") =
// 0xE3069283. Uses the CPU's instruction where there is one (x86-64 SSE 4.2, ARMv8 CRC).
uint32_t crc32c(Bytes bytes, uint32_t crc = 0) noexcept;

// The table-driven computation that crc32c falls back to; public for the test that compares both.
uint32_t crc32c_portable(Bytes bytes, uint32_t crc = 0) noexcept;

}  // namespace small_db
