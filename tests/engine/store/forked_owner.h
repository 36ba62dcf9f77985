// A storage process of its own, forked from the test, over a region that both share; and what a
// test needs to kill it and to talk to it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <functional>

#include "engine/client/client.h"
#include "engine/platform/clock.h"
#include "engine/platform/futex.h"
#include "engine/store/storage_worker.h"
#include "tests/sim/stepped_store.h"

namespace small_db {

inline constexpr size_t kForkedRegionBytes = 32 * kMiB;
inline constexpr uint64_t kDeadlineUs = 60'000'000;

class NoLines : public EventLog {
 public:
  void write(Severity, std::string_view) noexcept override {}
};

// A bell for all slots, in shared memory.
class SharedBell : public WorkerBells {
 public:
  explicit SharedBell(std::atomic<uint32_t>* word) : word_(word) {}
  void ring(uint32_t) noexcept override {
    word_->fetch_add(1);
    futex_wake(*word_, UINT32_MAX >> 1);
  }

 private:
  std::atomic<uint32_t>* word_;
};

class ForkedOwnerTest : public ::testing::Test {
 protected:
  ForkedOwnerTest() {
    std::string pattern = ::testing::TempDir() + "storage_kill_XXXXXX";
    directory_ = mkdtemp(pattern.data());
    void* shared = mmap(nullptr, kForkedRegionBytes + 4096, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    EXPECT_NE(shared, MAP_FAILED);
    memory_ = static_cast<std::byte*>(shared);
    bell_ = new (memory_ + kForkedRegionBytes) std::atomic<uint32_t>(0);
    EXPECT_TRUE(Region::format({memory_, kForkedRegionBytes}, RegionConfig()).is_ok());
    region_ = std::move(Region::attach({memory_, kForkedRegionBytes})).value();
  }
  ~ForkedOwnerTest() override {
    kill_owner(SIGKILL);
    munmap(memory_, kForkedRegionBytes + 4096);
    std::filesystem::remove_all(directory_);
  }

  // in_child: what the new process does first.
  void start_owner(const std::function<void()>& in_child = [] {}) {
    owner_ = fork();
    ASSERT_GE(owner_, 0);
    if (owner_ != 0) return;
    in_child();
    NoLines lines;
    SharedBell bells(bell_);
    StorageWorker worker(region_, directory_, options_, bells, lines);
    worker.start();
    for (;;) pause();
  }

  void kill_owner(int signal) {
    if (owner_ <= 0) return;
    kill(owner_, signal);
    waitpid(owner_, nullptr, 0);
    owner_ = 0;
  }

  bool wait_until_serving() {
    const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
    while (region_.header().state.load() != static_cast<uint32_t>(StoreState::kServing)) {
      const uint32_t seen = bell_->load();
      if (system_clock().monotonic_us() > deadline) return false;
      futex_wait(*bell_, seen, 1000);
    }
    return true;
  }

  StoreOptions options_;
  std::string directory_;
  std::byte* memory_ = nullptr;
  std::atomic<uint32_t>* bell_ = nullptr;
  Region region_;
  pid_t owner_ = 0;
};

}  // namespace small_db
