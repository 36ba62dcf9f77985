// How fast a store starts, the engine alone: a checkpoint is loaded, a log is replayed, and the
// checkpoint's file is merely read for comparison.
//
//   recovery_bench --directory=PATH [--keys=10000000] [--operations=2000000] [--rounds=3]
//
// Keys of 11 bytes, values of 100. Prints lines of NAME TAB NUMBER, medians of all rounds, in
// seconds: load_cold and read_cold with nothing of the file in the page cache, load_warm and
// read_warm with all of it; replay of the log into an empty table; and the file's bytes.
//
//   fill a table ─▶ write its checkpoint ─▶ load it, read it
//   producers put `operations` keys (put_load.h) ─▶ open the store again, with an empty region
#include <fcntl.h>

#include <algorithm>

#include "engine/checkpoint/loader.h"
#include "engine/checkpoint/writer.h"
#include "engine/platform/posix_file_system.h"
#include "engine/store/storage_worker.h"
#include "engine/store/store.h"
#include "tests/bench/put_load.h"

namespace small_db::bench {
namespace {

constexpr uint64_t kRegionBytesPerKey = 192;

// Shared memory with a region whose arena nobody has touched.
class FreshRegion {
 public:
  explicit FreshRegion(uint64_t keys)
      : memory_(shared_memory(256 * kMiB + keys * kRegionBytesPerKey)) {
    RegionConfig config;
    config.slot_count = kSlots;
    const Status status = Region::format(memory_, config);
    if (!status.is_ok()) fail(status.text());
    region_ = Region::attach(memory_).value();
  }
  ~FreshRegion() { munmap(memory_.data(), memory_.size()); }
  FreshRegion(const FreshRegion&) = delete;
  FreshRegion& operator=(const FreshRegion&) = delete;

  Region region() const { return region_; }

 private:
  MutableBytes memory_;
  Region region_;
};

void check(const Status& status, std::string_view what) {
  if (!status.is_ok()) fail(std::string(what) + ": " + status.text());
}

void begin(Table& table) {
  table.clear();
  table.begin_batch(1);
}

void fill(Table& table, uint64_t keys) {
  const std::string value(kValueBytes, 'v');
  begin(table);
  table.begin_load();
  for (uint64_t i = 0; i < keys; ++i) {
    char key[16];
    RecordView view;
    view.revision = i + 1;
    view.key = as_bytes({key, static_cast<size_t>(std::snprintf(key, sizeof key, "key%08u",
                                                                static_cast<unsigned>(i)))});
    view.value = as_bytes(value);
    check(table.load(view), "fill");
  }
  check(table.end_load(), "fill");
}

// Returns the file's bytes.
uint64_t write_checkpoint(Directory& directory, uint64_t keys) {
  FreshRegion source(keys);
  Table table(source.region());
  fill(table, keys);
  NewCheckpoint checkpoint;
  checkpoint.generation = 1;
  auto writer = CheckpointWriter::create(directory, checkpoint).value();
  Cursor cursor = table.cursor();
  check(writer->seek_next(cursor), "write");
  check(writer->take(cursor, UINT64_MAX).status(), "write");
  check(writer->finish(keys), "write");
  return writer->written_bytes();
}

class CheckpointFile {
 public:
  CheckpointFile(std::string folder, Directory& directory)
      : path_(std::move(folder) + "/" + checkpoint_file_name(1)), directory_(directory) {}

  void forget_pages() const {
    const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0 || posix_fadvise(file, 0, 0, POSIX_FADV_DONTNEED) != 0) fail(path_);
    close(file);
  }

  double read() const {
    const Stopwatch watch;
    std::vector<char> buffer(kMiB);
    const int file = open(path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file < 0) fail(path_);
    ssize_t got = 0;
    do {
      got = ::read(file, buffer.data(), buffer.size());
    } while (got > 0);
    if (got < 0) fail(path_);
    close(file);
    return watch.seconds();
  }

  double load(uint64_t keys) const {
    FreshRegion target(keys);
    Table table(target.region());
    begin(table);
    CheckpointLoadOptions options;
    options.read_ahead = true;
    const Stopwatch watch;
    PagesAhead pages(target.region().arena(), 0);
    options.pages = &pages;
    const auto loaded = load_checkpoint(directory_, 1, table, options, nullptr);
    const double seconds = watch.seconds();
    check(loaded.status(), "load");
    if (loaded.value().footer.entries != keys) fail("load: keys are missing");
    return seconds;
  }

 private:
  std::string path_;
  Directory& directory_;
};

// Leaves a log of so many puts of keys of their own, and no checkpoint.
void write_log(const std::string& folder, uint64_t operations) {
  FreshRegion fresh(operations);
  auto& control = *new (shared_memory(sizeof(Control)).data()) Control;
  EventBells bells;
  StderrLog log;
  const Settings settings{folder, 2, 64, operations, 0};
  const std::vector<pid_t> producers = fork_producers(fresh.region(), control, bells, settings);
  StoreOptions options;
  options.checkpoint_interval_us = 0;
  options.checkpoint_log_bytes = 0;
  StorageWorker worker(fresh.region(), folder, options, bells, log);
  worker.start();
  await_serving(fresh.region(), control);
  await_filled(control, producers);
  end_producers(control, producers);
  worker.stop();
}

double replay(const std::string& folder, uint64_t operations) {
  FreshRegion fresh(operations);
  EventBells bells;
  StderrLog log;
  auto directory = PosixDirectory::open(folder).value();
  Store store(fresh.region(), {*directory, system_clock(), bells, log}, StoreOptions());
  const Stopwatch watch;
  check(store.open(), "replay");
  const double seconds = watch.seconds();
  if (fresh.region().header().keys.load() != operations / 2 * 2) fail("replay: keys are missing");
  return seconds;
}

void report(const char* name, std::vector<double> figures) {
  std::sort(figures.begin(), figures.end());
  std::printf("%s\t%.3f\n", name, figures[figures.size() / 2]);
}

void measure_checkpoint(const std::string& folder, uint64_t keys, uint64_t rounds) {
  auto directory = PosixDirectory::open(folder).value();
  const uint64_t bytes = write_checkpoint(*directory, keys);
  const CheckpointFile file(folder, *directory);
  std::vector<double> load_cold, read_cold, load_warm, read_warm;
  for (uint64_t round = 0; round < rounds; ++round) {
    file.forget_pages();
    load_cold.push_back(file.load(keys));
    file.forget_pages();
    read_cold.push_back(file.read());
    load_warm.push_back(file.load(keys));
    read_warm.push_back(file.read());
  }
  check(directory->remove(checkpoint_file_name(1)), "remove");
  std::printf("checkpoint_bytes\t%llu\n", static_cast<unsigned long long>(bytes));
  report("load_cold", load_cold);
  report("read_cold", read_cold);
  report("load_warm", load_warm);
  report("read_warm", read_warm);
}

void measure_log(const std::string& folder, uint64_t operations, uint64_t rounds) {
  write_log(folder, operations);
  std::vector<double> seconds;
  for (uint64_t round = 0; round < rounds; ++round) seconds.push_back(replay(folder, operations));
  report("replay", seconds);
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  using namespace small_db::bench;
  const Arguments given(count, arguments);
  const std::string folder = given.text("directory", ".");
  const uint64_t rounds = given.number("rounds", 3);
  measure_checkpoint(folder, given.number("keys", 10'000'000), rounds);
  measure_log(folder, given.number("operations", 2'000'000), rounds);
  return 0;
}
