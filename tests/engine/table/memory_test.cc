#include "engine/table/memory.h"

#include <gtest/gtest.h>

#include <array>

namespace small_db {
namespace {

TEST(BlockRef, PacksGranuleLengthAndFlagIntoOneWord) {
  const BlockRef ref(0xfedcba98, 0xabc);
  EXPECT_EQ(ref.word(), 0x00000abcfedcba98U);
  EXPECT_EQ(ref.with_extents().word(), 0x80000abcfedcba98U);
  EXPECT_EQ(ref.with_extents().granule(), 0xfedcba98U);
  EXPECT_EQ(ref.with_extents().granules(), 0xabcU);
  EXPECT_TRUE(ref.with_extents().has_extents());
  EXPECT_FALSE(ref.has_extents());
}

TEST(ArenaView, ShowsNoBlockThatLeavesTheArena) {
  alignas(16) std::array<std::byte, 160> memory{};
  const ArenaView view(memory);
  EXPECT_EQ(view.at(BlockRef(9, 1)).size(), 16U);
  EXPECT_EQ(view.at(BlockRef(0, 10)).size(), 160U);
  EXPECT_EQ(view.at(BlockRef(1, 2).with_extents()).data(), memory.data() + 16);
  EXPECT_TRUE(view.at(BlockRef(9, 2)).empty());
  EXPECT_TRUE(view.at(BlockRef(10, 1)).empty());
  EXPECT_TRUE(view.at(BlockRef(UINT32_MAX, 0xfff)).empty());
  EXPECT_TRUE(view.at(BlockRef()).empty());
  EXPECT_TRUE(view.at(BlockRef(3, 0)).empty());
}

}  // namespace
}  // namespace small_db
