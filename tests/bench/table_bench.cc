// The table by itself: what a key costs in memory, and a find, a put and an adoption in time. Keys
// of 11 bytes, values of 100.
#include <benchmark/benchmark.h>
#include <sys/mman.h>

#include <algorithm>
#include <cstdio>
#include <memory>
#include <numeric>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "engine/platform/huge_pages.h"
#include "engine/platform/pages_ahead.h"
#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/table/table.h"

namespace small_db {
namespace {

constexpr size_t kKeyBytes = 11;
constexpr size_t kValueBytes = 100;
constexpr uint32_t kPutsPerBatch = 64;
constexpr uint32_t kSoughtKeys = 1 << 16;

std::string key_of(uint32_t number) {
  char key[16];
  snprintf(key, sizeof(key), "key%08u", number);
  return std::string(key, kKeyBytes);
}

// A table with `count` keys, put in ascending or in random order.
class LoadedTable {
 public:
  LoadedTable(uint32_t count, bool ascending, bool huge_pages = false)
      : bytes_(64 * kMiB + uint64_t{count} * 256) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    memory_ = {static_cast<std::byte*>(align_for_huge_pages(memory, bytes_)), bytes_};
    const Status status = Region::format(memory_, RegionConfig());
    SMALL_DB_ASSERT(status.is_ok());
    region_ = Region::attach(memory_).value();
    std::optional<PagesAhead> pages;
    if (huge_pages) pages.emplace(region_.arena(), 0);
    table_ = std::make_unique<Table>(region_);
    table_->clear();
    std::vector<uint32_t> numbers(count);
    std::iota(numbers.begin(), numbers.end(), 0);
    if (!ascending) std::shuffle(numbers.begin(), numbers.end(), random_);
    table_->begin_batch(1);
    for (const uint32_t number : numbers) {
      put(number);
      if (pages) pages->reached(table_->reach_bytes());
    }
    publish();
  }
  ~LoadedTable() { munmap(memory_.data(), memory_.size()); }

  void put(uint32_t number) {
    RecordView view;
    const std::string key = key_of(number);
    view.key = as_bytes(key);
    view.value = as_bytes(value_);
    view.revision = ++revision_;
    const Status status = table_->put(view);
    SMALL_DB_ASSERT(status.is_ok());
  }

  void begin() { table_->begin_batch(revision_ + 1); }
  void publish() { publish_root(region_, table_->seal_batch(revision_, 1, LogPosition())); }

  Region region() const { return region_; }
  double used_bytes() const {
    return static_cast<double>(table_->used_bytes() - kReserveNodes * kNodeBytes);
  }

 private:
  uint64_t bytes_;
  MutableBytes memory_;
  Region region_;
  std::unique_ptr<Table> table_;
  std::mt19937 random_{1};
  std::string value_ = std::string(kValueBytes, 'v');
  uint64_t revision_ = 0;
};

void BM_BytesPerKey(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  for (auto _ : state) {
    LoadedTable table(count, state.range(1) != 0);
    const double record_bytes = align_up(kRecordHeaderBytes + kKeyBytes + kValueBytes, 16);
    state.counters["index"] = table.used_bytes() / count - record_bytes;
    state.counters["overhead"] = table.used_bytes() / count - kKeyBytes - kValueBytes;
  }
  state.SetItemsProcessed(state.iterations() * count);
}
BENCHMARK(BM_BytesPerKey)
    ->ArgNames({"keys", "ascending"})
    ->Args({1'000'000, 0})
    ->Args({1'000'000, 1})
    ->Iterations(1)
    ->Unit(benchmark::kMillisecond);

void BM_Find(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  LoadedTable table(count, false);
  SlotPins pins(table.region(), claim_slot(table.region()).value().index);
  std::mt19937 random(2);
  std::vector<std::string> keys;
  for (uint32_t i = 0; i < kSoughtKeys; ++i) keys.push_back(key_of(random() % count));
  for (size_t i = 0; auto _ : state) {
    const std::string& key = keys[i++ % kSoughtKeys];
    const Result<Snapshot> snapshot = Snapshot::take(pins);
    const Result<StoredRecord> record = snapshot.value().find(as_bytes(key));
    SMALL_DB_ASSERT(record.is_ok());
    benchmark::DoNotOptimize(record.value().value.bytes());
  }
}
BENCHMARK(BM_Find)->ArgName("keys")->Arg(10'000)->Arg(1'000'000);

// A page of a list: the keys of 100 records, from a random one on, after one of twelve was put
// again and lies elsewhere. huge: the pages were made ahead, as a storage worker does it.
void BM_Walk(benchmark::State& state) {
  constexpr uint32_t kRecords = 100;
  constexpr uint32_t kPutAgain = 12;
  const auto count = static_cast<uint32_t>(state.range(0));
  LoadedTable table(count, true, state.range(1) != 0);
  std::mt19937 random(4);
  for (uint32_t i = 0; i < count / kPutAgain / kPutsPerBatch; ++i) {
    table.begin();
    for (uint32_t put = 0; put < kPutsPerBatch; ++put) table.put(random() % count);
    table.publish();
  }
  SlotPins pins(table.region(), claim_slot(table.region()).value().index);
  for (auto _ : state) {
    const Result<Snapshot> snapshot = Snapshot::take(pins);
    Cursor cursor = snapshot.value().cursor();
    Status status = cursor.seek(as_bytes(key_of(random() % (count - kRecords))));
    for (uint32_t i = 0; i < kRecords && status.is_ok(); ++i) {
      const Result<StoredRecord> record = cursor.record();
      SMALL_DB_ASSERT(record.is_ok());
      benchmark::DoNotOptimize(record.value().key.back());
      status = cursor.next();
    }
    SMALL_DB_ASSERT(status.is_ok());
  }
}
BENCHMARK(BM_Walk)
    ->ArgNames({"keys", "huge"})
    ->Args({1'000, 0})
    ->Args({10'000'000, 0})
    ->Args({10'000'000, 1});

void BM_Overwrite(benchmark::State& state) {
  const auto count = static_cast<uint32_t>(state.range(0));
  LoadedTable table(count, false);
  std::mt19937 random(3);
  for (auto _ : state) {
    table.begin();
    for (uint32_t i = 0; i < kPutsPerBatch; ++i) table.put(random() % count);
    table.publish();
  }
  state.SetItemsProcessed(state.iterations() * kPutsPerBatch);
}
BENCHMARK(BM_Overwrite)->ArgName("keys")->Arg(10'000)->Arg(1'000'000);

void BM_Adopt(benchmark::State& state) {
  LoadedTable table(static_cast<uint32_t>(state.range(0)), false);
  for (auto _ : state) {
    Table heir(table.region());
    const Status status = heir.adopt();
    SMALL_DB_ASSERT(status.is_ok());
  }
}
BENCHMARK(BM_Adopt)->ArgName("keys")->Arg(1'000'000)->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace small_db
