// Makes checkpoints in the background: a new log, a walk of one pinned state into checkpoint.G, the
// switch of `version` to G, and the removal of what is older than the generations that are kept.
// Commits go on all the while.
//
//   idle ──request──▶ new log ──▶ await switch ──(commit thread)──▶ walk ──▶ verify ──▶ version ──▶
//   clean ──▶ idle
//                        └──────────────┴── any failure
//                        ──┴──────────┴──────────┘──────────────────────▶ idle
//
// Order and reasons (recovery depends on them):
//  1. logfile.G is made, zero-filled and durable, under its name. Nobody writes to it yet.
//  2. The commit thread seals logfile.(G-1) and goes on in logfile.G, whose START names the
//  revision R where the old one ends.
//  3. A state of revision R or later is pinned and written to checkpoint.G.tmp; synced, read back,
//  renamed, directory synced. A pinned state keeps what was overwritten since: when memory runs
//  short, the walk goes on in the newest state, behind the last key written; logfile.G has all that
//  happened in between.
//  4. `version` becomes G: the commit point. Before it, the chain from the former generation on is
//  whole, and includes
//     logfile.G; after it, checkpoint.G and logfile.G are.
//  5. Only then are files removed, and those of the former generation are kept (keep_generations).
//
// step() runs in the checkpoint thread; the commit thread calls take_new_log and switched; request
// any thread.
#pragma once

#include <cstdint>
#include <memory>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/checkpoint/writer.h"
#include "engine/platform/clock.h"
#include "engine/platform/event_log.h"
#include "engine/platform/file_system.h"
#include "engine/shm/region.h"
#include "engine/store/options.h"
#include "engine/table/reader.h"
#include "engine/wal/log_writer.h"

namespace small_db {

class Checkpointer {
 public:
  Checkpointer(Region region, Directory& directory, Clock& clock, EventLog& log,
               const StoreOptions& options);
  ~Checkpointer();

  // Once, before any other call: whose files these are.
  void start(const Uid& cluster_id, uint64_t epoch);

  // Asks for a checkpoint. One that is at work already counts: whatever it does not hold is in logs
  // that stay. Any thread.
  void request();

  enum class Step : uint8_t {
    kIdle,   // nothing is asked for
    kMore,   // call again
    kWaits,  // for the commit thread to switch logs
  };
  Step step();

  // Commit thread. The log to go on in, when one waits for that.
  bool wants_switch() const;
  std::optional<LogEnd> take_new_log();
  // Commit thread. How the switch went.
  void switched(const Status& status);

  // Commit thread: the active log, told at start and after each switch.
  void set_log_generation(uint64_t generation);

  // The result of the last run that ended since the last call. Commit thread.
  std::optional<Status> take_result();

  // True when the commit thread has something to take: a new log, or a result. Any thread.
  bool has_news() const;
  bool is_requested() const;
  // True while step() would say kWaits. Any thread.
  bool awaits_switch() const;

  // Checkpoint thread, or after its end: gives up what is at work.
  void abandon() noexcept;

 private:
  enum class Phase : uint8_t { kIdle, kNewLog, kAwaitSwitch, kWalk, kVerify, kVersion, kClean };
  struct Walk;

  Status make_log();
  Status begin_walk();
  Status pin_newest();
  bool memory_is_short() const;
  Status walk(bool* done);
  Status verify(bool* done);
  Status remove_old();
  uint64_t oldest_needed_log(const std::vector<uint64_t>& logs, uint64_t oldest);
  void report();
  void end(const Status& status);
  Status run_phase();

  Region region_;
  Directory& directory_;
  Clock& clock_;
  EventLog& log_;
  const StoreOptions options_;
  Uid cluster_id_{};
  uint64_t epoch_ = 0;

  // Checkpoint thread.
  Phase phase_ = Phase::kIdle;
  uint64_t new_generation_ = 0;
  uint64_t started_us_ = 0;
  std::unique_ptr<Walk> walk_;

  mutable std::mutex mutex_;
  // Guarded by mutex_.
  bool requested_ = false;
  uint64_t log_generation_ = 0;
  std::optional<LogEnd> new_log_;
  bool awaits_switch_ = false;
  std::optional<Status> switch_result_;
  std::optional<Status> result_;
};

}  // namespace small_db
