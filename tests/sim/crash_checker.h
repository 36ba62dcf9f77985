// Recovers versions of a disk as a power failure or a kill may leave it, and compares each with the
// states that are legal: everything published is there, nothing is there in half, and the store
// opens. Some recoveries are themselves interrupted at each of their calls, and some of the
// recoveries of that again.
//
// Regions and disks are used again and again: what a recovery costs is the recovery. A variant and
// all that happens below it follow from the dice that it is given: the same dice, the same checks.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/store/options.h"
#include "tests/sim/history.h"
#include "tests/sim/sim_fs.h"
#include "tests/sim/stepped_store.h"

namespace small_db {

struct CrashCounts {
  uint64_t states = 0;         // disks that were recovered and compared, all in all
  uint64_t interrupted = 0;    // of these: left by a crash during a recovery
  uint64_t interrupted_2 = 0;  // of these: left by a crash during the recovery of such a one

  void add(const CrashCounts& other);
};

class CrashChecker {
 public:
  explicit CrashChecker(const StoreOptions& options);
  ~CrashChecker();

  // All of these return what is wrong, or nothing.
  // dice: choose the version. interrupt: crash its recovery, too.
  std::string check_power_off(const SimDisk& disk, const std::vector<SimState>& legal,
                              uint64_t dice, bool interrupt);
  // Nothing unsynced survives; all that is unsynced survives.
  std::string check_nothing_kept(const SimDisk& disk, const std::vector<SimState>& legal);
  std::string check_all_kept(const SimDisk& disk, const std::vector<SimState>& legal);
  // The process dies, the page cache lives; and after the recovery the power fails.
  std::string check_kill(const SimDisk& disk, const std::vector<SimState>& legal);

  const CrashCounts& counts() const { return counts_; }

 private:
  struct Level;

  std::string recover(size_t depth, const std::vector<SimState>& legal, uint64_t dice,
                      bool interrupt);
  std::string interrupt_call(size_t depth, const std::vector<SimState>& legal, uint64_t dice);
  std::string crash_below(size_t depth, const std::vector<SimState>& legal, uint64_t dice,
                          bool interrupt);
  std::string check_served_is_durable(size_t depth, const SimState& served, uint64_t dice);

  const StoreOptions options_;
  std::array<std::unique_ptr<Level>, 3> levels_;
  CrashCounts counts_;
};

// Well mixed numbers out of two.
uint64_t mix_dice(uint64_t a, uint64_t b) noexcept;

}  // namespace small_db
