// A storage process that is really killed, again and again, while a client in another process
// writes: every request is answered, and done exactly once, and reads go on.
#include <fcntl.h>
#include <sys/file.h>

#include <random>

#include "tests/engine/store/forked_owner.h"

namespace small_db {
namespace {

class StorageKill : public ForkedOwnerTest {};

TEST_F(StorageKill, EveryRequestIsDoneExactlyOnceAndReadsGoOn) {
  constexpr uint32_t kKills = 25;
  constexpr uint32_t kWindow = 24;
  std::mt19937 random(5);
  start_owner();
  ASSERT_TRUE(wait_until_serving());
  std::unique_ptr<Client> client = attach_client(region_);
  uint64_t submitted = 0;
  uint64_t answered = 0;
  uint32_t kills = 0;
  uint64_t kill_at = 40;
  uint64_t longest_gap_us = 0;
  uint64_t last_answer_us = system_clock().monotonic_us();
  while (kills < kKills || answered < submitted) {
    while (kills < kKills && submitted - answered < kWindow) {
      const std::string key = std::to_string(submitted % 500);
      const std::string value = std::to_string(submitted);
      ASSERT_TRUE(client->put(submitted + 1, as_bytes(key), as_bytes(value), 0).is_ok());
      ++submitted;
    }
    const uint32_t seen = bell_->load();
    WriteOutcome outcome;
    bool any = false;
    while (client->poll(&outcome)) {
      ASSERT_EQ(outcome.code, Code::kOk);
      ++answered;
      any = true;
      const uint64_t now = system_clock().monotonic_us();
      longest_gap_us = std::max(longest_gap_us, now - last_answer_us);
      last_answer_us = now;
      ASSERT_TRUE(read_value(*client, std::to_string((outcome.cookie - 1) % 500)).has_value());
    }
    if (answered >= kill_at && kills < kKills) {
      kill_owner(SIGKILL);
      ASSERT_TRUE(read_value(*client, "0").has_value()) << "reads need no owner";
      start_owner();
      ++kills;
      kill_at = answered + random() % 200;
    }
    if (any || !client->prepare_sleep()) continue;
    ASSERT_TRUE(futex_wait(*bell_, seen, kDeadlineUs)) << "no answer";
  }
  EXPECT_EQ(region_.header().revision.load(), submitted)
      << "a repeated request would have a revision of its own";
  RecordProperty("longest_gap_us", std::to_string(longest_gap_us));
}

TEST_F(StorageKill, RegionOfAnOwnerThatDiedByAFaultIsLoadedFromDisk) {
  start_owner();
  ASSERT_TRUE(wait_until_serving());
  std::unique_ptr<Client> client = attach_client(region_);
  ASSERT_TRUE(client->put(1, as_bytes("key"), as_bytes("value"), 0).is_ok());
  WriteOutcome outcome;
  for (uint32_t seen = bell_->load(); !client->poll(&outcome); seen = bell_->load()) {
    if (!client->prepare_sleep()) continue;
    ASSERT_TRUE(futex_wait(*bell_, seen, kDeadlineUs));
  }
  kill_owner(SIGSEGV);
  EXPECT_EQ(region_.header().distrust.load(), 1u);
  const uint64_t root = region_.header().published_root.load();
  // What the dead owner may have done to its last state.
  std::memset(region_.arena().data() + (root & 0xffffffff) * 16, 0xab, 64);
  start_owner();
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  while (read_value(*client, "key") != "value") {
    ASSERT_LT(system_clock().monotonic_us(), deadline);
    futex_wait(*bell_, bell_->load(), 1000);
  }
  EXPECT_EQ(region_.header().distrust.load(), 0u);
}

// An owner gets the directory's lock just when somebody else asks for it, too.
class Succession : public StorageKill {
 protected:
  // other: the process that asks.
  void let_owner_in_before(uint32_t other) {
    const int lock = open((directory_ + "/LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
    ASSERT_EQ(flock(lock, LOCK_EX), 0);
    std::atomic<uint32_t>& wanted = region_.header().handover_wanted;
    start_owner();
    ASSERT_TRUE(eventually([&] { return wanted.load() == static_cast<uint32_t>(owner_); }));
    wanted = other;
    flock(lock, LOCK_UN);
    close(lock);
  }

  bool eventually(const std::function<bool()>& condition) {
    const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
    while (!condition()) {
      if (system_clock().monotonic_us() > deadline) return false;
      futex_wait(*bell_, bell_->load(), 1000);
    }
    return true;
  }

  static pid_t start_idle_process() {
    const pid_t process = fork();
    while (process == 0) pause();
    return process;
  }
  static void end_idle_process(pid_t process) {
    kill(process, SIGKILL);
    waitpid(process, nullptr, 0);
  }
};

TEST_F(Succession, WhoAskedWhileTheOwnerCameIsNotForgotten) {
  const pid_t other = start_idle_process();
  let_owner_in_before(static_cast<uint32_t>(other));
  const RegionHeader& header = region_.header();
  EXPECT_TRUE(eventually([&] { return header.owner_epoch != 0 && header.owner_pid == 0; }))
      << "the owner keeps the lock from the one that waits";
  end_idle_process(other);
}

// As after a reload just when the older storage process is slow to start: it asks after the newer
// one, is given the store, and ends.
TEST_F(Succession, WhoLetGoGoesOnWhenItsSuccessorEnds) {
  const std::atomic<uint32_t>& owner = region_.header().owner_pid;
  const auto owns = [&](pid_t pid) { return owner == static_cast<uint32_t>(pid); };
  for (const int end : {SIGKILL, SIGTERM}) {
    start_owner();
    const pid_t first = owner_;
    ASSERT_TRUE(eventually([&] { return owns(first) && wait_until_serving(); }));
    start_owner();
    const pid_t second = std::exchange(owner_, first);  // killed at the test's end
    EXPECT_TRUE(eventually([&] { return owns(second) && wait_until_serving(); }));
    kill(second, end);
    waitpid(second, nullptr, 0);
    ASSERT_TRUE(eventually([&] { return owns(first) && wait_until_serving(); }));
    std::unique_ptr<Client> client = attach_client(region_);
    ASSERT_TRUE(client->put(1, as_bytes("key"), as_bytes("value"), 0).is_ok());
    WriteOutcome outcome;
    EXPECT_TRUE(eventually([&] { return client->poll(&outcome); }));
    kill_owner(SIGKILL);
  }
}

TEST_F(Succession, NobodyLetsGoToTheDead) {
  const pid_t other = start_idle_process();
  end_idle_process(other);
  let_owner_in_before(static_cast<uint32_t>(other));
  EXPECT_TRUE(eventually([&] { return region_.header().handover_wanted == 0; }));
  std::unique_ptr<Client> client = attach_client(region_);
  for (uint64_t cookie = 1; cookie <= 20; ++cookie) {
    ASSERT_TRUE(wait_until_serving());
    ASSERT_TRUE(client->put(cookie, as_bytes("key"), as_bytes("value"), 0).is_ok());
    WriteOutcome outcome;
    ASSERT_TRUE(eventually([&] { return client->poll(&outcome); }));
  }
  EXPECT_EQ(region_.header().owner_pid.load(), static_cast<uint32_t>(owner_));
}

}  // namespace
}  // namespace small_db
