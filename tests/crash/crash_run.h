// One life of a store on a simulated disk, looked at before every call that it makes to the disk
// and in the middle of every write. At each such moment, either
//   * power failures: versions of what the disk may have kept are recovered and compared, or
//   * faults: a copy of the whole process goes on with that one call failed (or with the owner
//     killed in it), to the end; then what it leaves is recovered and compared.
// Shared by the tests, which run a part of it always, and the soak runner, which runs it on and on.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "tests/sim/crash_checker.h"
#include "tests/sim/store_sim.h"

namespace small_db {

inline constexpr uint32_t kCrashOperations = 14'000;
inline constexpr uint64_t kCrashVariants = 100;
inline constexpr uint64_t kCrashInterruptEvery = 6;

// What befalls the one call.
enum class CallFate : uint8_t { kIoError, kNoSpace, kShortWrite, kInterrupted, kKill };
inline constexpr size_t kCallFates = 5;
const char* fate_name(CallFate fate);

struct CrashRunOptions {
  uint64_t seed = 1;
  uint32_t operations = kCrashOperations;
  uint64_t variants = kCrashVariants;  // of the disk at each moment
  // At one moment in so many, one version's recovery is interrupted at each of its calls.
  uint64_t interrupt_every = kCrashInterruptEvery;
  // This run's share of the moments: every `shares`-th, from `share` on.
  uint64_t share = 0;
  uint64_t shares = 1;
  // To look at one failure alone.
  std::optional<uint64_t> only_moment;
  std::optional<uint64_t> only_variant;
  std::optional<CallFate> only_fate;
  // Called after each moment with what was done since the last time. Returns false to end the run.
  std::function<bool(const CrashCounts&)> progress;
};

struct CrashRunResult {
  std::string failure;  // empty: nothing was found
  std::string repeat;   // arguments of `./dev soak` that show the failure again
  uint64_t moments = 0;
  uint64_t calls = 0;
  uint64_t faults = 0;  // calls that failed, one in each copy of the process
  CrashCounts counts;
  // Of the life.
  uint64_t operations = 0;
  uint64_t checkpoints = 0;
  uint64_t owners = 0;
  uint64_t read_only_times = 0;
  uint64_t heals = 0;
};

// Odd seeds keep no older generation: nothing to fall back to, each must be whole.
StoreSimOptions crash_sim_options(uint64_t seed);

CrashRunResult run_power_failures(const CrashRunOptions& options);
CrashRunResult run_faults(const CrashRunOptions& options);

}  // namespace small_db
