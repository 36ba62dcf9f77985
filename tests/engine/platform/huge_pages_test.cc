#include "engine/platform/huge_pages.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdint>

#include "tests/engine/platform/shared_mapping.h"

namespace small_db {
namespace {

constexpr size_t kBytes = 4 * kHugePageBytes;

TEST(HugePagesTest, AMappingMovesToWhereItsPagesCanBeHuge) {
  for (const size_t bytes : {kBytes, kBytes + 100, size_t{5000}}) {
    void* mapping = mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(mapping, MAP_FAILED);
    static_cast<std::byte*>(mapping)[bytes - 1] = std::byte{7};
    auto* const moved = static_cast<std::byte*>(align_for_huge_pages(mapping, bytes));
    EXPECT_EQ(reinterpret_cast<uintptr_t>(moved) % kHugePageBytes, 0);
    EXPECT_EQ(moved[bytes - 1], std::byte{7});
    EXPECT_EQ(munmap(moved, bytes), 0);
  }
}

// So often that what the test itself maps is the smaller part.
TEST(HugePagesTest, AMoveLeavesNothingMappedBehind) {
  constexpr size_t kMoves = 100;
  const size_t before = mapped_bytes_of_this_process();
  for (size_t i = 0; i < kMoves; ++i) const SharedMapping mapping(kBytes + i * 20480);
  EXPECT_LT(mapped_bytes_of_this_process(), before + kMoves * kHugePageBytes / 4);
}

TEST(HugePagesTest, PagesAreHugeAndKeepWhatIsThere) {
  if (!kernel_makes_huge_pages()) GTEST_SKIP() << "no huge pages for shared memory here";
  const SharedMapping mapping(kBytes);
  mapping.bytes()[5000] = std::byte{7};
  EXPECT_EQ(make_huge_pages(mapping.bytes().first(2 * kHugePageBytes)), HugePages::kMade);
  EXPECT_EQ(huge_page_bytes_of(getpid()), 2 * kHugePageBytes);
  EXPECT_EQ(mapping.bytes()[5000], std::byte{7});
  EXPECT_EQ(mapping.bytes()[5001], std::byte{0});
}

TEST(HugePagesTest, OfAMappingThatIsNotAlignedNoneIsEverHuge) {
  void* const elsewhere = mmap(nullptr, 2 * kBytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(elsewhere, MAP_FAILED);
  auto* const begin = static_cast<std::byte*>(align_for_huge_pages(elsewhere, 2 * kBytes));
  void* const odd = mmap(begin + 4096, kBytes, PROT_READ | PROT_WRITE,
                         MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  ASSERT_EQ(odd, begin + 4096);
  EXPECT_EQ(make_huge_pages({begin + kHugePageBytes, kHugePageBytes}), HugePages::kNever);
  EXPECT_TRUE(make_pages({begin + kHugePageBytes, kHugePageBytes}));
  EXPECT_EQ(munmap(begin, 2 * kBytes), 0);
}

}  // namespace
}  // namespace small_db
