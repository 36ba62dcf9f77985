// Every call of a history fails once: with EIO, with ENOSPC, as a short write; and once its owner
// is killed in it, while the region and its clients live on. The store may refuse to write for a
// while, but it answers every request, heals, and what it published is there after the next start.
#include <gtest/gtest.h>

#include "tests/crash/crash_report.h"
#include "tests/crash/crash_run.h"

namespace small_db {
namespace {

constexpr uint64_t kShares = 6;

class Fault : public testing::TestWithParam<uint64_t> {};

TEST_P(Fault, OfAnyCallLosesNothing) {
  CrashRunOptions options;
  options.share = GetParam();
  options.shares = kShares * (kThorough ? 1 : 40);
  const CrashRunResult result = run_faults(options);
  expect_no_failure(result);
  EXPECT_GE(result.faults, result.moments / options.shares);
}

INSTANTIATE_TEST_SUITE_P(Share, Fault, testing::Range(uint64_t{0}, kShares));

}  // namespace
}  // namespace small_db
