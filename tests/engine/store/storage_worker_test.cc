// The storage worker's real threads, on a real directory, with clients in threads of their own.
// Runs under ThreadSanitizer, too.
#include "engine/store/storage_worker.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <fstream>
#include <mutex>
#include <set>
#include <thread>

#include "engine/client/client.h"
#include "engine/platform/clock.h"
#include "engine/platform/futex.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

constexpr uint64_t kDeadlineUs = 60'000'000;

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string pattern = ::testing::TempDir() + "storage_worker_XXXXXX";
    path_ = mkdtemp(pattern.data());
  }
  ~TemporaryDirectory() {
    if (DIR* directory = opendir(path_.c_str())) {
      while (const dirent* entry = readdir(directory))
        unlink((path_ + "/" + entry->d_name).c_str());
      closedir(directory);
    }
    rmdir(path_.c_str());
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

// Bells that threads of this process can wait for.
class FutexBells : public WorkerBells {
 public:
  void ring(uint32_t slot) noexcept override {
    words_[slot].fetch_add(1);
    futex_wake(words_[slot], 1);
  }
  uint32_t rings(uint32_t slot) { return words_[slot].load(); }
  bool wait(uint32_t slot, uint32_t seen) { return futex_wait(words_[slot], seen, kDeadlineUs); }

 private:
  std::array<std::atomic<uint32_t>, 64> words_{};
};

class Lines : public EventLog {
 public:
  void write(Severity severity, std::string_view line) noexcept override {
    const std::lock_guard<std::mutex> guard(mutex_);
    if (severity >= Severity::kWarning) warnings_ += std::string(line) + "\n";
  }
  std::string warnings() {
    const std::lock_guard<std::mutex> guard(mutex_);
    return warnings_;
  }

 private:
  std::mutex mutex_;
  std::string warnings_;
};

// Waits for a condition that other threads bring about.
template <typename Condition>
bool eventually(Condition&& condition) {
  std::atomic<uint32_t> never{0};
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  while (!condition()) {
    if (system_clock().monotonic_us() > deadline) return false;
    futex_wait(never, 0, 1000);
  }
  return true;
}

class StorageWorkerThreads : public ::testing::Test {
 protected:
  StorageWorkerThreads() { options_.log_ahead_bytes = 4 * kMiB; }

  std::unique_ptr<StorageWorker> start_worker() {
    auto worker = std::make_unique<StorageWorker>(region_.region(), directory_.path(), options_,
                                                  bells_, lines_);
    worker->start();
    return worker;
  }

  StoreState state() { return static_cast<StoreState>(region_.region().header().state.load()); }
  bool serves() {
    return eventually([&] { return state() == StoreState::kServing; });
  }

  // Writes `count` keys of this client with up to `window` requests in flight; every one must
  // succeed.
  void write_keys(uint32_t client_number, uint32_t count, uint32_t window) {
    std::unique_ptr<Client> client = attach_client(region_.region());
    uint32_t submitted = 0;
    uint32_t answered = 0;
    while (answered < count) {
      while (submitted < count && submitted - answered < window) {
        const std::string key = std::to_string(client_number) + "/" + std::to_string(submitted);
        if (!client->put(submitted + 1, as_bytes(key), as_bytes(key), 0).is_ok()) break;
        ++submitted;
      }
      const uint32_t seen = bells_.rings(client->slot());
      WriteOutcome outcome;
      bool any = false;
      while (client->poll(&outcome)) {
        ASSERT_EQ(outcome.code, Code::kOk);
        const std::string key =
            std::to_string(client_number) + "/" + std::to_string(outcome.cookie - 1);
        ASSERT_EQ(read_value(*client, key), key) << "acknowledged and not visible";
        ++answered;
        any = true;
      }
      if (any || !client->prepare_sleep()) continue;
      ASSERT_TRUE(bells_.wait(client->slot(), seen)) << "no answer";
    }
  }

  TemporaryDirectory directory_;
  TestRegion region_{32 * kMiB, 16};
  StoreOptions options_;
  FutexBells bells_;
  Lines lines_;
};

TEST_F(StorageWorkerThreads, ServeManyClientsWithFewSyncs) {
  std::unique_ptr<StorageWorker> worker = start_worker();
  ASSERT_TRUE(serves());
  std::vector<std::thread> clients;
  for (uint32_t i = 0; i < 4; ++i) clients.emplace_back([&, i] { write_keys(i, 2000, 16); });
  for (std::thread& client : clients) client.join();
  const RegionHeader& header = region_.region().header();
  EXPECT_EQ(header.operations.load(), 8000u);
  EXPECT_LT(header.syncs.load(), 4000u);
  EXPECT_EQ(header.keys.load(), 8000u);
  EXPECT_EQ(lines_.warnings(), "");
}

TEST_F(StorageWorkerThreads, HandOverToASuccessorWithoutAFailedRequest) {
  std::unique_ptr<StorageWorker> worker = start_worker();
  ASSERT_TRUE(serves());
  std::thread client([&] { write_keys(0, 2000, 8); });
  const std::atomic<uint64_t>& operations = region_.region().header().operations;
  for (uint64_t hand_over = 1; hand_over <= 10; ++hand_over) {
    EXPECT_TRUE(eventually([&] { return operations.load() >= hand_over * 100; }));
    worker->stop();
    worker = start_worker();
  }
  client.join();
  EXPECT_EQ(operations.load(), 2000u) << "each exactly once";
  EXPECT_EQ(lines_.warnings(), "");
}

// What a client is told when nobody will answer any more: each request has an answer, or was not
// done.
TEST_F(StorageWorkerThreads, AnEndingForGoodLeavesNoRequestInDoubt) {
  std::unique_ptr<StorageWorker> worker = start_worker();
  ASSERT_TRUE(serves());
  std::unique_ptr<Client> client = attach_client(region_.region());
  const uint32_t rings = bells_.rings(client->slot());
  std::thread ending([&] {
    EXPECT_TRUE(eventually([&] { return region_.region().header().operations.load() >= 500; }));
    worker->stop(StorageWorker::Ending::kForGood);
  });
  std::set<uint64_t> submitted;
  std::set<uint64_t> done;
  for (uint64_t cookie = 1; client->state() == StoreState::kServing; ++cookie) {
    const std::string key = std::to_string(cookie);
    if (client->put(cookie, as_bytes(key), as_bytes(key), 0).is_ok()) submitted.insert(cookie);
    WriteOutcome outcome;
    while (client->poll(&outcome)) done.insert(outcome.cookie);
  }
  EXPECT_EQ(client->state(), StoreState::kHandedOver);
  WriteOutcome outcome;
  while (client->poll(&outcome)) done.insert(outcome.cookie);
  EXPECT_EQ(client->put(UINT32_MAX, as_bytes("late"), as_bytes("late"), 0).code(),
            Code::kUnavailable);
  ending.join();
  EXPECT_GT(bells_.rings(client->slot()), rings) << "a client that sleeps would not notice";

  TestRegion fresh(32 * kMiB, 16);
  StorageWorker next(fresh.region(), directory_.path(), options_, bells_, lines_);
  next.start();
  const RegionHeader& header = fresh.region().header();
  ASSERT_TRUE(eventually(
      [&] { return static_cast<StoreState>(header.state.load()) == StoreState::kServing; }));
  EXPECT_EQ(header.keys.load(), done.size());
  std::unique_ptr<Client> reader = attach_client(fresh.region());
  for (const uint64_t cookie : submitted) {
    const std::string key = std::to_string(cookie);
    ASSERT_EQ(read_value(*reader, key) == key, done.count(cookie) == 1) << key;
  }
}

TEST_F(StorageWorkerThreads, RestartLoadsEverything) {
  {
    std::unique_ptr<StorageWorker> worker = start_worker();
    ASSERT_TRUE(serves());
    write_keys(3, 500, 16);
  }
  TestRegion fresh(32 * kMiB, 16);
  StorageWorker worker(fresh.region(), directory_.path(), options_, bells_, lines_);
  worker.start();
  ASSERT_TRUE(eventually([&] {
    return static_cast<StoreState>(fresh.region().header().state.load()) == StoreState::kServing;
  }));
  std::unique_ptr<Client> client = attach_client(fresh.region());
  for (uint32_t i = 0; i < 500; ++i) {
    const std::string key = "3/" + std::to_string(i);
    ASSERT_EQ(read_value(*client, key), key);
  }
}

TEST_F(StorageWorkerThreads, CheckpointsGoOnWhileClientsWrite) {
  options_.checkpoint_updates = 700;
  {
    std::unique_ptr<StorageWorker> worker = start_worker();
    ASSERT_TRUE(serves());
    std::vector<std::thread> clients;
    for (uint32_t i = 0; i < 3; ++i) clients.emplace_back([&, i] { write_keys(i, 3000, 16); });
    for (std::thread& client : clients) client.join();
    ASSERT_TRUE(eventually([&] { return region_.region().header().checkpoints.load() >= 1; }));
    std::unique_ptr<Client> client = attach_client(region_.region());
    ASSERT_TRUE(client->checkpoint(1).is_ok());
    WriteOutcome outcome;
    ASSERT_TRUE(eventually([&] { return client->poll(&outcome); }));
    EXPECT_EQ(outcome.code, Code::kOk);
  }
  EXPECT_EQ(lines_.warnings(), "");
  TestRegion fresh(32 * kMiB, 16);
  StorageWorker worker(fresh.region(), directory_.path(), options_, bells_, lines_);
  worker.start();
  ASSERT_TRUE(eventually([&] {
    return static_cast<StoreState>(fresh.region().header().state.load()) == StoreState::kServing;
  }));
  EXPECT_EQ(fresh.region().header().keys.load(), 9000u);
  EXPECT_GE(fresh.region().header().generation.load(), 2u);
}

TEST_F(StorageWorkerThreads, StopEndsAWaitForTheLock) {
  const std::string lock = directory_.path() + "/LOCK";
  const int other = ::open(lock.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_GE(other, 0);
  ASSERT_EQ(flock(other, LOCK_EX), 0);
  std::unique_ptr<StorageWorker> worker = start_worker();
  ASSERT_TRUE(eventually([&] { return region_.region().header().handover_wanted.load() != 0; }));
  worker->stop();
  EXPECT_EQ(state(), StoreState::kStarting);
  EXPECT_EQ(region_.region().header().handover_wanted.load(), 0u) << "an owner would let go to it";
  close(other);
}

TEST_F(StorageWorkerThreads, MissingDirectoryIsRefusedWithAReason) {
  StorageWorker worker(region_.region(), directory_.path() + "/missing", options_, bells_, lines_);
  worker.start();
  ASSERT_TRUE(eventually([&] { return state() == StoreState::kRefused; }));
  EXPECT_NE(region_.region().reason().find("missing"), std::string::npos);
}

uint64_t context_switches() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<uint64_t>(usage.ru_nvcsw);
}

TEST_F(StorageWorkerThreads, IdleStoreDoesNotWakeUp) {
#ifdef __SANITIZE_THREAD__
  GTEST_SKIP() << "ThreadSanitizer's own thread wakes up all the time";
#endif
  std::unique_ptr<StorageWorker> worker = start_worker();
  ASSERT_TRUE(serves());
  write_keys(0, 10, 1);
  // Preparation and the IDLE frame come to an end; then nothing may run for a whole second.
  std::atomic<uint32_t> never{0};
  const bool quiet = eventually([&] {
    const uint64_t before = context_switches();
    futex_wait(never, 0, 1'000'000);
    return context_switches() - before <= 2;  // this thread's own wait
  });
  EXPECT_TRUE(quiet);
}

}  // namespace
}  // namespace small_db
