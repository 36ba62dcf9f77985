#include "tests/chaos/prepared_store.h"

#include <gtest/gtest.h>
#include <pwd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>

#include "engine/client/client.h"
#include "engine/platform/futex.h"
#include "engine/store/storage_worker.h"

namespace small_db::testing {
namespace {

constexpr uint64_t kWaitUs = 10'000'000;
constexpr uint32_t kWindow = 8000;
const std::string kValue(100, 'v');

class OneBell final : public WorkerBells {
 public:
  void ring(uint32_t) noexcept override {
    rings_.fetch_add(1);
    futex_wake(rings_, 1);
  }
  uint32_t rings() const { return rings_.load(); }
  bool wait(uint32_t seen) { return futex_wait(rings_, seen, kWaitUs); }

 private:
  std::atomic<uint32_t> rings_{0};
};

class NoLog final : public EventLog {
 public:
  void write(Severity, std::string_view) noexcept override {}
};

bool fill(Region region, OneBell& bell, uint64_t keys) {
  auto attached = Client::attach(region);
  if (!attached.is_ok()) return false;
  Client& client = *attached.value();
  uint64_t submitted = 0;
  uint64_t answered = 0;
  while (answered < keys) {
    while (submitted < keys && submitted - answered < kWindow) {
      const std::string key = "prepared/" + std::to_string(submitted);
      if (!client.put(submitted + 1, as_bytes(key), as_bytes(kValue), 0).is_ok()) break;
      submitted++;
    }
    const uint32_t seen = bell.rings();
    WriteOutcome outcome;
    bool any = false;
    while (client.poll(&outcome)) {
      if (outcome.code != Code::kOk) return false;
      answered++;
      any = true;
    }
    if (!any && client.prepare_sleep() && !bell.wait(seen)) return false;
  }
  return true;
}

// nginx's workers, which it runs as nobody when it is started by root.
void give_away(const std::string& directory) {
  const passwd* nobody = getpwnam("nobody");
  if (geteuid() != 0 || nobody == nullptr) return;
  EXPECT_EQ(chown(directory.c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    EXPECT_EQ(chown(entry.path().c_str(), nobody->pw_uid, nobody->pw_gid), 0);
  }
}

bool fill_directory(const std::string& directory, uint64_t keys, MutableBytes memory) {
  RegionConfig config;
  config.slot_count = 4;
  if (!Region::format(memory, config).is_ok()) return false;
  const Region region = Region::attach(memory).value();
  OneBell bell;
  NoLog log;
  StorageWorker worker(region, directory, StoreOptions(), bell, log);
  worker.start();
  const std::atomic<uint32_t>& state = region.header().state;
  std::atomic<uint32_t> never{0};
  while (state.load() != static_cast<uint32_t>(StoreState::kServing)) futex_wait(never, 0, 1000);
  return fill(region, bell, keys);
}

}  // namespace

bool prepare_store(const std::string& directory, uint64_t keys, uint64_t memory_bytes) {
  std::filesystem::create_directories(directory);
  void* memory = mmap(nullptr, memory_bytes, PROT_READ | PROT_WRITE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return false;
  const bool filled =
      fill_directory(directory, keys, {static_cast<std::byte*>(memory), memory_bytes});
  munmap(memory, memory_bytes);
  give_away(directory);
  return filled;
}

}  // namespace small_db::testing
