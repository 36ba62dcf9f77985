// Failovers in acknowledged mode: what clients see of whoever is the primary is one history, in
// which every acknowledged write is, in order, whatever came to the primary's processes and disk.
//
// SMALL_DB_FAILOVER_SEEDS: how many random sequences of misfortunes are tried (1).
#include "tests/chaos/failover.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>

namespace small_db::testing {
namespace {

FailoverReport expect_linearizable(FailoverOptions options, uint64_t seed) {
  options.client.seed = seed;
  FailoverReport report = run_failover(options);
  std::fputs(report.text().c_str(), stdout);
  EXPECT_EQ(report.violations.size(), 0u);
  EXPECT_GE(report.writes_acknowledged, options.misfortunes.size() * options.writes_between);
  EXPECT_GT(report.reads_judged, 100u);
  return report;
}

TEST(Failover, IsLinearizableWhenPrimariesAreKilled) {
  const FailoverReport report = expect_linearizable(
      {.misfortunes = {Misfortune::kKilled, Misfortune::kComesUnaware, Misfortune::kKilled}}, 201);
  EXPECT_EQ(report.promotions, 3u);
}

TEST(Failover, LosesNothingThatWasAcknowledgedWithThePrimarysDisk) {
  const FailoverReport report =
      expect_linearizable({.misfortunes = {Misfortune::kDiskLost, Misfortune::kDiskLost}}, 202);
  EXPECT_EQ(report.promotions, 2u);
}

TEST(Failover, IsLinearizableWhenThePrimaryLivesOn) {
  const FailoverReport report =
      expect_linearizable({.misfortunes = {Misfortune::kFrozen, Misfortune::kPromotedBeside}}, 203);
  EXPECT_EQ(report.promotions, 2u);
  EXPECT_GT(report.refused, 0u);
}

TEST(Failover, IsLinearizableWhenNodesAreRestarted) {
  expect_linearizable({.misfortunes = {Misfortune::kRestarted, Misfortune::kBackupKilled}}, 204);
}

TEST(Failover, IsLinearizableWhateverComes) {
  const char* text = std::getenv("SMALL_DB_FAILOVER_SEEDS");
  const uint64_t seeds = text == nullptr ? 1 : std::max(1ull, std::strtoull(text, nullptr, 10));
  for (uint64_t seed = 1; seed <= seeds && !HasFailure(); ++seed) {
    std::mt19937_64 random(seed);
    FailoverOptions options;
    for (int i = 0; i < 5; ++i) {
      options.misfortunes.push_back(static_cast<Misfortune>(random() % kMisfortunes));
    }
    std::printf("seed %llu\n", static_cast<unsigned long long>(seed));
    expect_linearizable(options, seed);
  }
}

}  // namespace
}  // namespace small_db::testing
