#include "engine/base/bytes.h"

#include <gtest/gtest.h>

#include <array>
#include <string>

namespace small_db {
namespace {

TEST(Bytes, FieldsAreLittleEndianAtAnyAlignment) {
  std::array<std::byte, 16> memory{};
  for (size_t at = 0; at <= 8; ++at) {
    store<uint64_t>(memory.data() + at, 0x0123456789ABCDEFu);
    EXPECT_EQ(memory[at], std::byte{0xEF});
    EXPECT_EQ(memory[at + 7], std::byte{0x01});
    EXPECT_EQ(load<uint64_t>(memory.data() + at), 0x0123456789ABCDEFu);
    EXPECT_EQ(load<uint16_t>(memory.data() + at), 0xCDEFu);
  }
}

TEST(Bytes, TextAndBytesShareMemory) {
  const std::string text("a\0b", 3);
  EXPECT_EQ(as_bytes(text).size(), 3u);
  EXPECT_EQ(as_text(as_bytes(text)).data(), text.data());
  EXPECT_EQ(as_text(as_bytes(text)), text);
}

TEST(Bytes, CopyOfNothingNeedsNoMemory) {
  copy_bytes(nullptr, Bytes());
  std::array<std::byte, 2> to{};
  copy_bytes(to.data(), as_bytes("xy"));
  EXPECT_EQ(as_text(to), "xy");
}

TEST(Bytes, KeysAreOrderedAsUnsignedBytesAndPrefixesComeFirst) {
  const std::string ordered[] = {"",
                                 std::string("\0", 1),
                                 std::string("\0\0", 2),
                                 "a",
                                 "a\x01",
                                 "aa",
                                 "b",
                                 "\x7F",
                                 "\x80",
                                 "\xFF\x01"};
  const size_t count = std::size(ordered);
  for (size_t left = 0; left < count; ++left) {
    for (size_t right = 0; right < count; ++right) {
      const int order = compare_bytes(as_bytes(ordered[left]), as_bytes(ordered[right]));
      EXPECT_EQ(order < 0, left < right) << left << " " << right;
      EXPECT_EQ(order > 0, left > right) << left << " " << right;
    }
  }
}

TEST(Bytes, AlignUpKeepsWhatIsAligned) {
  EXPECT_EQ(align_up(0, 512), 0u);
  EXPECT_EQ(align_up(1, 512), 512u);
  EXPECT_EQ(align_up(512, 512), 512u);
  EXPECT_EQ(align_up(513, 512), 1024u);
}

}  // namespace
}  // namespace small_db
