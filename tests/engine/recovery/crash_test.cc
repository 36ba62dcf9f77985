// The power goes off at every call of a short history, and again at every call of the recovery that
// follows. What was acknowledged is there, and what is there was written.
#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::open_store;
using recovery_test::Opened;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

struct PastLife {
  WrittenHistory history;
  uint64_t acknowledged = 0;
  bool finished = false;
};

// Opens (and initialises), writes frames of different lengths, switches the log, writes on.
Status live(TestStore& store, PastLife& run, uint32_t switches) {
  SMALL_DB_RETURN_IF_ERROR(store.open());
  for (uint32_t part = 0; part <= switches; ++part) {
    for (const size_t bytes : {10, 900, 10}) {
      SMALL_DB_RETURN_IF_ERROR(store.commit(run.history, 2, bytes));
      run.acknowledged = store.acknowledged();
    }
    SMALL_DB_RETURN_IF_ERROR(store.mark(kFrameIdle));
    if (part < switches) SMALL_DB_RETURN_IF_ERROR(store.switch_log());
  }
  return Status::ok();
}

PastLife run_until_crash(SimDisk& disk, uint64_t at, uint32_t switches) {
  PastLife run;
  disk.crash_at(at);
  TestStore store(disk, 1024);
  run.finished = live(store, run, switches).is_ok();
  return run;
}

void judge(const Opened& opened, const PastLife& run, const std::string& what) {
  ASSERT_TRUE(opened.status.is_ok()) << what << ": " << opened.refusal.text();
  ASSERT_GE(opened.recovered.last_revision, run.acknowledged) << what;
  ASSERT_EQ(opened.sink.state, run.history.at(opened.recovered.last_revision)) << what;
}

TEST(CrashAnywhere, NothingAcknowledgedIsLost) {
  for (uint64_t at = 0;; ++at) {
    SimDisk disk;
    PastLife run = run_until_crash(disk, at, 1);
    if (run.finished) {
      EXPECT_GT(at, 70u);
      break;
    }
    for (uint64_t variant = 0; variant < 40; ++variant) {
      SimDisk crashed = disk;
      crashed.crash(variant);
      TestStore store(crashed, 1024);
      const Status status = store.open(2);
      const std::string what = "call " + std::to_string(at) + " variant " + std::to_string(variant);
      ASSERT_NO_FATAL_FAILURE(judge(store.opened, run, what));
      ASSERT_TRUE(status.is_ok()) << what;
      // It goes on, and finds all of it again.
      PastLife after = run;
      after.history.forget_after(store.opened.recovered.last_revision);
      ASSERT_TRUE(store.commit(after.history).is_ok()) << what;
      after.acknowledged = store.acknowledged();
      crashed.crash(variant + 1);
      auto directory = crashed.mount();
      ASSERT_NO_FATAL_FAILURE(judge(open_store(*directory, test_options()), after, what));
    }
  }
}

TEST(CrashAnywhere, ACrashOfRecoveryIsRecovered) {
  for (uint64_t at = 12;; at += 3) {
    SimDisk disk;
    const PastLife run = run_until_crash(disk, at, 1);
    if (run.finished) break;
    for (uint64_t variant = 0; variant < 4; ++variant) {
      SimDisk crashed = disk;
      crashed.crash(variant);
      for (uint64_t second = 0;; ++second) {
        SimDisk again = crashed;
        again.crash_at(second);
        TestStore interrupted(again, 1024);
        const bool finished = interrupted.open(2).is_ok();
        const uint64_t shown = finished ? interrupted.opened.recovered.last_revision : 0;
        again.crash(variant * 7 + second);
        auto directory = again.mount();
        const Opened opened = open_store(*directory, test_options());
        const std::string what = "call " + std::to_string(at) + " variant " +
                                 std::to_string(variant) + " second " + std::to_string(second);
        ASSERT_NO_FATAL_FAILURE(judge(opened, run, what));
        ASSERT_GE(opened.recovered.last_revision, shown) << what;
        if (finished) break;
      }
    }
  }
}

// A process dies after a failed call, the next one reads its pages, and then the power goes off.
TEST(CrashAnywhere, AFailedCallThenADeadProcessThenACrash) {
  for (const SimFault fault : {SimFault::kIoError, SimFault::kShortWrite, SimFault::kNoSpace}) {
    for (uint64_t at = 0;; ++at) {
      SimDisk disk;
      PastLife run;
      disk.fail_at(at, fault);
      {
        TestStore store(disk, 1024);
        run.finished = live(store, run, 1).is_ok();
      }
      if (run.finished && at > 150) break;
      disk.kill_process();
      auto directory = disk.mount();
      const Opened first = open_store(*directory, test_options());
      const std::string what = "call " + std::to_string(at);
      ASSERT_NO_FATAL_FAILURE(judge(first, run, what));
      run.acknowledged = first.recovered.last_revision;  // it was shown
      for (uint64_t variant = 0; variant < 5; ++variant) {
        SimDisk crashed = disk;
        crashed.crash(variant);
        auto mounted = crashed.mount();
        ASSERT_NO_FATAL_FAILURE(judge(open_store(*mounted, test_options()), run, what));
      }
    }
  }
}

// The same when the power stays on: the next process reads the pages that the dead one wrote.
TEST(CrashAnywhere, AKilledProcessLosesNothingThatItWrote) {
  for (uint64_t at = 0;; ++at) {
    SimDisk disk;
    const PastLife run = run_until_crash(disk, at, 1);
    disk.kill_process();
    auto directory = disk.mount();
    const Opened opened = open_store(*directory, test_options());
    ASSERT_NO_FATAL_FAILURE(judge(opened, run, "call " + std::to_string(at)));
    if (run.finished) break;
  }
}

}  // namespace
}  // namespace small_db
