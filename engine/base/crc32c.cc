// CRC32C three ways: the table (slicing by 8) for every machine, and the instruction of x86-64 and
// ARMv8 where the CPU has it, asked once at the first use.
//
// The instruction has a latency of three cycles and a throughput of one, so long inputs are cut
// into three lanes that advance side by side. A lane's checksum is put in front of the next one by
// appending a lane's length of zeros to it, which is linear over GF(2) and so a sum of four table
// entries, one per byte of the checksum. Source: RFC 3720 appendix B.4; the same combination in
// M. Adler's zlib as crc32_combine.
#include "engine/base/crc32c.h"

#include <array>

#if defined(__aarch64__) && defined(__ARM_FEATURE_CRC32)
#include <arm_acle.h>
#elif defined(__x86_64__)
#include <nmmintrin.h>
#endif

namespace small_db {

namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;

using Table = std::array<uint32_t, 256>;

// tables[k][b]: the checksum of byte b followed by k zero bytes.
constexpr std::array<Table, 8> make_byte_tables() {
  std::array<Table, 8> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; ++bit) crc = (crc >> 1) ^ ((crc & 1) != 0 ? kPolynomial : 0);
    tables[0][byte] = crc;
  }
  for (size_t zeros = 1; zeros < 8; ++zeros) {
    for (size_t byte = 0; byte < 256; ++byte) {
      const uint32_t before = tables[zeros - 1][byte];
      tables[zeros][byte] = (before >> 8) ^ tables[0][before & 0xFF];
    }
  }
  return tables;
}

constexpr std::array<Table, 8> kByteTables = make_byte_tables();

// All functions below keep the register as the instruction does: not complemented.

uint32_t extend_byte(uint32_t crc, std::byte byte) noexcept {
  return (crc >> 8) ^ kByteTables[0][(crc ^ static_cast<uint32_t>(byte)) & 0xFF];
}

uint32_t extend_word(uint32_t crc, uint64_t word) noexcept {
  word ^= crc;
  uint32_t result = 0;
  for (size_t byte = 0; byte < 8; ++byte) {
    result ^= kByteTables[7 - byte][(word >> (8 * byte)) & 0xFF];
  }
  return result;
}

#if defined(__x86_64__) || (defined(__aarch64__) && defined(__ARM_FEATURE_CRC32))

// A 32 by 32 matrix over GF(2), by columns: what a run of zero bytes does to the register.
using Matrix = std::array<uint32_t, 32>;

constexpr uint32_t apply(const Matrix& matrix, uint32_t vector) {
  uint32_t sum = 0;
  for (size_t bit = 0; bit < 32; ++bit) {
    if (((vector >> bit) & 1) != 0) sum ^= matrix[bit];
  }
  return sum;
}

constexpr Matrix product(const Matrix& left, const Matrix& right) {
  Matrix result{};
  for (size_t bit = 0; bit < 32; ++bit) result[bit] = apply(left, right[bit]);
  return result;
}

// REQUIRES: `bytes` is a power of two.
constexpr Matrix zeros_matrix(size_t bytes) {
  Matrix matrix{};
  for (size_t bit = 0; bit < 32; ++bit) {
    const uint32_t crc = uint32_t{1} << bit;
    matrix[bit] = (crc >> 8) ^ kByteTables[0][crc & 0xFF];
  }
  for (size_t length = 1; length < bytes; length *= 2) matrix = product(matrix, matrix);
  return matrix;
}

constexpr std::array<Table, 4> make_shift_tables(size_t bytes) {
  const Matrix matrix = zeros_matrix(bytes);
  std::array<Table, 4> tables{};
  for (uint32_t byte = 0; byte < 256; ++byte) {
    for (size_t place = 0; place < 4; ++place) {
      tables[place][byte] = apply(matrix, byte << (8 * place));
    }
  }
  return tables;
}

// Long lanes for bodies of frames and blocks, short ones for what is left of them.
constexpr size_t kLongLaneBytes = 4096;
constexpr size_t kShortLaneBytes = 256;
constexpr std::array<Table, 4> kLongShift = make_shift_tables(kLongLaneBytes);
constexpr std::array<Table, 4> kShortShift = make_shift_tables(kShortLaneBytes);

uint32_t shift(const std::array<Table, 4>& tables, uint32_t crc) noexcept {
  return tables[0][crc & 0xFF] ^ tables[1][(crc >> 8) & 0xFF] ^ tables[2][(crc >> 16) & 0xFF] ^
         tables[3][crc >> 24];
}

#if defined(__x86_64__)
#define SMALL_DB_CRC_TARGET __attribute__((target("sse4.2")))

SMALL_DB_CRC_TARGET inline uint32_t hardware_word(uint32_t crc, uint64_t word) noexcept {
  return static_cast<uint32_t>(_mm_crc32_u64(crc, word));
}
SMALL_DB_CRC_TARGET inline uint32_t hardware_byte(uint32_t crc, std::byte byte) noexcept {
  return _mm_crc32_u8(crc, static_cast<uint8_t>(byte));
}
bool cpu_has_instruction() noexcept { return __builtin_cpu_supports("sse4.2") != 0; }
#else
#define SMALL_DB_CRC_TARGET

inline uint32_t hardware_word(uint32_t crc, uint64_t word) noexcept { return __crc32cd(crc, word); }
inline uint32_t hardware_byte(uint32_t crc, std::byte byte) noexcept {
  return __crc32cb(crc, static_cast<uint8_t>(byte));
}
// The whole program was compiled for CPUs that have it.
bool cpu_has_instruction() noexcept { return true; }
#endif

// Takes triples of lanes off the front of `bytes` while there are any.
template <size_t kLaneBytes>
SMALL_DB_CRC_TARGET uint32_t extend_lanes(uint32_t crc, Bytes& bytes,
                                          const std::array<Table, 4>& tables) noexcept {
  while (bytes.size() >= 3 * kLaneBytes) {
    const std::byte* const at = bytes.data();
    uint32_t second = 0;
    uint32_t third = 0;
    for (size_t offset = 0; offset < kLaneBytes; offset += 8) {
      crc = hardware_word(crc, load<uint64_t>(at + offset));
      second = hardware_word(second, load<uint64_t>(at + kLaneBytes + offset));
      third = hardware_word(third, load<uint64_t>(at + 2 * kLaneBytes + offset));
    }
    crc = shift(tables, shift(tables, crc) ^ second) ^ third;
    bytes = bytes.subspan(3 * kLaneBytes);
  }
  return crc;
}

SMALL_DB_CRC_TARGET uint32_t crc32c_hardware(Bytes bytes, uint32_t crc) noexcept {
  crc = ~crc;
  crc = extend_lanes<kLongLaneBytes>(crc, bytes, kLongShift);
  crc = extend_lanes<kShortLaneBytes>(crc, bytes, kShortShift);
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    crc = hardware_word(crc, load<uint64_t>(bytes.data()));
  }
  for (const std::byte byte : bytes) crc = hardware_byte(crc, byte);
  return ~crc;
}

#endif

}  // namespace

uint32_t crc32c_portable(Bytes bytes, uint32_t crc) noexcept {
  crc = ~crc;
  for (; bytes.size() >= 8; bytes = bytes.subspan(8)) {
    crc = extend_word(crc, load<uint64_t>(bytes.data()));
  }
  for (const std::byte byte : bytes) crc = extend_byte(crc, byte);
  return ~crc;
}

uint32_t crc32c(Bytes bytes, uint32_t crc) noexcept {
#if defined(__x86_64__) || (defined(__aarch64__) && defined(__ARM_FEATURE_CRC32))
  static const bool hardware = cpu_has_instruction();
  if (hardware) return crc32c_hardware(bytes, crc);
#endif
  return crc32c_portable(bytes, crc);
}

}  // namespace small_db
