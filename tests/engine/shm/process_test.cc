// What the sweep makes of processes that die, and claims that race. Real processes over shared
// memory.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <functional>
#include <set>
#include <vector>

#include "engine/shm/slot.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

pid_t start_child(const std::function<void()>& body) {
  const pid_t pid = fork();
  if (pid == 0) {
    body();
    _exit(0);
  }
  return pid;
}

void wait_for_exit(pid_t pid) { ASSERT_EQ(waitpid(pid, nullptr, 0), pid); }

// Until the child is a zombie: dead, and its pid not yet given back.
void wait_for_zombie(pid_t pid) {
  siginfo_t info;
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid), &info, WEXITED | WNOWAIT), 0);
}

// A child that holds slot 0 until it is killed. Returns when it holds it.
pid_t start_holder(Region region, SharedObject<std::atomic<bool>>& ready) {
  const pid_t pid = start_child([&] {
    if (!claim_slot(region).is_ok()) return;
    (*ready.operator->()).store(true);
    for (;;) pause();
  });
  while (!ready->load()) {
    EXPECT_EQ(waitpid(pid, nullptr, WNOHANG), 0) << "the child died early";
    usleep(100);
  }
  return pid;
}

TEST(SlotSweep, FreesTheSlotOfAKilledProcessAndNotOfALiveOne) {
  SharedRegion shared;
  SharedObject<std::atomic<bool>> ready;
  const pid_t pid = start_holder(shared.region(), ready);
  ASSERT_EQ(slot_holder(shared.region(), 0).pid, static_cast<uint32_t>(pid));
  EXPECT_EQ(sweep_dead_slots(shared.region()), 0u);

  kill(pid, SIGKILL);
  wait_for_exit(pid);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
  EXPECT_TRUE(slot_holder(shared.region(), 0).is_free());
}

TEST(SlotSweep, TakesAZombieForDead) {
  SharedRegion shared;
  SharedObject<std::atomic<bool>> ready;
  const pid_t pid = start_holder(shared.region(), ready);
  kill(pid, SIGKILL);
  wait_for_zombie(pid);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
  wait_for_exit(pid);
}

TEST(SlotSweep, TakesAnotherStartTimeForAnotherProcess) {
  SharedRegion shared;
  ASSERT_TRUE(claim_slot(shared.region()).is_ok());
  shared.region().slot(0).start_time.fetch_add(1);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
}

TEST(SlotSweep, JudgesAClaimWithoutStartTimeByItsPid) {
  SharedRegion shared;
  ASSERT_TRUE(claim_slot(shared.region()).is_ok());
  shared.region().slot(0).start_time.store(0);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 0u);

  const pid_t pid = start_child([] {});
  wait_for_exit(pid);
  shared.region().slot(0).holder.store(SlotHolder{static_cast<uint32_t>(pid), 1}.pack());
  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
}

TEST(SlotSweep, NeverAsksForProcessGroups) {
  EXPECT_FALSE(holder_lives({0, 1}, 0));
  EXPECT_FALSE(holder_lives({UINT32_MAX, 1}, 0));
}

TEST(ProcessStartTime, IsReadBehindAnyCommandName) {
  const uint32_t self = static_cast<uint32_t>(getpid());
  const uint64_t start_time = process_start_time(self);
  EXPECT_NE(start_time, 0u);
  char name[16] = {};
  prctl(PR_GET_NAME, name);
  prctl(PR_SET_NAME, "a) Z 1 (2) 3");
  EXPECT_EQ(process_start_time(self), start_time);
  EXPECT_TRUE(holder_lives({self, 1}, start_time));
  prctl(PR_SET_NAME, name);
}

TEST(ProcessStartTime, IsUnknownForAProcessThatIsGone) {
  const pid_t pid = start_child([] {});
  wait_for_exit(pid);
  EXPECT_EQ(process_start_time(static_cast<uint32_t>(pid)), 0u);
}

struct Race {
  std::atomic<uint32_t> waiting = 0;
  std::atomic<uint32_t> overloaded = 0;
  std::array<std::array<std::atomic<uint64_t>, 8>, 8> claims = {};  // index << 32 | incarnation
};

TEST(SlotClaim, GivesEachSlotToOneOfManyProcesses) {
  constexpr uint32_t kProcesses = 8;
  constexpr uint32_t kClaims = 8;
  constexpr uint32_t kSlots = 48;  // fewer than claims
  SharedRegion shared(kSlots);
  SharedObject<Race> race;
  std::vector<pid_t> children;
  for (uint32_t p = 0; p < kProcesses; ++p) {
    children.push_back(start_child([&, p] {
      race->waiting.fetch_add(1);
      while (race->waiting.load() < kProcesses) sched_yield();
      for (uint32_t i = 0; i < kClaims; ++i) {
        const Result<ClaimedSlot> claimed = claim_slot(shared.region());
        if (!claimed.is_ok()) {
          race->overloaded.fetch_add(1);
          continue;
        }
        const ClaimedSlot& slot = claimed.value();
        race->claims[p][i].store(uint64_t{slot.index} << 32 | slot.holder.incarnation);
      }
    }));
  }
  for (pid_t pid : children) wait_for_exit(pid);

  std::set<uint32_t> slots;
  std::set<uint32_t> incarnations;
  for (const auto& claims : race->claims) {
    for (const auto& claim : claims) {
      if (claim.load() == 0) continue;
      slots.insert(static_cast<uint32_t>(claim.load() >> 32));
      incarnations.insert(static_cast<uint32_t>(claim.load()));
    }
  }
  EXPECT_EQ(slots.size(), kSlots);
  EXPECT_EQ(incarnations.size(), kSlots);
  EXPECT_EQ(race->overloaded.load(), kProcesses * kClaims - kSlots);
  EXPECT_EQ(sweep_dead_slots(shared.region()), kSlots);
}

}  // namespace
}  // namespace small_db
