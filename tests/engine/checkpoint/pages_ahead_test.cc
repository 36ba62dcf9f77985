#include "engine/checkpoint/pages_ahead.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "engine/base/limits.h"
#include "engine/platform/clock.h"

namespace small_db {
namespace {

constexpr size_t kBytes = 20 * kMiB;
constexpr size_t kPages = kBytes / 4096;
constexpr uint64_t kDeadlineUs = 20'000'000;

class PagesAheadTest : public ::testing::Test {
 protected:
  PagesAheadTest()
      : memory_(static_cast<std::byte*>(
            mmap(nullptr, kBytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0))) {}
  ~PagesAheadTest() override { munmap(memory_, kBytes); }

  long resident_pages() {
    std::vector<unsigned char> pages(kPages);
    EXPECT_EQ(mincore(memory_, kBytes, pages.data()), 0);
    return std::count_if(pages.begin(), pages.end(), [](unsigned char page) { return page & 1; });
  }

  bool reaches(long pages) {
    const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
    while (resident_pages() < pages) {
      if (system_clock().monotonic_us() > deadline) return false;
      sched_yield();
    }
    return true;
  }

  std::byte* memory_;
};

TEST_F(PagesAheadTest, MakesThePagesOfTheRangeAndChangesNothing) {
  if (madvise(memory_, 4096, kMadvPopulateWrite) != 0) {
    GTEST_SKIP() << "a kernel before 5.14: pages are made one by one";
  }
  memory_[5000] = std::byte{7};
  const PagesAhead ahead({memory_ + 100, kBytes / 2});
  EXPECT_TRUE(reaches(kPages / 2 + 1));
  EXPECT_LE(resident_pages(), static_cast<long>(kPages) / 2 + 1);
  EXPECT_EQ(memory_[5000], std::byte{7});
  EXPECT_EQ(memory_[5001], std::byte{0});
}

}  // namespace
}  // namespace small_db
