// `./dev soak`: crash runs on and on, on all processors, until so many seeds, states or seconds are
// done or a defect is found, whose repeat command is then printed.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <vector>

#include "tests/crash/crash_run.h"

namespace small_db {
namespace {

constexpr const char* kUsage = R"(usage: ./dev soak [OPTIONS]

How long (whatever comes first; without any of them: one seed):
  --seeds N       so many histories, of the seeds S, S+1, …
  --states N      so many crash states
  --time T        so many seconds; or Nm, Nh
What:
  --seed S        the first seed (1)
  --operations N  of a history (14000)
  --variants N    versions of the disk at each moment (100)
  --interrupt-every N  at one moment in N, a recovery is interrupted at each of its calls (6)
  --faults        no power failures: each call fails once in each way, or its process is killed
  --jobs N        processes (all processors)
One failure again, as the report names it:
  --moment N [--variant N]     or, with --faults,  --moment N [--fate EIO|ENOSPC|short|EINTR|kill]
)";

using Seconds = std::chrono::duration<double>;

// What all processes of a soak share.
struct Shared {
  std::atomic<uint64_t> states{0};
  std::atomic<uint64_t> interrupted{0};
  std::atomic<uint64_t> interrupted_2{0};
  std::atomic<uint64_t> histories{0};  // shares of them that are done
  std::atomic<uint64_t> calls{0};
  std::atomic<uint64_t> moments{0};
  std::atomic<uint64_t> faults{0};
  std::atomic<uint64_t> operations{0};
  std::atomic<uint64_t> checkpoints{0};
  std::atomic<uint64_t> owners{0};
  std::atomic<uint64_t> heals{0};
  std::atomic<uint64_t> next_line_s{1};
  std::atomic<bool> failed{false};
  std::array<char, 4096> failure;
};

struct Soak {
  CrashRunOptions run;
  bool faults = false;
  uint64_t seeds = UINT64_MAX;
  uint64_t states = UINT64_MAX;
  double seconds = 1e18;
  uint64_t jobs = 1;
  Shared* shared = nullptr;
  std::chrono::steady_clock::time_point started = std::chrono::steady_clock::now();

  double elapsed() const { return Seconds(std::chrono::steady_clock::now() - started).count(); }
  bool is_over() const {
    return shared->failed || shared->states >= states || elapsed() >= seconds;
  }
};

void print_line(const Soak& soak, const char* end) {
  const double elapsed = soak.elapsed();
  const uint64_t states = soak.shared->states;
  const char* begin = ::isatty(STDERR_FILENO) != 0 ? "\r" : "";
  if (*begin == '\0') end = "\n";
  std::fprintf(stderr, "%s%8.0f s  %12lu states  %8.0f a second  %6lu histories%s", begin, elapsed,
               states, static_cast<double>(states) / elapsed, soak.shared->histories / soak.jobs,
               end);
}

bool note_progress(const Soak& soak, const CrashCounts& counts) {
  Shared& shared = *soak.shared;
  shared.states += counts.states;
  shared.interrupted += counts.interrupted;
  shared.interrupted_2 += counts.interrupted_2;
  uint64_t due = shared.next_line_s;
  const auto now = static_cast<uint64_t>(soak.elapsed());
  if (now >= due && shared.next_line_s.compare_exchange_strong(due, now + 1)) print_line(soak, "");
  return !soak.is_over();
}

void run_share(const Soak& soak, uint64_t share) {
  Shared& shared = *soak.shared;
  CrashRunOptions options = soak.run;
  options.share = share;
  options.shares = soak.jobs;
  options.progress = [&soak](const CrashCounts& counts) { return note_progress(soak, counts); };
  for (uint64_t index = 0; index < soak.seeds && !soak.is_over(); ++index) {
    options.seed = soak.run.seed + index;
    const CrashRunResult result = soak.faults ? run_faults(options) : run_power_failures(options);
    if (!result.failure.empty() && !shared.failed.exchange(true)) {
      std::snprintf(shared.failure.data(), shared.failure.size(), "%s\nagain: ./dev soak %s",
                    result.failure.c_str(), result.repeat.c_str());
    }
    shared.faults += result.faults;
    if (share == 0) {
      shared.moments += result.moments;
      shared.calls += result.calls;
      shared.operations += result.operations;
      shared.checkpoints += result.checkpoints;
      shared.owners += result.owners;
      shared.heals += result.heals;
    }
    ++shared.histories;
  }
}

int report(const Soak& soak, bool died) {
  const Shared& shared = *soak.shared;
  const double elapsed = soak.elapsed();
  print_line(soak, "\n");
  std::printf("states       %lu crash states recovered and compared\n", shared.states.load());
  std::printf("             %lu of them after a crash during recovery, %lu of its recovery\n",
              shared.interrupted.load(), shared.interrupted_2.load());
  if (soak.faults)
    std::printf("faults       %lu, each in a life of its own\n", shared.faults.load());
  std::printf("histories    %lu, from seed %lu\n", (shared.histories + soak.jobs - 1) / soak.jobs,
              soak.run.seed);
  std::printf(
      "             %lu operations, %lu calls, %lu moments, %lu log switches, %lu owners, "
      "%lu healed failures\n",
      shared.operations.load(), shared.calls.load(), shared.moments.load(),
      shared.checkpoints.load(), shared.owners.load(), shared.heals.load());
  std::printf("time         %.1f s, %.0f states a second in %lu processes\n", elapsed,
              static_cast<double>(shared.states) / elapsed, soak.jobs);
  if (shared.failed) std::printf("FAILED       %s\n", shared.failure.data());
  if (died) std::printf("FAILED       a process of the soak died\n");
  if (!shared.failed && !died) std::printf("no defect found\n");
  return shared.failed || died ? 1 : 0;
}

int run(Soak& soak) {
  soak.shared = new (::mmap(nullptr, sizeof(Shared), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Shared();
  for (uint64_t share = 0; share < soak.jobs; ++share) {
    if (::fork() != 0) continue;
    run_share(soak, share);
    ::_exit(0);
  }
  bool died = false;
  int status = 0;
  while (::wait(&status) > 0) died = died || status != 0;
  return report(soak, died);
}

double seconds_of(const char* text) {
  char* end = nullptr;
  const double number = std::strtod(text, &end);
  return number * (*end == 'h' ? 3600 : *end == 'm' ? 60 : 1);
}

std::optional<CallFate> fate_of(std::string_view name) {
  for (size_t fate = 0; fate < kCallFates; ++fate) {
    if (name == fate_name(static_cast<CallFate>(fate))) return static_cast<CallFate>(fate);
  }
  return std::nullopt;
}

// Takes one option with its argument. False when there is no such option.
bool take_option(Soak& soak, std::string_view option, const char* text) {
  const uint64_t number = std::strtoull(text, nullptr, 10);
  const std::pair<std::string_view, uint64_t*> numbers[] = {
      {"--seeds", &soak.seeds},
      {"--states", &soak.states},
      {"--seed", &soak.run.seed},
      {"--variants", &soak.run.variants},
      {"--interrupt-every", &soak.run.interrupt_every},
      {"--jobs", &soak.jobs},
  };
  for (const auto& [name, into] : numbers) {
    if (option != name) continue;
    *into = number;
    return number != 0;
  }
  if (option == "--operations") {
    soak.run.operations = static_cast<uint32_t>(number);
  } else if (option == "--moment") {
    soak.run.only_moment = number;
  } else if (option == "--variant") {
    soak.run.only_variant = number;
  } else if (option == "--time") {
    soak.seconds = seconds_of(text);
  } else if (option == "--fate") {
    soak.run.only_fate = fate_of(text);
    return soak.run.only_fate.has_value();
  } else {
    return false;
  }
  return true;
}

bool parse(Soak& soak, int count, char** arguments) {
  soak.jobs = static_cast<uint64_t>(std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN)));
  for (int i = 1; i < count; ++i) {
    if (std::strcmp(arguments[i], "--faults") == 0) {
      soak.faults = true;
    } else if (i + 1 == count || !take_option(soak, arguments[i], arguments[i + 1])) {
      return false;
    } else {
      ++i;
    }
  }
  if (soak.run.only_moment) soak.jobs = 1;
  const bool endless = soak.seeds == UINT64_MAX && soak.states == UINT64_MAX && soak.seconds > 1e17;
  if (endless || soak.run.only_moment) soak.seeds = 1;
  return true;
}

}  // namespace
}  // namespace small_db

int main(int count, char** arguments) {
  small_db::Soak soak;
  if (count == 2 && std::string_view(arguments[1]) == "--help") {
    std::fputs(small_db::kUsage, stdout);
    return 0;
  }
  if (!small_db::parse(soak, count, arguments)) {
    std::fputs(small_db::kUsage, stderr);
    return 2;
  }
  return small_db::run(soak);
}
