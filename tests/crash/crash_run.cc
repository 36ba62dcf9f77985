#include "tests/crash/crash_run.h"

#include <algorithm>

namespace small_db {
namespace {

// A life, and a place to stand in it.
class PowerFailureRun {
 public:
  explicit PowerFailureRun(const CrashRunOptions& options)
      : options_(options),
        disk_(options.seed),
        history_(crash_sim_options(options.seed).keys),
        sim_(disk_, history_, options.seed, crash_sim_options(options.seed)),
        checker_(crash_sim_options(options.seed).store) {}

  CrashRunResult run() {
    disk_.observe([this](SimCall call, SimMoment moment) -> std::optional<SimFault> {
      if (moment == SimMoment::kBefore) ++result_.calls;
      look(call, moment);
      ++result_.moments;
      return std::nullopt;
    });
    const Status status = sim_.open();
    if (!status.is_ok()) fail("the store does not open: " + status.text(), "");
    sim_.run(options_.operations);
    disk_.observe(nullptr);
    if (!sim_.problem().empty()) fail(sim_.problem(), "");
    const std::string difference = sim_.compare();
    if (!difference.empty()) fail("at the end: " + difference, "");
    result_.counts = checker_.counts();
    result_.operations = history_.last_revision();
    result_.checkpoints = sim_.checkpoints();
    result_.owners = sim_.owners();
    result_.read_only_times = sim_.read_only_times();
    result_.heals = sim_.heals();
    return result_;
  }

 private:
  void look(SimCall call, SimMoment moment) {
    if (stopped_ || !result_.failure.empty()) return;
    const uint64_t number = result_.moments;
    if (options_.only_moment ? number != *options_.only_moment
                             : number % options_.shares != options_.share) {
      return;
    }
    sim_.note_published();
    const std::vector<SimState> legal = history_.legal_states();
    const std::string what =
        std::string(moment == SimMoment::kWithin ? "in the middle of" : "before") + " call " +
        std::to_string(result_.calls) + " (" + call_name(call) + ")";
    if (!options_.only_variant) {
      fail_if(checker_.check_nothing_kept(disk_, legal), "power off, nothing kept, " + what,
              number);
      fail_if(checker_.check_kill(disk_, legal), "killed " + what, number);
    }
    check_variants(legal, what, number);
    tell_progress();
  }

  void check_variants(const std::vector<SimState>& legal, const std::string& what,
                      uint64_t number) {
    // A disk with nothing unsynced has one version.
    const uint64_t variants = disk_.has_unsynced() ? options_.variants : 1;
    const uint64_t moment_dice = mix_dice(options_.seed, number);
    const bool interrupt = moment_dice % options_.interrupt_every == 0;
    for (uint64_t variant = 0; variant < variants && result_.failure.empty(); ++variant) {
      if (options_.only_variant && variant != *options_.only_variant) continue;
      const uint64_t dice = mix_dice(moment_dice, variant);
      const bool interrupt_it = interrupt && variant == number % variants;
      fail_if(checker_.check_power_off(disk_, legal, dice, interrupt_it), "power off " + what,
              number, variant);
    }
  }

  void fail_if(const std::string& wrong, const std::string& when, uint64_t number,
               std::optional<uint64_t> variant = std::nullopt) {
    if (wrong.empty()) return;
    std::string repeat = " --moment " + std::to_string(number);
    if (variant) repeat += " --variant " + std::to_string(*variant);
    fail(when + ": " + wrong, repeat);
  }

  void fail(const std::string& what, const std::string& where) {
    if (!result_.failure.empty()) return;
    result_.failure = what;
    result_.repeat = "--seed " + std::to_string(options_.seed) + " --operations " +
                     std::to_string(options_.operations) + where;
    // What is interrupted depends on these.
    if (!where.empty()) {
      result_.repeat += " --variants " + std::to_string(options_.variants) + " --interrupt-every " +
                        std::to_string(options_.interrupt_every);
    }
  }

  void tell_progress() {
    if (!options_.progress) return;
    CrashCounts since = checker_.counts();
    since.states -= told_.states;
    since.interrupted -= told_.interrupted;
    since.interrupted_2 -= told_.interrupted_2;
    told_ = checker_.counts();
    stopped_ = !options_.progress(since);
  }

  const CrashRunOptions options_;
  SimDisk disk_;
  History history_;
  StoreSim sim_;
  CrashChecker checker_;
  CrashRunResult result_;
  CrashCounts told_;
  bool stopped_ = false;
};

}  // namespace

StoreSimOptions crash_sim_options(uint64_t seed) {
  StoreSimOptions options;
  options.keys = 12;
  options.value_bytes_max = 60;
  options.long_value_every = 120;
  options.long_value_bytes = 6000;
  options.weather_every = 400;
  options.store.log_ahead_bytes = 16 * kKiB;
  options.store.log_prepare_step_bytes = 4 * kKiB;
  // Some drains end before the rings are empty.
  options.store.drain_bytes = 256;
  options.store.checkpoint_updates = 40;
  options.store.keep_generations = seed % 2 == 0 ? 1 : 0;
  return options;
}

CrashRunResult run_power_failures(const CrashRunOptions& options) {
  return PowerFailureRun(options).run();
}

}  // namespace small_db
