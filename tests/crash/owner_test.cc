// Lives that go on after a crash, and owners that are killed between their steps.
#include <gtest/gtest.h>

#include "tests/crash/crash_report.h"
#include "tests/crash/crash_run.h"

namespace small_db {
namespace {

StoreSimOptions calm_options(uint64_t seed) {
  StoreSimOptions options = crash_sim_options(seed);
  options.weather_every = 0;
  return options;
}

// Crash upon crash on one disk, with some work in between.
TEST(StoreLives, GoOnAfterEachOfManyCrashes) {
  uint64_t states = 0;
  for (uint64_t round = 0; round < (kThorough ? 40 : 4); ++round) {
    SimDisk disk(round);
    History history(calm_options(round).keys);
    for (uint64_t life = 0; life < 60; ++life) {
      StoreSim sim(disk, history, 1000 * round + life, calm_options(round));
      disk.crash_at(20 + (7 * life + 13 * round) % 211);
      const Status status = sim.open();
      if (status.is_ok()) sim.run(200);
      ASSERT_EQ(sim.problem(), "") << "round " << round << ", life " << life;
      if (status.is_ok()) sim.note_published();
      CrashChecker checker(calm_options(round).store);
      const std::string wrong =
          checker.check_power_off(disk, history.legal_states(), life, life % 16 == 0);
      ASSERT_EQ(wrong, "") << "round " << round << ", life " << life;
      states += checker.counts().states;
      disk.crash(life);
      StoreSim next(disk, history, ~(1000 * round + life), calm_options(round));
      ASSERT_TRUE(next.open().is_ok()) << next.log_lines().back();
      ASSERT_TRUE(history.settle_at(next.revision())) << "round " << round << ", life " << life;
      ASSERT_EQ(next.compare(), "") << "round " << round << ", life " << life;
      disk.kill_process();
    }
  }
  note_states(states);
}

// Each request is answered, and done exactly once.
TEST(StoreLives, OwnersThatAreKilledLoseAndRepeatNothing) {
  for (uint64_t round = 0; round < 20; ++round) {
    SimDisk disk(round);
    History history(calm_options(round).keys);
    StoreSim sim(disk, history, round, calm_options(round));
    ASSERT_TRUE(sim.open().is_ok());
    for (int kill = 0; kill < 30; ++kill) {
      sim.run_steps(50 + 10 * round);
      const Status status = sim.replace_owner();
      ASSERT_TRUE(status.is_ok()) << status.text();
      ASSERT_EQ(sim.compare(), "") << "round " << round << ", kill " << kill;
    }
    sim.run(50);
    ASSERT_EQ(sim.compare(), "");
    // One revision for each write that was answered ok: a repeated one would have had two.
    EXPECT_EQ(sim.writes_ok() + history.removals(), sim.revision());
    EXPECT_EQ(sim.outcomes(Code::kOutcomeUnknown), 0u);
  }
}

}  // namespace
}  // namespace small_db
