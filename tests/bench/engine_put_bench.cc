// Durable PUTs per second of the engine alone: producer processes in a closed loop, each with a
// window of requests in flight, over shared memory to the storage worker's threads in the parent.
//
//   engine_put_bench --directory=PATH [--processes=4] [--window=64] [--keys=100000] [--seconds=5]
//
// Prints lines of NAME TAB NUMBER: rate (puts per second), commits and syncs per second, and the
// mean number of puts per commit. Any write that is not acknowledged as durable is a failure.
//
//   parent: format the region, make bells ─▶ fork producers ─▶ storage worker ─▶ measure ─▶ stop
//   producer: attach ─▶ put its share of all keys, once ─▶ put random keys until told to stop
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>

#include "engine/client/client.h"
#include "engine/platform/bells.h"
#include "engine/platform/futex.h"
#include "engine/store/storage_worker.h"
#include "tests/bench/arguments.h"

namespace small_db::bench {
namespace {

constexpr uint32_t kProcessesMax = 32;
constexpr uint32_t kSlots = 64;
constexpr uint64_t kFillWindow = 512;
constexpr uint64_t kStartSecondsMax = 60;
constexpr int kSettleMs = 300;

struct Settings {
  std::string directory;
  uint64_t processes;
  uint64_t window;
  uint64_t keys;
  uint64_t seconds;
};

// Shared by all processes; each producer counts on a cache line of its own.
struct Control {
  struct alignas(64) Counter {
    std::atomic<uint64_t> answered{0};
  };
  std::atomic<uint32_t> serving{0};  // futex: the producers wait for it
  std::atomic<uint32_t> filled{0};   // producers that have put their share
  std::atomic<uint32_t> stop{0};
  std::array<Counter, kProcessesMax> counters;

  uint64_t answered() const {
    uint64_t sum = 0;
    for (const Counter& counter : counters) sum += counter.answered.load(std::memory_order_relaxed);
    return sum;
  }
};

MutableBytes shared_memory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("no memory");
  return {static_cast<std::byte*>(memory), bytes};
}

class EventBells : public WorkerBells {
 public:
  EventBells() {
    for (int& bell : bells_) {
      bell = eventfd(0, EFD_CLOEXEC);
      if (bell < 0) fail("no eventfd");
    }
  }
  void ring(uint32_t slot) noexcept override {
    const uint64_t one = 1;
    if (write(bells_[slot], &one, sizeof one) < 0) return;
  }
  void wait(uint32_t slot) const {
    uint64_t rings = 0;
    if (read(bells_[slot], &rings, sizeof rings) < 0) fail("bell");
  }

 private:
  std::array<int, kSlots> bells_;
};

class StderrLog : public EventLog {
 public:
  void write(Severity severity, std::string_view line) noexcept override {
    if (severity < Severity::kWarning) return;
    std::fprintf(stderr, "%.*s\n", static_cast<int>(line.size()), line.data());
  }
};

// One producer process.
class Producer {
 public:
  Producer(Region region, Control& control, const EventBells& bells, const Settings& settings,
           uint64_t index)
      : control_(control), bells_(bells), settings_(settings), index_(index), random_(index + 1) {
    auto client = Client::attach(region);
    if (!client.is_ok()) fail("cannot attach: " + client.status().text());
    client_ = std::move(client).value();
  }

  void run() {
    bool told = false;
    for (;;) {
      submit();
      const bool answered = take_answers();
      if (!told && counter().load(std::memory_order_relaxed) >= share()) {
        control_.filled.fetch_add(1, std::memory_order_relaxed);
        told = true;
      }
      if (stopping() && client_->in_flight() == 0) return;
      if (!answered && client_->prepare_sleep()) bells_.wait(client_->slot());
    }
  }

 private:
  bool stopping() const { return control_.stop.load(std::memory_order_relaxed) != 0; }
  bool filling() const { return submitted_ < share(); }
  uint64_t share() const { return settings_.keys / settings_.processes; }
  std::atomic<uint64_t>& counter() { return control_.counters[index_].answered; }

  void submit() {
    const uint64_t window = filling() ? std::max(kFillWindow, settings_.window) : settings_.window;
    while (client_->in_flight() < window && !stopping()) {
      const std::string key = key_of(filling() ? submitted_ * settings_.processes + index_
                                               : random_.below(settings_.keys));
      const Status status = client_->put(submitted_ + 1, as_bytes(key), as_bytes(value_), 0);
      if (status.code() == Code::kOverloaded) return;
      if (!status.is_ok()) fail("put: " + status.text());
      ++submitted_;
    }
  }

  bool take_answers() {
    WriteOutcome outcome;
    uint64_t answers = 0;
    while (client_->poll(&outcome)) {
      if (outcome.code != Code::kOk) fail(std::string("answer: ") + code_name(outcome.code));
      ++answers;
    }
    counter().fetch_add(answers, std::memory_order_relaxed);
    return answers != 0;
  }

  Control& control_;
  const EventBells& bells_;
  const Settings& settings_;
  const uint64_t index_;
  Random random_;
  const std::string value_ = std::string(kValueBytes, 'v');
  std::unique_ptr<Client> client_;
  uint64_t submitted_ = 0;
};

void wait_ms(int ms) { poll(nullptr, 0, ms); }

// Fails when a producer has ended: none does before it is told to.
void check_producers(const std::vector<pid_t>& producers) {
  for (pid_t pid : producers) {
    if (waitpid(pid, nullptr, WNOHANG) != 0) fail("a producer ended early");
  }
}

std::vector<pid_t> fork_producers(Region region, Control& control, const EventBells& bells,
                                  const Settings& settings) {
  std::vector<pid_t> producers;
  for (uint64_t index = 0; index < settings.processes; ++index) {
    const pid_t pid = fork();
    if (pid < 0) fail("fork");
    if (pid == 0) {
      while (control.serving.load(std::memory_order_acquire) == 0) {
        futex_wait(control.serving, 0, UINT64_MAX);
      }
      Producer(region, control, bells, settings, index).run();
      _exit(0);
    }
    producers.push_back(pid);
  }
  return producers;
}

void await_serving(Region region, Control& control) {
  const Stopwatch watch;
  while (region.header().state.load(std::memory_order_acquire) !=
         static_cast<uint32_t>(StoreState::kServing)) {
    if (watch.seconds() > kStartSecondsMax) fail("the store does not serve: " + region.reason());
    wait_ms(1);
  }
  control.serving.store(1, std::memory_order_release);
  futex_wake(control.serving, kProcessesMax);
}

void await_filled(const Control& control, const std::vector<pid_t>& producers) {
  const Stopwatch watch;
  while (control.filled.load(std::memory_order_relaxed) < producers.size()) {
    if (watch.seconds() > kStartSecondsMax) fail("filling the store takes too long");
    check_producers(producers);
    wait_ms(10);
  }
  wait_ms(kSettleMs);  // until the fill's last large batches are over
}

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
  std::printf("commits\t%.0f\n", commits_made / seconds);
  std::printf("syncs\t%.0f\n", syncs_made / seconds);
  std::printf("batch\t%.1f\n", commits_made == 0 ? 0 : records / commits_made);
}

void run(const Settings& settings) {
  if (settings.processes > kProcessesMax) fail("--processes: at most 32");
  const MutableBytes memory = shared_memory(256 * kMiB);
  RegionConfig config;
  config.slot_count = kSlots;
  const Status formatted = Region::format(memory, config);
  if (!formatted.is_ok()) fail(formatted.text());
  const Region region = Region::attach(memory).value();
  auto& control = *new (shared_memory(sizeof(Control)).data()) Control;
  EventBells bells;
  StderrLog log;
  const std::vector<pid_t> producers = fork_producers(region, control, bells, settings);
  StorageWorker worker(region, settings.directory, StoreOptions{}, bells, log);
  worker.start();
  await_serving(region, control);
  await_filled(control, producers);
  measure(region, control, settings);
  control.stop.store(1, std::memory_order_relaxed);
  for (pid_t pid : producers) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) fail("a producer failed");
  }
  worker.stop();
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  const small_db::bench::Arguments given(count, arguments);
  small_db::bench::run({given.text("directory", "."), given.number("processes", 4),
                        given.number("window", 64), given.number("keys", 100'000),
                        given.number("seconds", 5)});
  return 0;
}
