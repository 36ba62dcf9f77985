// Durable PUTs per second of the engine alone: see put_load.h.
//
//   engine_put_bench --directory=PATH [--processes=4] [--window=64] [--keys=100000] [--seconds=5]
//                    [--value-bytes=100] [--memory-mib=256] [--log-mib=64]
//
// --memory-mib decides how large the rings are; --log-mib after how much log a checkpoint is made.
//
// Prints lines of NAME TAB NUMBER: rate (puts per second), bytes (of values per second), commits
// and syncs per second, and the mean number of puts per commit.
#include "engine/store/storage_worker.h"
#include "tests/bench/put_load.h"

namespace small_db::bench {
namespace {

void measure(Region region, const Control& control, const Settings& settings) {
  const RegionHeader& header = region.header();
  const uint64_t answered = control.answered();
  const uint64_t commits = header.commits.load(std::memory_order_relaxed);
  const uint64_t syncs = header.syncs.load(std::memory_order_relaxed);
  const uint64_t operations = header.operations.load(std::memory_order_relaxed);
  const Stopwatch watch;
  wait_ms(static_cast<int>(settings.seconds * 1000));
  const double seconds = watch.seconds();
  const auto puts = static_cast<double>(control.answered() - answered);
  const auto commits_made =
      static_cast<double>(header.commits.load(std::memory_order_relaxed) - commits);
  const auto syncs_made = static_cast<double>(header.syncs.load(std::memory_order_relaxed) - syncs);
  const auto records =
      static_cast<double>(header.operations.load(std::memory_order_relaxed) - operations);
  std::printf("rate\t%.0f\n", puts / seconds);
  std::printf("bytes\t%.0f\n", puts / seconds * static_cast<double>(settings.value_bytes));
  std::printf("commits\t%.0f\n", commits_made / seconds);
  std::printf("syncs\t%.0f\n", syncs_made / seconds);
  std::printf("batch\t%.1f\n", commits_made == 0 ? 0 : records / commits_made);
}

void run(const Settings& settings, uint64_t memory_bytes, uint64_t log_bytes) {
  if (settings.processes > kProcessesMax) fail("--processes: at most 32");
  const MutableBytes memory = shared_memory(memory_bytes);
  RegionConfig config;
  config.slot_count = kSlots;
  const Status formatted = Region::format(memory, config);
  if (!formatted.is_ok()) fail(formatted.text());
  const Region region = Region::attach(memory).value();
  auto& control = *new (shared_memory(sizeof(Control)).data()) Control;
  EventBells bells;
  StderrLog log;
  const std::vector<pid_t> producers = fork_producers(region, control, bells, settings);
  StoreOptions options;
  options.checkpoint_log_bytes = log_bytes;
  StorageWorker worker(region, settings.directory, options, bells, log);
  worker.start();
  await_serving(region, control);
  await_filled(control, producers);
  measure(region, control, settings);
  end_producers(control, producers);
  worker.stop();
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  using namespace small_db;
  const bench::Arguments given(count, arguments);
  const bench::Settings settings{
      given.text("directory", "."), given.number("processes", 4),
      given.number("window", 64),   given.number("keys", 100'000),
      given.number("seconds", 5),   given.number("value-bytes", bench::kValueBytes)};
  bench::run(settings, given.number("memory-mib", 256) * kMiB, given.number("log-mib", 64) * kMiB);
  return 0;
}
