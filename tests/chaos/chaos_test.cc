// A short run of each kind of chaos, and one of all together. `./dev chaos` runs longer ones.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/chaos/run.h"

namespace small_db::testing {
namespace {

constexpr double kSeconds = 12;

ChaosReport expect_no_violation(ChaosOptions options) {
  options.clients.seed = options.seed;
  ChaosReport report = run_chaos(options);
  std::fputs(report.text().c_str(), stdout);
  EXPECT_EQ(report.violations.size(), 0u);
  EXPECT_GT(report.writes_acknowledged, 500u);
  return report;
}

TEST(Chaos, KillsOfTheStorageProcessFailNoRequest) {
  const ChaosReport report =
      expect_no_violation({.seconds = kSeconds, .seed = 101, .mix = {.storage_kills = 1}});
  EXPECT_GT(report.disturbances[0], 20u);
  EXPECT_EQ(report.unknown + report.unanswered + report.unavailable + report.sent_again, 0u);
  EXPECT_GT(report.reads_in_kills, 0u);
  EXPECT_LT(percentile_ms(report.resume_times, 50), 250);
}

TEST(Chaos, KillsOfWorkersHarmTheirConnectionsAlone) {
  const ChaosReport report =
      expect_no_violation({.seconds = kSeconds, .seed = 102, .mix = {.worker_kills = 1}});
  // More than there are slots: those of the dead come back.
  EXPECT_GT(report.disturbances[1], 64u);
  EXPECT_EQ(report.unavailable, 0u);
}

TEST(Chaos, ReloadsFailNoRequest) {
  const ChaosReport report =
      expect_no_violation({.seconds = kSeconds, .seed = 103, .mix = {.reloads = 1}});
  EXPECT_GT(report.disturbances[3], 10u);
  EXPECT_EQ(report.unavailable, 0u);
}

TEST(Chaos, FaultsOfTheStorageProcessAreOverWhenTheDiskIsRead) {
  const ChaosReport report =
      expect_no_violation({.seconds = kSeconds, .seed = 104, .mix = {.faults = 1}});
  EXPECT_GT(report.disturbances[2], 10u);
}

TEST(Chaos, NothingIsLostWhenAllIsKilled) {
  const ChaosReport report =
      expect_no_violation({.seconds = kSeconds, .seed = 105, .mix = {.powers = 1}});
  EXPECT_GT(report.disturbances[4], 5u);
}

TEST(Chaos, AllAtOnce) {
  expect_no_violation(
      {.seconds = 2 * kSeconds,
       .seed = 106,
       .mix = {.storage_kills = 10, .worker_kills = 6, .faults = 1, .reloads = 3, .powers = 1}});
}

TEST(Chaos, KillsOfStorageWithManyKeys) {
  const ChaosReport report = expect_no_violation({.seconds = kSeconds / 2,
                                                  .seed = 107,
                                                  .mix = {.storage_kills = 1},
                                                  .memory_mib = 256,
                                                  .prepared_keys = 200'000});
  EXPECT_LT(percentile_ms(report.resume_times, 50), 250);
}

}  // namespace
}  // namespace small_db::testing
