#include "tests/sim/crash_checker.h"

namespace small_db {
namespace {

// Versions of the disk at each call of a recovery that is interrupted.
constexpr uint64_t kRecoveryVariants = 2;
// One in so many recoveries of interrupted recoveries is interrupted again.
constexpr uint64_t kInterruptAgainEvery = 48;
constexpr size_t kInterruptedDepthMax = 2;

}  // namespace

uint64_t mix_dice(uint64_t a, uint64_t b) noexcept {
  return SimRandom(SimRandom(a).next() ^ b).next();
}

void CrashCounts::add(const CrashCounts& other) {
  states += other.states;
  interrupted += other.interrupted;
  interrupted_2 += other.interrupted_2;
}

// What one recovery needs. Those that interrupt it use the next level.
struct CrashChecker::Level {
  SimDisk disk;
  TestRegion region{kRegionBytesMin, kSlotsMin};
};

CrashChecker::CrashChecker(const StoreOptions& options) : options_(options) {
  for (auto& level : levels_) level = std::make_unique<Level>();
}

CrashChecker::~CrashChecker() = default;

std::string CrashChecker::check_power_off(const SimDisk& disk, const std::vector<SimState>& legal,
                                          uint64_t dice, bool interrupt) {
  levels_[0]->disk.become_crash_of(disk, dice);
  return recover(0, legal, dice, interrupt);
}

std::string CrashChecker::check_nothing_kept(const SimDisk& disk,
                                             const std::vector<SimState>& legal) {
  levels_[0]->disk.become_crash_of(disk, 0, SimCrashPolicy::lose_all());
  return recover(0, legal, 0, false);
}

std::string CrashChecker::check_all_kept(const SimDisk& disk, const std::vector<SimState>& legal) {
  levels_[0]->disk.become_crash_of(disk, 0, SimCrashPolicy::keep_all());
  return recover(0, legal, 0, false);
}

std::string CrashChecker::check_kill(const SimDisk& disk, const std::vector<SimState>& legal) {
  levels_[0]->disk.become_killed(disk);
  std::string wrong = recover(0, legal, 0, false);
  if (!wrong.empty()) return wrong;
  // What recovery served, it has made durable.
  const uint64_t served = levels_[0]->region.region().header().revision.load();
  for (const SimState& state : legal) {
    if (state.revision == served) wrong = check_served_is_durable(0, state, 0);
  }
  return wrong.empty() ? wrong : "after a kill and a recovery: " + wrong;
}

std::string CrashChecker::check_served_is_durable(size_t depth, const SimState& served,
                                                  uint64_t dice) {
  SimDisk& disk = levels_[depth]->disk;
  if (!disk.has_unsynced()) return "";
  levels_[depth + 1]->disk.become_crash_of(disk, dice);
  const std::string wrong = recover(depth + 1, {served}, dice, false);
  if (!wrong.empty()) return wrong;
  levels_[depth + 1]->disk.become_crash_of(disk, dice, SimCrashPolicy::lose_all());
  return recover(depth + 1, {served}, dice, false);
}

std::string CrashChecker::recover(size_t depth, const std::vector<SimState>& legal, uint64_t dice,
                                  bool interrupt) {
  ++counts_.states;
  Level& level = *levels_[depth];
  level.region.format();
  std::string wrong_within;
  if (interrupt) {
    level.disk.observe([&](SimCall, SimMoment moment) -> std::optional<SimFault> {
      const uint64_t call = 2 * level.disk.operations() + (moment == SimMoment::kWithin ? 1 : 0);
      if (wrong_within.empty()) wrong_within = interrupt_call(depth, legal, mix_dice(dice, call));
      return std::nullopt;
    });
  }
  SteppedStore store(level.disk, level.region.region(), options_);
  const Status status = store.open();
  if (interrupt) level.disk.observe(nullptr);
  if (!wrong_within.empty()) return wrong_within;
  if (!status.is_ok()) return "does not open: " + store.environment().lines.back();
  for (const SimState& state : legal) {
    if (state.revision != store.revision()) continue;
    std::string wrong = compare_published(level.region.region(), state);
    if (wrong.empty() && interrupt) wrong = check_served_is_durable(depth, state, dice);
    return wrong;
  }
  return "recovered revision " + std::to_string(store.revision()) + ", but legal is " +
         std::to_string(legal.front().revision) + " to " + std::to_string(legal.back().revision);
}

std::string CrashChecker::interrupt_call(size_t depth, const std::vector<SimState>& legal,
                                         uint64_t dice) {
  const SimDisk& disk = levels_[depth]->disk;
  const std::string place = ", then in call " + std::to_string(disk.operations()) + " of recovery";
  Level& below = *levels_[depth + 1];
  below.disk.become_killed(disk);
  std::string wrong = crash_below(depth, legal, dice, false);
  const uint64_t variants = disk.has_unsynced() ? kRecoveryVariants : 1;
  for (uint64_t variant = 0; variant < variants && wrong.empty(); ++variant) {
    const uint64_t dice_below = mix_dice(dice, variant);
    below.disk.become_crash_of(disk, dice_below);
    wrong = crash_below(depth, legal, dice_below,
                        depth + 1 < kInterruptedDepthMax && dice_below % kInterruptAgainEvery == 0);
  }
  return wrong.empty() ? wrong : wrong + place;
}

std::string CrashChecker::crash_below(size_t depth, const std::vector<SimState>& legal,
                                      uint64_t dice, bool interrupt) {
  ++(depth == 0 ? counts_.interrupted : counts_.interrupted_2);
  return recover(depth + 1, legal, dice, interrupt);
}

}  // namespace small_db
