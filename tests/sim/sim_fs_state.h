// What a SimDisk and the handles of its mounts share: files, names, the count of calls and the
// schedule of faults. One thread only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "tests/sim/sim_fs.h"
#include "tests/sim/sim_fs_inode.h"
#include "tests/sim/sim_fs_names.h"

namespace small_db {

// What becomes of one call.
enum class SimVerdict : uint8_t {
  kProceed,
  kIoError,
  kNoSpace,
  kShortWrite,
  kInterrupted,
  kPowerOff,  // at this call
  kDead,      // before it, or by a handle of an earlier mount
};

struct SimScheduledFault {
  uint64_t operation;
  SimVerdict verdict;
};

struct SimCallFault {
  SimCall call;
  SimVerdict verdict;
  bool once;
};

struct SimDiskState {
  explicit SimDiskState(uint64_t disk_seed) noexcept : seed(disk_seed), random(disk_seed) {}

  // Counts a call of a handle made at `mount_epoch` and decides its fate.
  SimVerdict begin(uint64_t mount_epoch, SimCall call);
  // The middle of a write.
  void look_within(SimCall call);

  // This disk is now what a power failure makes of `from`, which may be this one.
  void become_crash_of(const SimDiskState& from, uint64_t variant, const SimCrashPolicy& policy);

  // An inode that may be changed: no other disk shares it.
  SimInode& writable(uint32_t inode);
  uint32_t add_inode(std::shared_ptr<SimInode> inode);
  void drop_unused_inodes();

  // Ends all mounts.
  void restart() noexcept;
  void clear_faults() noexcept;

  uint64_t seed;
  SimRandom random;
  std::vector<std::shared_ptr<SimInode>> inodes;
  std::vector<uint32_t> open_handles;  // per inode
  SimNames names;
  std::vector<std::string> locked;

  std::vector<SimCall> calls;
  std::vector<SimScheduledFault> scheduled;
  std::vector<SimCallFault> call_faults;
  uint64_t fail_from = UINT64_MAX;
  SimVerdict fail_from_verdict = SimVerdict::kProceed;
  uint64_t bytes_through_cache = 0;  // written so
  uint64_t bytes_past_cache = 0;
  uint64_t epoch = 0;
  bool powered_off = false;
  SimObserver observer;
  std::vector<std::shared_ptr<SimInode>> crashed;  // room for become_crash_of
};

// The mount (tests/sim/sim_fs_mount.cc).
std::unique_ptr<Directory> make_sim_directory(std::shared_ptr<SimDiskState> state);

}  // namespace small_db
