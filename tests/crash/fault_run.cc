// Fails each call of a life once, in each way that makes a difference. A copy of the whole process
// (fork) goes on from that call, so that the life up to it is not lived again.
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <cstdio>
#include <new>
#include <vector>

#include "tests/crash/crash_run.h"

namespace small_db {
namespace {

constexpr uint32_t kOperationsAfter = 24;
constexpr uint32_t kStepsAfter = 4000;
constexpr uint64_t kVariantsAfter = 3;
constexpr unsigned kSecondsMax = 60;  // of a copy; a thousand times what it takes

// What a copy tells the process that it was copied from.
struct Report {
  CrashCounts counts;
  std::array<char, 1024> wrong;
};

// The ways to fail a call that differ. A disk hides EINTR (engine/platform/posix_file_system.h), a
// short write of anything else than a write is EIO, and reading takes no space.
std::vector<CallFate> fates_of(SimCall call, SimMoment moment) {
  if (moment == SimMoment::kWithin) return {CallFate::kKill};
  switch (call) {
    case SimCall::kWrite:
      return {CallFate::kIoError, CallFate::kNoSpace, CallFate::kShortWrite, CallFate::kKill};
    case SimCall::kRead:
    case SimCall::kSize:
    case SimCall::kList:
      return {CallFate::kIoError, CallFate::kKill};
    case SimCall::kLock:
      return {CallFate::kIoError, CallFate::kInterrupted, CallFate::kKill};
    default:
      return {CallFate::kIoError, CallFate::kNoSpace, CallFate::kKill};
  }
}

std::optional<SimFault> fault_of(CallFate fate) {
  switch (fate) {
    case CallFate::kIoError:
      return SimFault::kIoError;
    case CallFate::kNoSpace:
      return SimFault::kNoSpace;
    case CallFate::kShortWrite:
      return SimFault::kShortWrite;
    case CallFate::kInterrupted:
      return SimFault::kInterrupted;
    case CallFate::kKill:
      break;
  }
  return std::nullopt;
}

class FaultRun {
 public:
  explicit FaultRun(const CrashRunOptions& options)
      : options_(options),
        disk_(options.seed),
        history_(crash_sim_options(options.seed).keys),
        sim_(disk_, history_, options.seed, crash_sim_options(options.seed)),
        checker_(crash_sim_options(options.seed).store),
        report_(new (::mmap(nullptr, sizeof(Report), PROT_READ | PROT_WRITE,
                            MAP_SHARED | MAP_ANONYMOUS, -1, 0)) Report()) {}

  ~FaultRun() { ::munmap(report_, sizeof(Report)); }

  CrashRunResult run() {
    disk_.observe([this](SimCall call, SimMoment moment) { return look(call, moment); });
    const Status status = sim_.open();
    if (status.is_ok()) sim_.run(options_.operations);
    if (is_copy_) end_copy(status.is_ok());
    if (!status.is_ok()) fail("the store does not open: " + status.text(), "");
    if (!sim_.problem().empty()) fail(sim_.problem(), "");
    disk_.observe(nullptr);
    result_.operations = history_.last_revision();
    result_.checkpoints = sim_.checkpoints();
    result_.owners = sim_.owners();
    result_.read_only_times = sim_.read_only_times();
    result_.heals = sim_.heals();
    return result_;
  }

 private:
  std::optional<SimFault> look(SimCall call, SimMoment moment) {
    if (is_copy_ || stopped_ || !result_.failure.empty()) return std::nullopt;
    if (moment == SimMoment::kBefore) ++result_.calls;
    const uint64_t number = result_.moments++;
    if (options_.only_moment ? number != *options_.only_moment
                             : number % options_.shares != options_.share) {
      return std::nullopt;
    }
    for (const CallFate fate : fates_of(call, moment)) {
      if (options_.only_fate && fate != *options_.only_fate) continue;
      std::fflush(nullptr);
      const pid_t copy = ::fork();
      SMALL_DB_ASSERT(copy >= 0);
      if (copy == 0) return begin_copy(fate);
      ++result_.faults;
      wait_for(copy, fate, call, number);
    }
    return std::nullopt;
  }

  // In the copy. A kill ends nothing: the call never returns.
  std::optional<SimFault> begin_copy(CallFate fate) {
    ::alarm(kSecondsMax);
    is_copy_ = true;
    sim_.note_published();
    sim_.calm_down(kOperationsAfter);
    if (fate != CallFate::kKill) return fault_of(fate);
    Status status = sim_.replace_owner();
    if (status.is_ok() && sim_.is_open()) sim_.run(kOperationsAfter);
    end_copy(status.is_ok() && sim_.is_open());
  }

  [[noreturn]] void end_copy(bool opened) {
    std::string wrong = sim_.problem();
    if (opened && wrong.empty()) {
      sim_.run_until_quiet(kStepsAfter);
      wrong = sim_.compare();
    }
    const std::vector<SimState> legal = history_.legal_states();
    if (wrong.empty()) wrong = checker_.check_kill(disk_, legal);
    if (wrong.empty()) wrong = checker_.check_nothing_kept(disk_, legal);
    for (uint64_t variant = 0; variant < kVariantsAfter && wrong.empty(); ++variant) {
      wrong = checker_.check_power_off(disk_, legal, mix_dice(result_.moments, variant), false);
    }
    report_->counts = checker_.counts();
    std::snprintf(report_->wrong.data(), report_->wrong.size(), "%s", wrong.c_str());
    ::_exit(0);
  }

  void wait_for(pid_t copy, CallFate fate, SimCall call, uint64_t number) {
    int status = 0;
    while (::waitpid(copy, &status, 0) == -1 && errno == EINTR) {
    }
    std::string wrong = report_->wrong.data();
    if (wrong.empty() && status != 0) wrong = "the process died: status " + std::to_string(status);
    result_.counts.add(report_->counts);
    if (options_.progress && !options_.progress(report_->counts)) stopped_ = true;
    *report_ = Report();
    if (wrong.empty()) return;
    fail("call " + std::to_string(result_.calls) + " (" + call_name(call) +
             ") fails: " + fate_name(fate) + ": " + wrong,
         " --moment " + std::to_string(number) + " --fate " + fate_name(fate));
  }

  void fail(const std::string& what, const std::string& where) {
    if (!result_.failure.empty()) return;
    result_.failure = what;
    result_.repeat = "--faults --seed " + std::to_string(options_.seed) + " --operations " +
                     std::to_string(options_.operations) + where;
  }

  const CrashRunOptions options_;
  SimDisk disk_;
  History history_;
  StoreSim sim_;
  CrashChecker checker_;
  Report* const report_;
  CrashRunResult result_;
  bool is_copy_ = false;
  bool stopped_ = false;
};

}  // namespace

const char* fate_name(CallFate fate) {
  constexpr std::array<const char*, kCallFates> kNames = {"EIO", "ENOSPC", "short", "EINTR",
                                                          "kill"};
  return kNames[static_cast<size_t>(fate)];
}

CrashRunResult run_faults(const CrashRunOptions& options) { return FaultRun(options).run(); }

}  // namespace small_db
