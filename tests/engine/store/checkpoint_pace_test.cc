#include "engine/store/checkpoint_pace.h"

#include <gtest/gtest.h>

#include "engine/platform/clock.h"
#include "engine/platform/futex.h"

namespace small_db {
namespace {

constexpr uint64_t kWorkUs = 1000;
constexpr uint64_t kOwedUs = kWorkUs * CheckpointPace::kRestPerWork;

TEST(CheckpointPace, RestsForAMultipleOfTheTimeThatItTook) {
  CheckpointPace pace;
  EXPECT_EQ(pace.rest_us(kWorkUs, 0), kOwedUs);
  EXPECT_EQ(pace.rest_us(kWorkUs, kWorkUs), 2 * kOwedUs);
  EXPECT_EQ(pace.rest_us(0, 0), 0u);
  EXPECT_EQ(pace.rest_us(UINT32_MAX, 0), CheckpointPace::kRestMaxUs);
}

TEST(CheckpointPace, GivesWayUntilItHasWaitedForTooLong) {
  CheckpointPace pace;
  EXPECT_TRUE(pace.gives_way());
  (void)pace.rest_us(0, CheckpointPace::kWaitedMaxUs - 1);
  EXPECT_TRUE(pace.gives_way());
  (void)pace.rest_us(0, 1);
  EXPECT_FALSE(pace.gives_way());
  (void)pace.rest_us(kWorkUs, 0);
  EXPECT_TRUE(pace.gives_way()) << "its work made up for it";
}

TEST(CheckpointPace, GivesWayForEverWhenItWaitsNoLongerThanItWouldRest) {
  CheckpointPace pace;
  for (uint64_t us = 0; us < 2 * CheckpointPace::kWaitedMaxUs; us += kOwedUs) {
    (void)pace.rest_us(kWorkUs, kOwedUs);
    ASSERT_TRUE(pace.gives_way());
  }
}

TEST(ThreadRunningTime, DoesNotGoOnWhileTheThreadWaits) {
  std::atomic<uint32_t> never{0};
  const uint64_t ran_us = thread_running_us();
  const uint64_t started_us = system_clock().monotonic_us();
  EXPECT_FALSE(futex_wait(never, 0, 50'000));
  const uint64_t waited_us = system_clock().monotonic_us() - started_us;
  EXPECT_LT(thread_running_us() - ran_us, waited_us / 2);
}

TEST(ThreadRunningTime, GoesOnWhileTheThreadRuns) {
  const uint64_t ran_us = thread_running_us();
  const uint64_t deadline_us = system_clock().monotonic_us() + 60'000'000;
  while (thread_running_us() < ran_us + 1000 && system_clock().monotonic_us() < deadline_us) {
  }
  EXPECT_GE(thread_running_us(), ran_us + 1000);
}

}  // namespace
}  // namespace small_db
