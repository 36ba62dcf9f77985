// The power goes off before every single call that a store makes to its disk, and in the middle of
// every write, with many versions of what the disk kept: nothing that was published may be lost,
// nothing may be there in half, and the store must open. Each test is one share of a history's
// moments, so that ctest can run them side by side.
//
// SMALL_DB_CRASH_COUNTS: a file that each test adds a line to: crash states that it checked.
#include <gtest/gtest.h>

#include "tests/crash/crash_report.h"
#include "tests/crash/crash_run.h"

namespace small_db {
namespace {

constexpr uint64_t kShares = 6;
constexpr uint32_t kShortOperations = 2000;

class PowerFailure : public testing::TestWithParam<uint64_t> {};

CrashRunOptions share_options(uint64_t seed, uint64_t share) {
  CrashRunOptions options;
  options.seed = seed;
  options.share = share;
  options.shares = kShares * (kThorough ? 1 : 40);
  return options;
}

TEST(PowerFailureHistory, IsLongAndHasBadTimes) {
  CrashRunOptions options = share_options(1, 0);
  options.only_moment = 0;
  const CrashRunResult result = run_power_failures(options);
  ASSERT_EQ(result.failure, "");
  EXPECT_GE(result.operations, 10'000u) << "committed";
  EXPECT_GE(result.checkpoints, 20u);
  EXPECT_GE(result.owners, 10u);
  EXPECT_GE(result.read_only_times, 5u);
  EXPECT_GE(result.heals, 5u);
  EXPECT_GE(result.calls, 10'000u);
  EXPECT_GT(result.moments, result.calls);
}

TEST(PowerFailureHistory, IsTheSameEachTime) {
  CrashRunOptions options = share_options(3, 0);
  options.operations = 1000;
  options.shares = 100;
  const CrashRunResult one = run_power_failures(options);
  const CrashRunResult two = run_power_failures(options);
  EXPECT_EQ(one.moments, two.moments);
  EXPECT_EQ(one.operations, two.operations);
  EXPECT_EQ(one.counts.states, two.counts.states);
}

TEST_P(PowerFailure, LosesNothingWithoutAnOlderGeneration) {
  expect_no_failure(run_power_failures(share_options(1, GetParam())));
}

TEST_P(PowerFailure, LosesNothingWithAnOlderGeneration) {
  CrashRunOptions options = share_options(2, GetParam());
  options.operations = kShortOperations;
  expect_no_failure(run_power_failures(options));
}

INSTANTIATE_TEST_SUITE_P(Share, PowerFailure, testing::Range(uint64_t{0}, kShares));

}  // namespace
}  // namespace small_db
