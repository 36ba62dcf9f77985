// Checkpoints by themselves: how long one takes to write and verify, and to load into an empty
// table. Keys of 11 bytes, values of 100. The file lies in $TMPDIR (or /tmp), in the page cache.
#include <benchmark/benchmark.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>

#include "engine/checkpoint/loader.h"
#include "engine/checkpoint/writer.h"
#include "engine/platform/posix_file_system.h"
#include "engine/shm/region.h"
#include "engine/table/table.h"

namespace small_db {
namespace {

constexpr uint64_t kRegionBytesPerKey = 192;

// An empty table in shared memory whose pages nobody has touched.
class FreshTable {
 public:
  explicit FreshTable(uint64_t keys) : bytes_(64 * kMiB + keys * kRegionBytesPerKey) {
    void* memory = mmap(nullptr, bytes_, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SMALL_DB_ASSERT(memory != MAP_FAILED);
    memory_ = {static_cast<std::byte*>(memory), bytes_};
    const Status status = Region::format(memory_, RegionConfig());
    SMALL_DB_ASSERT(status.is_ok());
    table_ = std::make_unique<Table>(Region::attach(memory_).value());
    table_->clear();
    table_->begin_batch(1);
  }
  ~FreshTable() { munmap(memory_.data(), memory_.size()); }
  FreshTable(const FreshTable&) = delete;
  FreshTable& operator=(const FreshTable&) = delete;

  Table& table() { return *table_; }

  void fill(uint64_t keys) {
    const std::string value(100, 'v');
    table_->begin_load();
    for (uint64_t i = 0; i < keys; ++i) {
      char key[16];
      RecordView view;
      view.revision = i + 1;
      view.key = as_bytes({key, static_cast<size_t>(snprintf(key, sizeof key, "key%08u",
                                                             static_cast<unsigned>(i)))});
      view.value = as_bytes(value);
      const Status status = table_->load(view);
      SMALL_DB_ASSERT(status.is_ok());
    }
    const Status status = table_->end_load();
    SMALL_DB_ASSERT(status.is_ok());
  }

 private:
  uint64_t bytes_;
  MutableBytes memory_;
  std::unique_ptr<Table> table_;
};

class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    const char* parent = std::getenv("TMPDIR");
    path_ = std::string(parent == nullptr ? "/tmp" : parent) + "/checkpoint_bench.XXXXXX";
    SMALL_DB_ASSERT(mkdtemp(path_.data()) != nullptr);
    directory_ = PosixDirectory::open(path_).value();
  }
  ~TemporaryDirectory() {
    (void)directory_->remove(checkpoint_file_name(1)).is_ok();
    rmdir(path_.c_str());
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;

  Directory& directory() { return *directory_; }

 private:
  std::string path_;
  std::unique_ptr<PosixDirectory> directory_;
};

uint64_t write_checkpoint(Directory& directory, const Table& table) {
  NewCheckpoint checkpoint;
  checkpoint.generation = 1;
  auto writer = CheckpointWriter::create(directory, checkpoint).value();
  Cursor cursor = table.cursor();
  Status status = writer->seek_next(cursor);
  SMALL_DB_ASSERT(status.is_ok() && writer->take(cursor, UINT64_MAX).is_ok());
  status = writer->finish(UINT64_MAX);
  SMALL_DB_ASSERT(status.is_ok());
  return writer->written_bytes();
}

void BM_WriteCheckpoint(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  FreshTable source(keys);
  source.fill(keys);
  TemporaryDirectory files;
  uint64_t bytes = 0;
  for (auto _ : state) bytes += write_checkpoint(files.directory(), source.table());
  state.SetItemsProcessed(state.iterations() * keys);
  state.SetBytesProcessed(static_cast<int64_t>(bytes));
}
BENCHMARK(BM_WriteCheckpoint)
    ->ArgName("keys")
    ->Arg(1'000'000)
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

void BM_LoadCheckpoint(benchmark::State& state) {
  const auto keys = static_cast<uint64_t>(state.range(0));
  TemporaryDirectory files;
  {
    FreshTable source(keys);
    source.fill(keys);
    write_checkpoint(files.directory(), source.table());
  }
  CheckpointLoadOptions options;
  options.read_ahead = state.range(1) != 0;
  for (auto _ : state) {
    state.PauseTiming();
    auto target = std::make_unique<FreshTable>(keys);
    state.ResumeTiming();
    const auto loaded = load_checkpoint(files.directory(), 1, target->table(), options, nullptr);
    SMALL_DB_ASSERT(loaded.is_ok() && loaded.value().footer.entries == keys);
    state.PauseTiming();
    target.reset();
    state.ResumeTiming();
  }
  state.SetItemsProcessed(state.iterations() * keys);
}
BENCHMARK(BM_LoadCheckpoint)
    ->ArgNames({"keys", "ahead"})
    ->ArgsProduct({{1'000'000, 10'000'000}, {0, 1}})
    ->Iterations(1)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

}  // namespace
}  // namespace small_db
