// Producer processes that put keys in a closed loop, each with a window of requests in flight, over
// shared memory to a storage worker's threads in the parent. Any write that is not acknowledged as
// durable ends the program.
//
//   parent: format the region, make bells ─▶ fork producers ─▶ storage worker ─▶ measure ─▶ stop
//   producer: attach ─▶ put its share of all keys, once ─▶ put random keys until told to stop
#pragma once

#include <poll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <memory>

#include "engine/client/client.h"
#include "engine/platform/bells.h"
#include "engine/platform/event_log.h"
#include "engine/platform/futex.h"
#include "engine/platform/huge_pages.h"
#include "engine/shm/region.h"
#include "tests/bench/arguments.h"

namespace small_db::bench {

inline constexpr uint32_t kProcessesMax = 32;
inline constexpr uint32_t kSlots = 64;
inline constexpr uint64_t kFillWindow = 512;
inline constexpr uint64_t kStartSecondsMax = 60;
inline constexpr int kSettleMs = 300;

// How long puts took, in steps of 10 us; the last one holds all that took longer.
struct Latencies {
  static constexpr uint64_t kStepUs = 10;
  std::array<std::atomic<uint32_t>, 20'000> counts{};

  void add(uint64_t us) {
    counts[std::min<uint64_t>(us / kStepUs, counts.size() - 1)].fetch_add(
        1, std::memory_order_relaxed);
  }
};

// What a run is asked for.
struct Settings {
  std::string directory;
  uint64_t processes;
  uint64_t window;
  uint64_t keys;
  uint64_t seconds;
  size_t value_bytes = kValueBytes;
};

// Shared by all processes; each producer counts on a cache line of its own.
struct Control {
  struct alignas(64) Counter {
    std::atomic<uint64_t> answered{0};
    std::array<Latencies, 2> latencies;  // by phase
  };
  std::atomic<uint32_t> serving{0};  // futex: the producers wait for it
  std::atomic<uint32_t> filled{0};   // producers that have put their share
  std::atomic<uint32_t> stop{0};
  std::atomic<uint32_t> phase{0};  // 0 or 1: to whose latencies an answer counts
  std::array<Counter, kProcessesMax> counters;

  uint64_t answered() const {
    uint64_t sum = 0;
    for (const Counter& counter : counters) sum += counter.answered.load(std::memory_order_relaxed);
    return sum;
  }

  // The latency, in microseconds, that this part (0.99) of the phase's puts did not exceed.
  uint64_t percentile_us(uint32_t of_phase, double part) const {
    uint64_t total = 0;
    for (const Counter& counter : counters) {
      for (const auto& count : counter.latencies[of_phase].counts) total += count.load();
    }
    uint64_t below = 0;
    size_t step = 0;
    while (below < static_cast<uint64_t>(static_cast<double>(total) * part)) {
      for (const Counter& counter : counters) {
        below += counter.latencies[of_phase].counts[step].load();
      }
      ++step;
    }
    return step * Latencies::kStepUs;
  }

  void clear_latencies() {
    for (Counter& counter : counters) {
      for (Latencies& latencies : counter.latencies) {
        for (auto& count : latencies.counts) count.store(0);
      }
    }
  }
};

inline MutableBytes shared_memory(size_t bytes) {
  void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                      MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) fail("no memory");
  return {static_cast<std::byte*>(align_for_huge_pages(memory, bytes)), bytes};
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
      started_us_[submitted_ % started_us_.size()] = system_clock().monotonic_us();
      ++submitted_;
    }
  }

  bool take_answers() {
    WriteOutcome outcome;
    uint64_t answers = 0;
    const uint32_t phase = control_.phase.load(std::memory_order_relaxed);
    Latencies& latencies = control_.counters[index_].latencies[phase];
    while (client_->poll(&outcome)) {
      if (outcome.code != Code::kOk) fail(std::string("answer: ") + code_name(outcome.code));
      const uint64_t started_us = started_us_[(outcome.cookie - 1) % started_us_.size()];
      latencies.add(system_clock().monotonic_us() - started_us);
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
  const std::string value_ = std::string(settings_.value_bytes, 'v');
  std::unique_ptr<Client> client_;
  uint64_t submitted_ = 0;
  std::array<uint64_t, 64 * 1024> started_us_{};  // by number of the put; more than are in flight
};

inline void wait_ms(int ms) { poll(nullptr, 0, ms); }

// Fails when a producer has ended: none does before it is told to.
inline void check_producers(const std::vector<pid_t>& producers) {
  for (pid_t pid : producers) {
    if (waitpid(pid, nullptr, WNOHANG) != 0) fail("a producer ended early");
  }
}

inline std::vector<pid_t> fork_producers(Region region, Control& control, const EventBells& bells,
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

inline void await_serving(Region region, Control& control) {
  const Stopwatch watch;
  while (region.header().state.load(std::memory_order_acquire) !=
         static_cast<uint32_t>(StoreState::kServing)) {
    if (watch.seconds() > kStartSecondsMax) fail("the store does not serve: " + region.reason());
    wait_ms(1);
  }
  control.serving.store(1, std::memory_order_release);
  futex_wake(control.serving, kProcessesMax);
}

// Tells the producers to end, and waits for them.
inline void end_producers(Control& control, const std::vector<pid_t>& producers) {
  control.stop.store(1, std::memory_order_relaxed);
  for (pid_t pid : producers) {
    int status = 0;
    if (waitpid(pid, &status, 0) != pid || status != 0) fail("a producer failed");
  }
}

inline void await_filled(const Control& control, const std::vector<pid_t>& producers) {
  const Stopwatch watch;
  while (control.filled.load(std::memory_order_relaxed) < producers.size()) {
    if (watch.seconds() > kStartSecondsMax) fail("filling the store takes too long");
    check_producers(producers);
    wait_ms(10);
  }
  wait_ms(kSettleMs);  // until the fill's last large batches are over
}

}  // namespace small_db::bench
