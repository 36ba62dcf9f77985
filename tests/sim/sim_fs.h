// SimFs: an in-memory disk that forgets what was not synced and fails when told to, with the crash
// model of SQLite's and FoundationDB's test disks. Tests run the engine on it, stop it at any call,
// and look at what recovery makes of the remains.
//
// What a crash leaves
//  1. Reads see every write at once; a sync_data of the file makes its bytes and size durable.
//  2. Each unsynced 512-byte sector is, independently, its durable bytes, any bytes written to it
//     since, or garbage (noise, zeros, or new bytes that turn into old ones halfway).
//  3. An unsynced size is the durable one or any one since; bytes between that nobody kept are
//  zero.
//  4. Each create, rename and remove since the last Directory::sync is, independently, kept or not,
//     applied in their order. A rename is one change. sync_data makes no name durable. Two names
//     that end up with the same file get a copy each.
//  5. A failed sync_data makes the unsynced sectors and the size clean but not durable: they stay
//     readable, rule 2 goes on for them, and only writing them again makes a later sync count. A
//     failed Directory::sync does the same to names.
//  6. Locks and open files end. Handles of before fail every call and cost nothing.
//
// Copying a SimDisk copies its files with all that is unsynced, but no handle and no lock; files
// are shared until written, so that a copy per crash variant is cheap. The same seed, calls and
// variants give the same bytes. Not thread-safe: one thread simulates all.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/platform/file_system.h"
#include "tests/sim/sim_fs_random.h"

namespace small_db {

// The calls that a disk counts, in order, over all mounts. Destructors are no calls.
enum class SimCall : uint8_t {
  kOpen,
  kRead,
  kWrite,
  kSyncData,
  kAllocate,
  kTruncate,
  kSize,
  kRename,
  kRemove,
  kSyncDirectory,
  kList,
  kLock,
};

const char* call_name(SimCall call) noexcept;

enum class SimFault : uint8_t {
  kIoError,      // EIO and no effect, except that a failed sync forgets (rule 5)
  kNoSpace,      // kNoDiskSpace with ENOSPC; of a write, a prefix is written
  kShortWrite,   // a prefix is written, then EIO; of other calls: as kIoError
  kInterrupted,  // lock() returns kInterrupted; other calls handle EINTR and succeed
};

// When an observer looks.
enum class SimMoment : uint8_t {
  kBefore,  // the call
  kWithin,  // a write: a part of its bytes is there
};

// Looks at the disk before each call and in the middle of each write: what a power failure at that
// moment finds. May name a fault for the call that follows (kBefore).
using SimObserver = std::function<std::optional<SimFault>(SimCall call, SimMoment moment)>;

struct SimDiskState;

class SimDisk {
 public:
  explicit SimDisk(uint64_t seed = 1);
  SimDisk(const SimDisk& other);
  SimDisk& operator=(const SimDisk& other);
  SimDisk(SimDisk&&) noexcept = default;
  SimDisk& operator=(SimDisk&&) noexcept = default;
  ~SimDisk() = default;

  // Opens the disk's one directory. Several mounts at a time see each other's changes, as processes
  // do. A lock that another mount holds gives kInterrupted, because nobody could end the wait.
  std::unique_ptr<Directory> mount();

  // Calls since construction, crash or kill_process; the next call has this number.
  uint64_t operations() const noexcept;
  const std::vector<SimCall>& calls() const noexcept;

  // Bytes written since construction, by File::bypass_cache.
  uint64_t bytes_through_cache() const noexcept;
  uint64_t bytes_past_cache() const noexcept;

  // Schedules, of call numbers as operations() counts them. At `crash_at` the power goes off: that
  // call and all later ones return kIoError and have no effect, except that a prefix of a write may
  // be among the unsynced bytes.
  void crash_at(uint64_t operation);
  void fail_at(uint64_t operation, SimFault fault);
  // Every call from `operation` on.
  void fail_from(uint64_t operation, SimFault fault);
  // The next call of that kind, at whatever number.
  void fail_next(SimCall call, SimFault fault);
  // Every call of that kind.
  void fail_every(SimCall call, SimFault fault);
  void clear_faults();

  // From now on; an empty function ends it. Survives crashes; copies have none. The observer may
  // copy the disk, and must not change it.
  void observe(SimObserver observer);

  // The scheduled crash has happened.
  bool powered_off() const noexcept;

  // Power failure and restart: one of the states that the rules above allow, chosen by seed and
  // variant. Schedules are cleared, the count starts again.
  void crash(uint64_t variant);
  void crash(uint64_t variant, const SimCrashPolicy& policy);

  // Makes this disk what crash(variant), or kill_process, would make of a copy of `other`, and
  // `other` stays as it is. Much cheaper than to copy first.
  void become_crash_of(const SimDisk& other, uint64_t variant);
  void become_crash_of(const SimDisk& other, uint64_t variant, const SimCrashPolicy& policy);
  void become_killed(const SimDisk& other);
  // False when everything is durable: then all crashes leave the same.
  bool has_unsynced() const noexcept;

  // SIGKILL instead: handles and locks end, nothing that was written is lost and nothing becomes
  // durable. After crash_at, the process died at that call.
  void kill_process();

  // Behind the file system's back, not counted. Names are sorted.
  std::vector<std::string> names() const;
  bool exists(std::string_view name) const;
  // REQUIRES (these three): the file exists; poke: the range lies within it.
  std::string contents(std::string_view name) const;
  void poke(std::string_view name, uint64_t offset, Bytes bytes);
  void erase(std::string_view name);
  // Makes or replaces the file, durably.
  void set_contents(std::string_view name, Bytes bytes);

 private:
  std::shared_ptr<SimDiskState> state_;
};

}  // namespace small_db
