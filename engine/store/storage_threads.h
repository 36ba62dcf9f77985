// The storage worker's threads. Each loop stands in one file: those that commit, prepare and write
// checkpoints in storage_worker.cc, those that follow a primary in replication_threads.cc.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "engine/platform/posix_file_system.h"
#include "engine/store/checkpoint_pace.h"
#include "engine/store/storage_worker.h"
#include "engine/store/store.h"

namespace small_db {

// The threads of a storage worker and what they share. The commit thread keeps it alive: one that
// waits in the kernel for the directory's lock can't be joined, and may outlive its StorageWorker.
struct StorageWorker::Threads : std::enable_shared_from_this<StorageWorker::Threads> {
  Threads(Region region, std::string directory, const StoreOptions& options, WorkerBells& bells,
          EventLog& log, UpstreamFactory* upstreams)
      : region_(region),
        path_(std::move(directory)),
        options_(options),
        bells_(bells),
        log_(log),
        upstreams_(upstreams) {}

  void start();
  void stop(Ending ending);

 private:
  // starting ──▶ waiting ◀─▶ owning: the commit thread waits for the lock; it has the lock
  //                 └──────▶ stopped: stop() came first
  enum class Phase : uint8_t { kStarting, kWaiting, kOwning, kStopped };

  // How a store's life in this storage worker ended.
  enum class Life : uint8_t { kAgain, kLetGo, kRefused };

  bool change_phase(Phase from, Phase to);
  void run_commit();
  bool wait_for_lock();
  void wait_for_successor();
  Life own();
  Life own_once();
  void set_serving(Store* store);
  void commit_until_stopped();
  void let_others_submit();
  void dispatch();
  void sleep(Committer::Drained drained);
  void wait_for_sync();
  void run_sync();
  void run_prepare();
  void run_checkpoints();
  void start_replication();
  void end_replication();
  void run_receiver();
  void run_acknowledger();
  void install();
  void switch_log();
  void after_finish();
  void notify_replication();
  void wake_checkpoints();
  Checkpointer::Step work_on_checkpoint(CheckpointPace& pace, uint64_t* rest_us);
  void end_helpers();
  void refuse(const Status& status);
  void wake_clients();
  bool must_let_go();
  bool life_ends();
  bool successor_waits();
  void withdraw_wish(uint32_t pid);
  bool sync_is_idle() const { return !sync_busy_.load(std::memory_order_acquire); }

  Region region_;
  const std::string path_;
  const StoreOptions options_;
  WorkerBells& bells_;
  EventLog& log_;
  UpstreamFactory* const upstreams_;

  std::atomic<bool> stopping_{false};
  std::atomic<bool> for_good_{false};  // read by the commit thread after stopping_
  std::thread commit_;

  std::unique_ptr<PosixDirectory> directory_;
  std::unique_ptr<DirectoryLock> lock_;
  std::unique_ptr<Store> store_;
  std::thread sync_;
  std::thread prepare_;
  std::thread checkpoint_;
  std::thread receiver_;
  std::thread acknowledger_;
  std::unique_ptr<Upstream> log_upstream_;  // the receiver's
  std::unique_ptr<Upstream> ack_upstream_;  // the acknowledger's

  // The hand-over to the sync thread and back.
  std::mutex mutex_;
  std::condition_variable work_;              // for the sync thread: batch_, ending_
  std::condition_variable done_;              // for the others: sync_busy_, phase_
  std::condition_variable prepare_work_;      // for the preparer: wants_preparation, ending_
  std::condition_variable replication_work_;  // for receiver and acknowledger: role, ending_
  std::optional<Bootstrap> bootstrap_;        // guarded by mutex_: waits to be put in force
  std::atomic<bool> wants_install_{false};    // bootstrap_ is there
  std::condition_variable checkpoint_work_;   // for the checkpoint thread: requests, log, ending_
  Phase phase_ = Phase::kStarting;            // guarded by mutex_
  Store* serving_ = nullptr;                  // guarded by mutex_: store_, while it commits
  Batch* batch_ = nullptr;                    // guarded by mutex_
  bool ending_ = false;                       // guarded by mutex_
  std::atomic<bool> sync_busy_{false};  // set by the commit thread, cleared by the sync thread
  // By the checkpoint thread: nothing has changed since the last checkpoint.
  std::atomic<bool> checkpoint_waits_forever_{false};
};

}  // namespace small_db
