// The power goes off at every single call that a store makes to its disk, with many versions of
// what the disk kept: nothing acknowledged may be lost, nothing may be there in half, and the store
// must open.
//
// SMALL_DB_CRASH_VARIANTS: versions of the disk per call (default 6). SMALL_DB_CRASH_SEED: of the
// history (default 1).
#include <gtest/gtest.h>

#include <array>
#include <cstdlib>

#include "tests/sim/store_sim.h"

namespace small_db {
namespace {

constexpr uint32_t kOperations = 2000;

uint64_t setting(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

uint64_t seed() { return setting("SMALL_DB_CRASH_SEED", 1); }

// A checkpoint for every eighty commits: with the log switches, more than twenty in a history.
StoreSimOptions options() {
  StoreSimOptions options;
  options.store.checkpoint_updates = 80;
  options.store.keep_generations = 0;  // nothing to fall back to: each must be whole
  return options;
}

// A store's whole life up to the loss of power, if it comes to that.
struct Life {
  explicit Life(uint64_t crash_at) : disk(seed()) {
    if (crash_at != UINT64_MAX) disk.crash_at(crash_at);
    StoreSim sim(disk, history, seed(), options());
    status = sim.open();
    if (status.is_ok()) {
      sim.run(kOperations);
      sim.collect_answers();
    }
    calls = disk.operations();
  }

  SimDisk disk;
  History history;
  Status status;
  uint64_t calls = 0;
};

// Opens what the crash left, and returns what is wrong with it.
std::string check_recovery(SimDisk& disk, History& history) {
  StoreSim sim(disk, history, seed() + 1, options());
  const Status status = sim.open();
  if (!status.is_ok()) {
    return "does not open: " + status.text() + "; " +
           (sim.log_lines().empty() ? "" : sim.log_lines().back());
  }
  std::string difference = sim.compare();
  if (!difference.empty()) return difference;
  history.settle_at(sim.revision());
  return "";
}

// The same, and the store goes on from there and is opened once more.
std::string check_recovery_and_use(SimDisk& disk, History& history) {
  {
    StoreSim sim(disk, history, seed() + 2, options());
    if (!sim.open().is_ok()) return "does not open";
    history.settle_at(sim.revision());
    sim.run(30);
    const std::string difference = sim.compare();
    if (!difference.empty()) return "after going on: " + difference;
  }
  disk.crash(7);
  return check_recovery(disk, history);
}

TEST(StoreCrash, HistoryIsLongAndUsesEveryKindOfCall) {
  const Life life(UINT64_MAX);
  ASSERT_TRUE(life.status.is_ok()) << life.status.text();
  EXPECT_GE(life.history.last_revision(), kOperations * 9 / 10);
  EXPECT_EQ(life.history.acknowledged_revision(), life.history.last_revision());
  EXPECT_GE(life.calls, 1000u);
  EXPECT_GE(std::stoi(life.disk.contents("version")), 20) << "checkpoints";
}

TEST(StoreCrash, NothingAcknowledgedIsLostAtAnyCall) {
  const uint64_t variants = setting("SMALL_DB_CRASH_VARIANTS", 6);
  const uint64_t calls = Life(UINT64_MAX).calls;
  uint64_t states = 0;
  for (uint64_t call = 0; call < calls; ++call) {
    const Life life(call);
    for (uint64_t variant = 0; variant < variants; ++variant) {
      SimDisk disk = life.disk;
      History history = life.history;
      disk.crash(variant);
      const std::string wrong = check_recovery(disk, history);
      ASSERT_EQ(wrong, "") << "power off at call " << call << ", variant " << variant;
      ++states;
    }
  }
  RecordProperty("crash_states", std::to_string(states));
}

TEST(StoreCrash, RecoveryItselfMayBeInterruptedAtAnyCall) {
  const uint64_t calls = Life(UINT64_MAX).calls;
  for (uint64_t call = 0; call < calls; call += 37) {
    const Life life(call);
    SimDisk crashed = life.disk;
    crashed.crash(call);
    for (uint64_t recovery_call = 0;; ++recovery_call) {
      SimDisk disk = crashed;
      History history = life.history;
      disk.crash_at(recovery_call);
      (void)StoreSim(disk, history, seed() + 1, options()).open();
      if (!disk.powered_off()) break;
      disk.crash(recovery_call);
      const std::string wrong = check_recovery(disk, history);
      ASSERT_EQ(wrong, "") << "power off at call " << call << ", then at call " << recovery_call
                           << " of recovery";
    }
  }
}

TEST(StoreCrash, RecoveredStoreGoesOnAndIsRecoveredAgain) {
  const uint64_t calls = Life(UINT64_MAX).calls;
  for (uint64_t call = 5; call < calls; call += 11) {
    const Life life(call);
    SimDisk disk = life.disk;
    History history = life.history;
    disk.crash(call);
    ASSERT_EQ(check_recovery(disk, history), "") << "power off at call " << call;
    disk.crash(call + 1);
    ASSERT_EQ(check_recovery_and_use(disk, history), "") << "power off at call " << call;
  }
}

// One call of the history fails. The store may refuse to write from then on, but it answers every
// request, and what it acknowledged is there after the next start.
TEST(StoreCrash, AFailedCallLosesNothingThatWasAcknowledged) {
  constexpr std::array kFaults = {SimFault::kIoError, SimFault::kNoSpace, SimFault::kShortWrite};
  const uint64_t calls = Life(UINT64_MAX).calls;
  for (uint64_t call = 0; call < calls; call += 2) {
    const SimFault fault = kFaults[call / 2 % kFaults.size()];
    const std::string what =
        "call " + std::to_string(call) + " fails in way " + std::to_string(call / 2 % 3);
    SimDisk disk(seed());
    History history;
    disk.fail_at(call, fault);
    {
      StoreSim sim(disk, history, seed(), options());
      if (sim.open().is_ok()) {
        sim.run(kOperations);
        ASSERT_EQ(sim.compare(), "") << what;
      }
    }
    disk.kill_process();
    ASSERT_EQ(check_recovery(disk, history), "") << what;
    disk.crash(call);
    ASSERT_EQ(check_recovery(disk, history), "") << what << ", then power off";
  }
}

// SIGKILL: the page cache survives, so that all that was written is there.
TEST(StoreCrash, KilledProcessLosesNothingThatWasWritten) {
  const uint64_t calls = Life(UINT64_MAX).calls;
  for (uint64_t call = 0; call < calls; call += 3) {
    const Life life(call);
    SimDisk disk = life.disk;
    History history = life.history;
    disk.kill_process();
    ASSERT_EQ(check_recovery(disk, history), "") << "killed at call " << call;
    // What recovery served is durable: a power failure right after it takes nothing back.
    disk.crash(call);
    ASSERT_EQ(check_recovery(disk, history), "") << "killed at call " << call << ", then power off";
  }
}

// The owner is killed again and again while clients write: each request is answered, and done
// exactly once.
TEST(StoreCrash, OwnersThatAreKilledLoseAndRepeatNothing) {
  for (uint64_t round = 0; round < 20; ++round) {
    SimDisk disk(seed() + round);
    History history;
    StoreSim sim(disk, history, seed() + round, options());
    ASSERT_TRUE(sim.open().is_ok());
    for (int kill = 0; kill < 30; ++kill) {
      sim.run_steps(50 + 10 * round);
      const Status status = sim.replace_owner();
      ASSERT_TRUE(status.is_ok()) << status.text();
      ASSERT_EQ(sim.compare(), "") << "round " << round << ", kill " << kill;
    }
    sim.run(50);
    ASSERT_EQ(sim.compare(), "");
    // One revision for each request that was answered ok: a repeated one would have had two.
    EXPECT_EQ(sim.outcomes(Code::kOk), sim.revision());
    EXPECT_EQ(sim.outcomes(Code::kOutcomeUnknown), 0u);
  }
}

}  // namespace
}  // namespace small_db
