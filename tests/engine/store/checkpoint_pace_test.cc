#include "engine/store/checkpoint_pace.h"

#include <gtest/gtest.h>

#include "engine/platform/clock.h"
#include "engine/platform/futex.h"

namespace small_db {
namespace {

constexpr uint64_t kWorkUs = 1000;
constexpr uint64_t kOwedUs = kWorkUs * CheckpointPace::kRestPerWork;

TEST(CheckpointPace, RestsForAMultipleOfItsWork) {
  CheckpointPace pace;
  EXPECT_EQ(pace.rest_us(kWorkUs, 0), kOwedUs);
  EXPECT_EQ(pace.rest_us(0, 0), 0u);
  EXPECT_EQ(pace.rest_us(UINT32_MAX, 0), CheckpointPace::kRestMaxUs);
}

TEST(CheckpointPace, WaitingCountsAsRest) {
  CheckpointPace pace;
  EXPECT_EQ(pace.rest_us(kWorkUs, 1500), kOwedUs - 1500);
  EXPECT_EQ(pace.rest_us(kWorkUs, kOwedUs + 600), 0u);
  EXPECT_EQ(pace.rest_us(kWorkUs, 0), kOwedUs - 600) << "what it waited for too long before counts";
  EXPECT_EQ(pace.rest_us(kWorkUs, 0), kOwedUs) << "and only once";
}

TEST(CheckpointPace, GivesWayUntilItHasWaitedForTooLong) {
  CheckpointPace pace;
  EXPECT_TRUE(pace.gives_way());
  EXPECT_EQ(pace.rest_us(0, CheckpointPace::kWaitedMaxUs - 1), 0u);
  EXPECT_TRUE(pace.gives_way());
  EXPECT_EQ(pace.rest_us(0, 1), 0u);
  EXPECT_FALSE(pace.gives_way());
  EXPECT_EQ(pace.rest_us(kWorkUs, 0), 0u) << "it makes up for it first";
  EXPECT_TRUE(pace.gives_way());
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
