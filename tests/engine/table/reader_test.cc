// Readers beside the writer, in threads and in processes that are killed.
#include "engine/table/reader.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

constexpr int kKeys = 150;

// One batch that gives every key the same text, which no other batch has; some are long.
class Publisher {
 public:
  explicit Publisher(Region region) : region_(region), table_(region) { table_.clear(); }

  void publish() {
    table_.begin_batch(revision_ + 1);
    ++batch_;
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = "key " + std::to_string(i);
      const std::string value = std::to_string(batch_) + std::string(i == 7 ? 40000 : 50, '.');
      const Status status = table_.put(put_view(key, value, ++revision_));
      ASSERT_TRUE(status.is_ok()) << status.text();
    }
    publish_root(region_, table_.seal_batch(revision_, batch_, LogPosition()));
  }

  Table& table() { return table_; }
  uint64_t revision() const { return revision_; }

 private:
  Region region_;
  Table table_;
  uint64_t revision_ = 0;
  uint64_t batch_ = 0;
};

// True when all that the snapshot reads is of the batch that its root names.
bool is_one_batch(const Snapshot& state) {
  const std::string text = std::to_string(state.root().epoch) + ".";
  int records = 0;
  Cursor cursor = state.cursor();
  Status status = cursor.seek_first();
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next(), ++records) {
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok() || value_text(record.value().value).compare(0, text.size(), text) != 0) {
      return false;
    }
  }
  const Result<StoredRecord> found = state.find(as_bytes("key 7"));
  return status.is_ok() && records == kKeys && found.is_ok() &&
         found.value().value.bytes() == text.size() - 1 + 40000;
}

// Reads until told to stop; holds some snapshots while newer ones are taken. False: read nonsense.
bool read_until(Region region, uint32_t slot, uint64_t seed, const std::atomic<bool>& stop) {
  SlotPins pins(region, slot);
  std::mt19937_64 random(seed);
  std::vector<Snapshot> held;
  uint64_t newest = 0;
  while (!stop.load(std::memory_order_relaxed)) {
    Result<Snapshot> state = Snapshot::take(pins);
    if (!state.is_ok() || state.value().root().revision < newest) return false;
    newest = state.value().root().revision;
    if (!is_one_batch(state.value())) return false;
    if (random() % 4 == 0 && held.size() < 5) held.push_back(std::move(state).value());
    if (random() % 6 == 0 && !held.empty()) {
      if (!is_one_batch(held.front())) return false;
      held.erase(held.begin());
    }
  }
  return true;
}

TEST(Reader, SeesOnlyPublishedStatesWhileTheWriterGoesOn) {
  RegionMemory memory(8 * kMiB);
  Region region = memory.region();
  Publisher publisher(region);
  publisher.publish();
  std::atomic<bool> stop{false};
  std::atomic<int> failures{0};
  std::vector<std::thread> readers;
  for (uint64_t i = 0; i < 3; ++i) {
    const uint32_t slot = claim_slot(region).value().index;
    readers.emplace_back([&, i, slot] {
      if (!read_until(region, slot, i, stop)) failures.fetch_add(1);
    });
  }
  for (int i = 0; i < 800 && failures.load() == 0; ++i) {
    ASSERT_NO_FATAL_FAILURE(publisher.publish());
    if (i % 200 == 0) ASSERT_OK(publisher.table().check());
  }
  stop.store(true);
  for (std::thread& reader : readers) reader.join();
  EXPECT_EQ(failures.load(), 0);
  publisher.publish();
  ASSERT_OK(publisher.table().check());
}

class ReaderProcess {
 public:
  ReaderProcess(Region region, uint64_t seed) : pid_(fork()) {
    if (pid_ != 0) return;
    const Result<ClaimedSlot> slot = claim_slot(region);
    std::atomic<bool> never{false};
    if (slot.is_ok()) read_until(region, slot.value().index, seed, never);
    _exit(1);  // it read nonsense, or found no slot
  }

  // True when it lived until now.
  bool kill_and_wait() const {
    kill(pid_, SIGKILL);
    int status = 0;
    EXPECT_EQ(waitpid(pid_, &status, 0), pid_);
    return WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL;
  }

 private:
  pid_t pid_;
};

TEST(Reader, KilledProcessesHoldNothingBackOnceTheirSlotsAreSwept) {
  RegionMemory memory(8 * kMiB);
  Region region = memory.region();
  Publisher publisher(region);
  for (int i = 0; i < 3; ++i) publisher.publish();
  publisher.table().begin_batch(publisher.revision() + 1);
  const uint64_t used = publisher.table().used_bytes();
  std::mt19937_64 random(1);
  std::vector<ReaderProcess> readers;
  for (int i = 0; i < 3; ++i) readers.emplace_back(region, random());
  for (int i = 0; i < 300; ++i) {
    ASSERT_NO_FATAL_FAILURE(publisher.publish());
    if (random() % 20 != 0) continue;
    ReaderProcess& victim = readers[random() % readers.size()];
    ASSERT_TRUE(victim.kill_and_wait());
    EXPECT_LE(sweep_dead_slots(region), 1U);
    victim = ReaderProcess(region, random());
  }
  for (const ReaderProcess& reader : readers) ASSERT_TRUE(reader.kill_and_wait());
  sweep_dead_slots(region);
  for (int i = 0; i < 2; ++i) publisher.publish();
  publisher.table().begin_batch(publisher.revision() + 1);
  EXPECT_NEAR(publisher.table().used_bytes(), used, 4 * kGranuleBytes * kKeys);
  ASSERT_OK(publisher.table().check());
}

}  // namespace
}  // namespace small_db
