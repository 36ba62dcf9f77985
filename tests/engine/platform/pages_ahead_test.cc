#include "engine/platform/pages_ahead.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include "engine/platform/clock.h"
#include "tests/engine/platform/shared_mapping.h"

namespace small_db {
namespace {

constexpr size_t kBytes = 96 * kMiB;
constexpr uint64_t kDeadlineUs = 20'000'000;

class PagesAheadThread : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!kernel_makes_pages()) GTEST_SKIP() << "a kernel before 5.14: pages are made one by one";
    ASSERT_TRUE(make_pages(mapping_.bytes().first(4096)));
  }

  bool reaches(size_t bytes) {
    const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
    while (mapping_.resident_bytes() < bytes) {
      if (system_clock().monotonic_us() > deadline) return false;
      sched_yield();
    }
    return true;
  }

  const SharedMapping mapping_{kBytes};
};

TEST_F(PagesAheadThread, MakesWhatIsWantedAndChangesNothing) {
  mapping_.bytes()[5000] = std::byte{7};
  {
    PagesAhead ahead(mapping_.bytes(), 0);
    ahead.want(40 * kMiB - 100);
    EXPECT_TRUE(reaches(40 * kMiB));
    ahead.want(20 * kMiB);
  }
  EXPECT_EQ(mapping_.resident_bytes(), 40 * kMiB);
  EXPECT_EQ(mapping_.bytes()[5000], std::byte{7});
  EXPECT_EQ(mapping_.bytes()[5001], std::byte{0});
}

TEST_F(PagesAheadThread, MakesHugePagesWhereTheKernelHasThem) {
  if (!kernel_makes_huge_pages()) GTEST_SKIP() << "no huge pages for shared memory here";
  PagesAhead ahead(mapping_.bytes(), 0);
  ahead.want(40 * kMiB);
  EXPECT_TRUE(reaches(40 * kMiB));
  EXPECT_EQ(huge_page_bytes_of(getpid()), 40 * kMiB);
}

// Where the mapping allows none: the pages are there all the same.
TEST_F(PagesAheadThread, MakesSmallPagesElsewhere) {
  PagesAhead ahead(mapping_.bytes().subspan(kHugePageBytes / 2, kBytes / 2), 0);
  ahead.want(kBytes);
  // From the first whole huge page to the last, and the page that SetUp made.
  EXPECT_TRUE(reaches(kBytes / 2 - kHugePageBytes + 4096));
  EXPECT_EQ(mapping_.resident_bytes(), kBytes / 2 - kHugePageBytes + 4096);
}

TEST_F(PagesAheadThread, LeavesWhatIsInUseAndKeepsAheadOfIt) {
  {
    PagesAhead ahead(mapping_.bytes(), 33 * kMiB);
    ahead.reached(33 * kMiB);  // a sixteenth is to be there; twice as much is made
    EXPECT_TRUE(reaches(4096 + 4 * kMiB));
    ahead.reached(34 * kMiB);  // there is enough left
  }
  EXPECT_EQ(mapping_.resident_bytes(), 4096 + 4 * kMiB);  // from 34 to 38 MiB
}

TEST_F(PagesAheadThread, MakesNoMoreThanThereIs) {
  PagesAhead ahead(mapping_.bytes().first(kBytes - 100), 0);
  ahead.reached(kBytes);
  EXPECT_TRUE(reaches(kBytes - kHugePageBytes));
  EXPECT_EQ(mapping_.resident_bytes(), kBytes - kHugePageBytes);
}

}  // namespace
}  // namespace small_db
