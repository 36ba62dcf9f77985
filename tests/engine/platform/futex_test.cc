#include "engine/platform/futex.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <ctime>
#include <new>

#include "engine/platform/clock.h"

namespace small_db {
namespace {

struct Shared {
  std::atomic<uint32_t> word{0};
  std::atomic<uint32_t> answers{0};
};

// A child that nobody wakes is killed by its alarm.
pid_t fork_with_deadline() {
  const pid_t child = ::fork();
  if (child == 0) ::alarm(20);
  return child;
}

class Futex : public testing::Test {
 protected:
  void SetUp() override {
    void* const memory =
        ::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    shared_ = new (memory) Shared;
  }
  void TearDown() override { ::munmap(shared_, sizeof(Shared)); }

  Shared* shared_ = nullptr;
};

TEST_F(Futex, ReturnsAtOnceWhenTheWordHasChanged) {
  EXPECT_TRUE(futex_wait(shared_->word, 1, UINT64_MAX));
}

TEST_F(Futex, TimesOut) {
  const uint64_t start = system_clock().monotonic_us();
  bool in_time = true;
  while (in_time) in_time = futex_wait(shared_->word, 0, 20000);
  EXPECT_GE(system_clock().monotonic_us() - start, 20000u);
}

// Ping-pong between two processes: each step needs a wake-up across the process border, because
// both sides sleep without a timeout.
TEST_F(Futex, WakesASleeperInAnotherProcess) {
  constexpr uint32_t kRounds = 200;
  const pid_t child = fork_with_deadline();
  if (child == 0) {
    for (uint32_t round = 0; round < kRounds; ++round) {
      while (shared_->word == round) futex_wait(shared_->word, round, UINT64_MAX);
      shared_->answers = round + 1;
      futex_wake(shared_->answers, 1);
    }
    ::_exit(0);
  }
  uint64_t timeouts = 0;
  for (uint32_t round = 0; round < kRounds; ++round) {
    shared_->word = round + 1;
    futex_wake(shared_->word, 1);
    while (shared_->answers == round) {
      if (!futex_wait(shared_->answers, round, 5000000)) ++timeouts;
      ASSERT_EQ(timeouts, 0u) << "no answer in round " << round;
    }
  }
  int how = 1;
  ASSERT_EQ(::waitpid(child, &how, 0), child);
  EXPECT_EQ(how, 0);
}

TEST_F(Futex, WakesAsManyAsAskedFor) {
  pid_t children[3];
  for (pid_t& child : children) {
    child = fork_with_deadline();
    if (child == 0) {
      ++shared_->answers;
      futex_wake(shared_->answers, 1);
      while (shared_->word == 0) futex_wait(shared_->word, 0, UINT64_MAX);
      ::_exit(0);
    }
  }
  for (uint32_t seen = 0; (seen = shared_->answers) != 3;) {
    ASSERT_TRUE(futex_wait(shared_->answers, seen, 20'000'000)) << "a child does not come";
  }
  shared_->word = 1;
  futex_wake(shared_->word, UINT32_MAX);
  for (const pid_t child : children) {
    int how = 1;
    ASSERT_EQ(::waitpid(child, &how, 0), child);
    EXPECT_EQ(how, 0);
  }
}

TEST(SystemClock, MonotonicTimeDoesNotGoBack) {
  uint64_t before = system_clock().monotonic_us();
  for (int step = 0; step < 1000; ++step) {
    const uint64_t now = system_clock().monotonic_us();
    EXPECT_GE(now, before);
    before = now;
  }
}

TEST(SystemClock, WallTimeIsUnixTimeInMilliseconds) {
  const uint64_t now = system_clock().wall_ms();
  const uint64_t seconds = static_cast<uint64_t>(::time(nullptr));
  EXPECT_NEAR(static_cast<double>(now) / 1000, static_cast<double>(seconds), 5.0);
}

}  // namespace
}  // namespace small_db
