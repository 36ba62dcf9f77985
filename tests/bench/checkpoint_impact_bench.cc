// What a checkpoint costs those who write meanwhile, the engine alone: see put_load.h.
//
//   checkpoint_impact_bench --directory=PATH [--processes=2] [--window=32] [--keys=1000000]
//                           [--rounds=5] [--seconds=5]
//
// A round is some seconds of puts without a checkpoint, then puts as long as a checkpoint of all
// keys takes. Prints lines of NAME TAB NUMBER, each the median of all rounds: rate and p99 (in
// microseconds) of both, their ratios, how long a checkpoint took, and by how much used memory grew
// in it at most, as part of the data.
#include <algorithm>

#include "engine/store/storage_worker.h"
#include "tests/bench/put_load.h"

namespace small_db::bench {
namespace {

struct Round {
  double rate_quiet, rate_checkpoint, rate_ratio;
  double p99_quiet, p99_checkpoint, p99_ratio;
  double seconds;
  double memory;
};

void report(const char* name, std::vector<Round>& rounds, double Round::*figure) {
  std::sort(rounds.begin(), rounds.end(),
            [&](const Round& a, const Round& b) { return a.*figure < b.*figure; });
  std::printf("%s\t%.3f\n", name, rounds[rounds.size() / 2].*figure);
}

class Bench {
 public:
  Bench(Region region, Control& control, const std::vector<pid_t>& producers)
      : region_(region), control_(control), producers_(producers) {
    auto client = Client::attach(region);
    if (!client.is_ok()) fail("cannot attach: " + client.status().text());
    client_ = std::move(client).value();
  }

  Round measure(uint64_t quiet_seconds) {
    Round round{};
    control_.clear_latencies();
    round.rate_quiet = rate_until(
        0, [&](double seconds) { return seconds >= static_cast<double>(quiet_seconds); });
    const uint64_t used_before = used_bytes();
    uint64_t used_max = used_before;
    const Stopwatch watch;
    if (!client_->checkpoint(++cookie_).is_ok()) fail("checkpoint");
    round.rate_checkpoint = rate_until(1, [&](double) {
      used_max = std::max(used_max, used_bytes());
      return checkpoint_has_ended();
    });
    round.seconds = watch.seconds();
    control_.phase.store(0, std::memory_order_relaxed);
    round.p99_quiet = static_cast<double>(control_.percentile_us(0, 0.99));
    round.p99_checkpoint = static_cast<double>(control_.percentile_us(1, 0.99));
    round.rate_ratio = round.rate_checkpoint / round.rate_quiet;
    round.p99_ratio = round.p99_checkpoint / round.p99_quiet;
    round.memory = static_cast<double>(used_max - used_before) / static_cast<double>(used_before);
    return round;
  }

 private:
  uint64_t used_bytes() const { return region_.header().arena_used_bytes.load(); }

  bool checkpoint_has_ended() {
    WriteOutcome outcome;
    if (!client_->poll(&outcome)) return false;
    if (outcome.code != Code::kOk) fail(std::string("checkpoint: ") + code_name(outcome.code));
    return true;
  }

  template <typename Ended>
  double rate_until(uint32_t phase, const Ended& ended) {
    control_.phase.store(phase, std::memory_order_relaxed);
    const uint64_t answered = control_.answered();
    const Stopwatch watch;
    while (!ended(watch.seconds())) {
      check_producers(producers_);
      wait_ms(5);
    }
    return static_cast<double>(control_.answered() - answered) / watch.seconds();
  }

  Region region_;
  Control& control_;
  const std::vector<pid_t>& producers_;
  std::unique_ptr<Client> client_;
  uint64_t cookie_ = 0;
};

void run(const Settings& settings, uint64_t count) {
  if (settings.processes > kProcessesMax) fail("--processes: at most 32");
  const MutableBytes memory = shared_memory(settings.keys * 512 + 256 * kMiB);
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
  options.checkpoint_interval_us = 0;
  options.checkpoint_log_bytes = 0;
  StorageWorker worker(region, settings.directory, options, bells, log);
  worker.start();
  await_serving(region, control);
  await_filled(control, producers);
  Bench bench(region, control, producers);
  bench.measure(1);  // the first checkpoint's file is new, and warms everything up
  std::vector<Round> rounds;
  while (rounds.size() < count) rounds.push_back(bench.measure(settings.seconds));
  end_producers(control, producers);
  worker.stop();
  report("rate_quiet", rounds, &Round::rate_quiet);
  report("rate_checkpoint", rounds, &Round::rate_checkpoint);
  report("rate_ratio", rounds, &Round::rate_ratio);
  report("p99_quiet", rounds, &Round::p99_quiet);
  report("p99_checkpoint", rounds, &Round::p99_checkpoint);
  report("p99_ratio", rounds, &Round::p99_ratio);
  report("checkpoint_seconds", rounds, &Round::seconds);
  report("memory_growth", rounds, &Round::memory);
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  const small_db::bench::Arguments given(count, arguments);
  small_db::bench::run(
      {given.text("directory", "."), given.number("processes", 2), given.number("window", 32),
       given.number("keys", 1'000'000), given.number("seconds", 5)},
      given.number("rounds", 5));
  return 0;
}
