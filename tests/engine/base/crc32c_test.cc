#include "engine/base/crc32c.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace small_db {
namespace {

std::vector<std::byte> noise(size_t bytes) {
  std::vector<std::byte> result(bytes);
  uint32_t state = 1;
  for (std::byte& byte : result) {
    state = state * 1664525 + 1013904223;
    byte = static_cast<std::byte>(state >> 24);
  }
  return result;
}

struct Vector {
  const char* name;
  std::vector<std::byte> bytes;
  uint32_t crc;
};

// RFC 3720, appendix B.4, read as numbers, and the check value of the CRC catalogues.
std::vector<Vector> known_vectors() {
  std::vector<std::byte> up(32);
  std::vector<std::byte> down(32);
  for (size_t index = 0; index < 32; ++index) {
    up[index] = static_cast<std::byte>(index);
    down[index] = static_cast<std::byte>(31 - index);
  }
  const Bytes digits = as_bytes("123456789");
  std::vector<std::byte> read_command(48);
  read_command[0] = std::byte{0x01};
  read_command[1] = std::byte{0xC0};
  read_command[16] = std::byte{0x14};
  read_command[22] = std::byte{0x04};
  read_command[27] = std::byte{0x14};
  read_command[31] = std::byte{0x18};
  read_command[32] = std::byte{0x28};
  read_command[40] = std::byte{0x02};
  return {
      {"nothing", {}, 0},
      {"32 zeros", std::vector<std::byte>(32), 0x8A9136AA},
      {"32 ones", std::vector<std::byte>(32, std::byte{0xFF}), 0x62A8AB43},
      {"32 incrementing", up, 0x46DD794E},
      {"32 decrementing", down, 0x113FDB5C},
      {"an iSCSI read command", read_command, 0xD9963A56},
      {"the digits", {digits.begin(), digits.end()}, 0xE3069283},
  };
}

TEST(Crc32c, MatchesTheVectorsOfRfc3720) {
  for (const Vector& vector : known_vectors()) {
    EXPECT_EQ(crc32c(vector.bytes), vector.crc) << vector.name;
    EXPECT_EQ(crc32c_portable(vector.bytes), vector.crc) << vector.name;
  }
}

TEST(Crc32c, HardwareAgreesWithTheTableAtEveryLengthAndAlignment) {
  const std::vector<std::byte> bytes = noise(320);
  for (size_t start = 0; start < 16; ++start) {
    for (size_t length = 0; length <= 300; ++length) {
      const Bytes part = Bytes(bytes).subspan(start, length);
      ASSERT_EQ(crc32c(part), crc32c_portable(part)) << start << " " << length;
      ASSERT_EQ(crc32c(part, 0xDEADBEEF), crc32c_portable(part, 0xDEADBEEF))
          << start << " " << length;
    }
  }
}

// Around the lengths where the computation changes from one to three lanes, and more than once.
TEST(Crc32c, HardwareAgreesWithTheTableAroundItsLanes) {
  const std::vector<std::byte> bytes = noise(50000);
  for (const size_t around : {768u, 1536u, 4096u, 8192u, 12288u, 13056u, 24576u, 36864u, 49000u}) {
    for (size_t length = around - 9; length <= around + 9; ++length) {
      const Bytes part = Bytes(bytes).subspan(around % 7, length);
      ASSERT_EQ(crc32c(part, 7), crc32c_portable(part, 7)) << length;
    }
  }
}

TEST(Crc32c, ExtendsAtEverySplit) {
  const std::vector<std::byte> bytes = noise(2000);
  const uint32_t whole = crc32c(bytes);
  for (size_t split = 0; split <= bytes.size(); ++split) {
    const Bytes all(bytes);
    ASSERT_EQ(crc32c(all.subspan(split), crc32c(all.first(split))), whole) << split;
  }
}

TEST(Crc32c, SeesEveryFlippedBit) {
  std::vector<std::byte> bytes = noise(1000);
  const uint32_t before = crc32c(bytes);
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    const std::byte mask{static_cast<uint8_t>(1u << (bit % 8))};
    bytes[bit / 8] ^= mask;
    ASSERT_NE(crc32c(bytes), before) << bit;
    bytes[bit / 8] ^= mask;
  }
}

}  // namespace
}  // namespace small_db
