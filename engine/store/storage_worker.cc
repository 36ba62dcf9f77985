#include "engine/store/storage_worker.h"

#include <pthread.h>
#include <signal.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <optional>
#include <thread>
#include <utility>

#include "engine/platform/posix_file_system.h"
#include "engine/shm/doorbell.h"
#include "engine/shm/slot.h"
#include "engine/store/fault_guard.h"
#include "engine/store/store.h"

namespace small_db {
namespace {

constexpr std::chrono::seconds kDiskFullRetry{1};
constexpr std::chrono::seconds kAckEvery{1};

// A tenth of the processor's time where it is short; all that nobody else wants.
constexpr int kCheckpointNice = 10;
// While others commit, a checkpoint works for one part of the time and rests for so many.
constexpr uint64_t kRestPerStep = 4;
constexpr uint64_t kRestMaxUs = 100'000;

// A batch this small is written by the commit thread itself: waking the sync thread would cost more
// than it overlaps.
constexpr uint32_t kInlineRequestsMax = 4;

StoreOptions with_read_ahead(StoreOptions options) {
  options.checkpoint_read_ahead = true;
  return options;
}

// Threads are made with all signals blocked: they are for the process's own thread.
class BlockedSignals {
 public:
  BlockedSignals() {
    sigset_t all;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before_);
  }
  ~BlockedSignals() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  BlockedSignals(const BlockedSignals&) = delete;
  BlockedSignals& operator=(const BlockedSignals&) = delete;

 private:
  sigset_t before_;
};

}  // namespace

// The three threads and what they share. The commit thread keeps it alive: one that waits in the
// kernel for the directory's lock can't be joined, and may outlive its StorageWorker.
struct StorageWorker::Threads : std::enable_shared_from_this<StorageWorker::Threads> {
  Threads(Region region, std::string directory, const StoreOptions& options, WorkerBells& bells,
          EventLog& log, UpstreamFactory* upstreams)
      : region_(region),
        path_(std::move(directory)),
        options_(with_read_ahead(options)),
        bells_(bells),
        log_(log),
        upstreams_(upstreams) {}

  void start();
  void stop(Ending ending);

 private:
  // starting ──▶ waiting ──▶ owning: the commit thread waits for the lock; it has the lock
  //                 └──────▶ stopped: stop() came first
  enum class Phase : uint8_t { kStarting, kWaiting, kOwning, kStopped };

  bool change_phase(Phase from, Phase to);
  void run_commit();
  void own();
  bool own_once();
  void commit_until_stopped();
  void dispatch();
  void sleep(Committer::Drained drained);
  void wait_for_sync();
  void run_sync();
  void run_prepare();
  void run_checkpoints();
  void run_receiver();
  void run_acknowledger();
  bool install();
  void switch_log();
  void after_finish();
  void notify_replication();
  void wake_checkpoints();
  void rest_from_checkpoint(std::unique_lock<std::mutex>& lock, uint64_t step_us);
  void end_helpers();
  void refuse(const Status& status);
  void wake_clients();
  bool must_let_go();
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
  Batch* batch_ = nullptr;                    // guarded by mutex_
  bool ending_ = false;                       // guarded by mutex_
  std::atomic<bool> sync_busy_{false};  // set by the commit thread, cleared by the sync thread
  // By the checkpoint thread: nothing has changed since the last checkpoint.
  std::atomic<bool> checkpoint_waits_forever_{false};
};

StorageWorker::StorageWorker(Region region, std::string directory, const StoreOptions& options,
                             WorkerBells& bells, EventLog& log, UpstreamFactory* upstreams)
    : threads_(std::make_shared<Threads>(region, std::move(directory), options, bells, log,
                                         upstreams)) {}

StorageWorker::~StorageWorker() { stop(); }

void StorageWorker::start() { threads_->start(); }

void StorageWorker::stop(Ending ending) {
  if (threads_ == nullptr) return;
  threads_->stop(ending);
  threads_.reset();
}

void StorageWorker::Threads::start() {
  const BlockedSignals blocked;
  commit_ = std::thread([self = shared_from_this()] { self->run_commit(); });
}

void StorageWorker::Threads::stop(Ending ending) {
  if (!commit_.joinable()) return;
  for_good_.store(ending == Ending::kForGood, std::memory_order_relaxed);
  stopping_.store(true, std::memory_order_seq_cst);
  {
    std::unique_lock<std::mutex> lock(mutex_);
    done_.wait(lock, [&] { return phase_ != Phase::kStarting; });
  }
  // Nothing but the kernel's lock holds it: it touches nothing any more when it gets that.
  if (change_phase(Phase::kWaiting, Phase::kStopped)) {
    withdraw_wish(static_cast<uint32_t>(getpid()));
    return commit_.detach();
  }
  ring_doorbell(region_);
  commit_.join();
}

bool StorageWorker::Threads::change_phase(Phase from, Phase to) {
  const std::lock_guard<std::mutex> guard(mutex_);
  if (phase_ != from) return false;
  phase_ = to;
  done_.notify_all();
  return true;
}

void StorageWorker::Threads::run_commit() {
  Result<std::unique_ptr<PosixDirectory>> directory = PosixDirectory::open(path_);
  if (!directory.is_ok()) {
    refuse(directory.status());
    change_phase(Phase::kStarting, Phase::kOwning);  // to be joined
    return;
  }
  directory_ = std::move(directory).value();
  // Asks an owner that lives to let go; the kernel says when it did, or died.
  region_.header().handover_wanted.store(static_cast<uint32_t>(getpid()),
                                         std::memory_order_seq_cst);
  ring_doorbell(region_);
  change_phase(Phase::kStarting, Phase::kWaiting);
  Result<std::unique_ptr<DirectoryLock>> lock = directory_->lock("LOCK");
  if (!change_phase(Phase::kWaiting, Phase::kOwning)) return;
  withdraw_wish(static_cast<uint32_t>(getpid()));
  if (!lock.is_ok()) return refuse(lock.status());
  own();
}

// With the lock held, which the caller lets go afterwards. Again, when the state on disk was
// replaced by a primary's, or when a batch that waited for backups was left.
void StorageWorker::Threads::own() {
  guard_against_faults(region_);
  while (own_once()) {
  }
  if (stopping_.load(std::memory_order_seq_cst) && for_good_.load(std::memory_order_relaxed)) {
    // All that was read from the rings has its answer there: a client that sees this state, then
    // looks for answers and finds none, knows that its request was not read.
    region_.set_state(StoreState::kHandedOver, "");
    wake_clients();
  }
  end_guard(region_);
}

// True: once more.
bool StorageWorker::Threads::own_once() {
  store_ = std::make_unique<Store>(
      region_, StoreEnvironment{*directory_, system_clock(), bells_, log_}, options_);
  if (!store_->open().is_ok()) {
    wake_clients();                                     // what they wait for will not come
    for_good_.store(false, std::memory_order_relaxed);  // the state says more
    return false;
  }
  ending_ = false;
  sync_ = std::thread([this] { run_sync(); });
  prepare_ = std::thread([this] { run_prepare(); });
  checkpoint_ = std::thread([this] { run_checkpoints(); });
  if (upstreams_ != nullptr) {
    log_upstream_ = upstreams_->make();
    ack_upstream_ = upstreams_->make();
    receiver_ = std::thread([this] { run_receiver(); });
    acknowledger_ = std::thread([this] { run_acknowledger(); });
  }
  commit_until_stopped();
  end_helpers();
  store_->abandon_checkpoint();
  store_->let_go();
  if (must_let_go()) return false;
  return wants_install_.load(std::memory_order_acquire) ? install() : true;
}

// Puts the primary's checkpoint in force, between two lives of the store. What fails leaves the
// state that was there.
bool StorageWorker::Threads::install() {
  const Bootstrap bootstrap = *std::exchange(bootstrap_, std::nullopt);
  wants_install_.store(false, std::memory_order_relaxed);
  if (store_->role() != Role::kBackup) return true;
  std::string saved_as;
  const Status status =
      install_bootstrap(*directory_, bootstrap, system_clock().wall_ms(), &saved_as);
  if (!saved_as.empty()) {
    log_.write(Severity::kError,
               "this node held writes after revision " + std::to_string(bootstrap.common_revision) +
                   " that its primary does not have; they are saved in " + saved_as);
  }
  if (!status.is_ok()) {
    log_.write(Severity::kError,
               "the primary's checkpoint can't be put in force: " + status.text());
    return true;
  }
  region_.replication().bootstraps.fetch_add(1, std::memory_order_relaxed);
  log_.write(Severity::kNotice, "took the primary's checkpoint");
  region_.header().distrust.store(1,
                                  std::memory_order_release);  // what is in memory is the old state
  return true;
}

void StorageWorker::Threads::wake_clients() {
  for (uint32_t slot = 0; slot < region_.slot_count(); ++slot) {
    if (slot_holder(region_, slot).is_held()) bells_.ring(slot);
  }
}

bool StorageWorker::Threads::must_let_go() {
  return stopping_.load(std::memory_order_seq_cst) || successor_waits();
}

bool StorageWorker::Threads::successor_waits() {
  const uint32_t successor = region_.header().handover_wanted.load(std::memory_order_seq_cst);
  if (successor == 0 || successor == static_cast<uint32_t>(getpid())) return false;
  if (holder_lives(SlotHolder{successor, 0}, 0)) return true;
  withdraw_wish(successor);  // it died while it waited: nobody would come
  return false;
}

// Of one process alone: another may have asked since, and still waits for the lock.
void StorageWorker::Threads::withdraw_wish(uint32_t pid) {
  region_.header().handover_wanted.compare_exchange_strong(pid, 0, std::memory_order_seq_cst);
}

void StorageWorker::Threads::commit_until_stopped() {
  do {  // once at least: owners in quick succession must get something done, too
    if (store_->wants_log_switch()) switch_log();
    const Committer::Drained drained = store_->drain();
    if (sync_is_idle()) {
      if (store_->maintain()) {
        notify_replication();  // the role may be another
        continue;
      }
      if (store_->checkpointer().is_requested()) wake_checkpoints();
      if (store_->has_work()) {
        dispatch();
        continue;
      }
    }
    sleep(drained);
  } while (!must_let_go() && !wants_install_.load(std::memory_order_acquire) &&
           !store_->left_a_batch());
  store_->stop_waiting();
  wait_for_sync();
  while (store_->has_work() && !store_->left_a_batch()) {
    store_->maintain();
    if (store_->has_work()) store_->finish(store_->seal());
  }
  store_->maintain();
}

void StorageWorker::Threads::dispatch() {
  const uint32_t requests = store_->open_requests();
  Batch& batch = store_->seal();
  if (requests <= kInlineRequestsMax && !store_->wants_acks()) {
    store_->finish(batch);
    after_finish();
  } else {
    sync_busy_.store(true, std::memory_order_relaxed);
    const std::lock_guard<std::mutex> guard(mutex_);
    batch_ = &batch;
    work_.notify_one();
  }
  if (store_->wants_preparation()) {
    const std::lock_guard<std::mutex> guard(mutex_);
    prepare_work_.notify_one();
  }
}

// Until something happens that the last drain did not see: a submission, the end of a sync,
// prepared space, a successor, the end of a record's time.
void StorageWorker::Threads::sleep(Committer::Drained drained) {
  DoorbellWait wait(region_);
  const bool idle = sync_is_idle();
  if (must_let_go() || store_->wants_log_switch()) return;
  if (idle && (store_->has_work() || store_->checkpointer().has_news())) return;
  if (drained == Committer::Drained::kAll && store_->ready()) return;
  if (drained == Committer::Drained::kFull && idle) return;
  if (drained == Committer::Drained::kNoSpace) {
    if (store_->log_space_decided()) return;
    const std::lock_guard<std::mutex> guard(mutex_);
    prepare_work_.notify_one();
  }
  const uint64_t removal_us = idle ? store_->removal_wait_us() : UINT64_MAX;
  if (removal_us == 0) return;
  const bool idle_frame =
      idle && store_->wants_idle_frame() && options_.idle_frame_after_us <= removal_us;
  const bool rung = wait.sleep(idle_frame ? options_.idle_frame_after_us : removal_us);
  if (!rung && idle_frame) store_->write_idle_frame();
}

// Under load there is always a batch in sync or one open: the switch takes a moment without either.
void StorageWorker::Threads::switch_log() {
  wait_for_sync();
  if (store_->has_work()) store_->finish(store_->seal());
  store_->switch_log();
  const std::lock_guard<std::mutex> guard(mutex_);
  checkpoint_work_.notify_one();
  prepare_work_.notify_one();
}

// In the thread that made a commit.
void StorageWorker::Threads::after_finish() {
  wake_checkpoints();
  notify_replication();  // there is something to acknowledge
}

void StorageWorker::Threads::notify_replication() {
  if (upstreams_ == nullptr) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  replication_work_.notify_all();
}

// After a commit, in the thread that made it, and when a checkpoint was asked for: one may be due,
// or the interval begins to run because something has changed.
void StorageWorker::Threads::wake_checkpoints() {
  if (!store_->checkpointer().is_requested()) {
    if (store_->checkpoint_is_due()) {
      store_->request_checkpoint();
    } else if (!checkpoint_waits_forever_.load(std::memory_order_relaxed) ||
               store_->next_checkpoint_us() == UINT64_MAX) {
      return;
    }
  }
  const std::lock_guard<std::mutex> guard(mutex_);
  checkpoint_work_.notify_one();
}

void StorageWorker::Threads::run_checkpoints() {
  // Of this thread alone: what commits needs goes first. A failure is no harm.
  (void)setpriority(PRIO_PROCESS, 0, kCheckpointNice);
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    lock.unlock();
    if (store_->checkpoint_is_due()) store_->request_checkpoint();
    const uint64_t commits = region_.header().commits.load(std::memory_order_relaxed);
    const uint64_t started_us = system_clock().monotonic_us();
    const Checkpointer::Step step = store_->checkpoint_step();
    if (store_->checkpointer().has_news()) ring_doorbell(region_);
    const bool others_commit = region_.header().commits.load(std::memory_order_relaxed) != commits;
    const uint64_t step_us = system_clock().monotonic_us() - started_us;
    lock.lock();
    if (step == Checkpointer::Step::kMore) {
      if (others_commit) rest_from_checkpoint(lock, step_us);
      continue;
    }
    if (step == Checkpointer::Step::kWaits) {
      checkpoint_work_.wait(lock,
                            [&] { return ending_ || !store_->checkpointer().awaits_switch(); });
      continue;
    }
    const uint64_t due_us = store_->next_checkpoint_us();
    const auto asked = [&] { return ending_ || store_->checkpointer().is_requested(); };
    if (due_us == UINT64_MAX) {
      checkpoint_waits_forever_.store(true, std::memory_order_relaxed);
      checkpoint_work_.wait(lock,
                            [&] { return asked() || store_->next_checkpoint_us() != UINT64_MAX; });
      checkpoint_waits_forever_.store(false, std::memory_order_relaxed);
    } else {
      const uint64_t now_us = system_clock().monotonic_us();
      const std::chrono::microseconds rest(due_us > now_us ? due_us - now_us : 0);
      checkpoint_work_.wait_for(lock, rest, asked);
    }
  }
}

// A step keeps processor, disk and memory bus from those who commit: they get the greater part of
// the time.
void StorageWorker::Threads::rest_from_checkpoint(std::unique_lock<std::mutex>& lock,
                                                  uint64_t step_us) {
  const std::chrono::microseconds rest(std::min(step_us * kRestPerStep, kRestMaxUs));
  checkpoint_work_.wait_for(lock, rest, [&] { return ending_; });
}

void StorageWorker::Threads::wait_for_sync() {
  std::unique_lock<std::mutex> lock(mutex_);
  done_.wait(lock, [&] { return sync_is_idle(); });
}

void StorageWorker::Threads::run_sync() {
  std::unique_lock<std::mutex> lock(mutex_);
  for (;;) {
    work_.wait(lock, [&] { return batch_ != nullptr || ending_; });
    if (batch_ == nullptr) return;
    Batch& batch = *std::exchange(batch_, nullptr);
    lock.unlock();
    store_->finish(batch);
    after_finish();
    lock.lock();
    sync_busy_.store(false, std::memory_order_release);  // pairs with sync_is_idle
    done_.notify_all();
    ring_doorbell(region_);
  }
}

void StorageWorker::Threads::run_prepare() {
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    lock.unlock();
    Store::Prepared prepared = Store::Prepared::kEnough;
    if (store_->wants_preparation()) {
      do {
        prepared = store_->prepare();
        ring_doorbell(region_);
      } while (prepared == Store::Prepared::kMore && !stopping_.load(std::memory_order_relaxed));
    }
    lock.lock();
    if (prepared == Store::Prepared::kNoSpace) {
      prepare_work_.wait_for(lock, kDiskFullRetry, [&] { return ending_; });
    } else {
      prepare_work_.wait(lock, [&] { return ending_ || store_->wants_preparation(); });
    }
  }
}

// While this node is a backup; else it waits for that.
void StorageWorker::Threads::run_receiver() {
  Follower follower(region_, *directory_, system_clock(), log_, *log_upstream_,
                    store_->replicated(), *store_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_ && !wants_install_.load(std::memory_order_relaxed)) {
    if (store_->role() != Role::kBackup) {
      replication_work_.wait(lock, [&] { return ending_ || store_->role() == Role::kBackup; });
      continue;
    }
    lock.unlock();
    store_->replicated().open();
    const Follower::Next next = follower.follow();
    lock.lock();
    if (next == Follower::Next::kInstall) {
      bootstrap_ = follower.bootstrap();
      wants_install_.store(true, std::memory_order_release);
      ring_doorbell(region_);
    } else if (next == Follower::Next::kLater) {
      replication_work_.wait_for(lock, std::chrono::microseconds(follower.pause_us()),
                                 [&] { return ending_; });
    }
  }
}

// Tells the primary what is on disk here: at once when that grew, and now and then that this node
// lives. One that was promoted tells the primary that it set aside.
void StorageWorker::Threads::run_acknowledger() {
  FollowerProgress told;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    const bool failed = told.flushed == 0;  // it is tried again after a while
    const auto news = [&] {
      return ending_ ||
             (!failed && store_->is_following() && store_->progress().flushed != told.flushed);
    };
    replication_work_.wait_for(lock, kAckEvery, news);
    if (ending_) return;
    if (!store_->is_following() && !store_->has_set_aside()) continue;
    lock.unlock();
    told = store_->acknowledge(*ack_upstream_);
    lock.lock();
  }
}

void StorageWorker::Threads::end_helpers() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    ending_ = true;
    work_.notify_one();
    prepare_work_.notify_one();
    checkpoint_work_.notify_one();
    replication_work_.notify_all();
  }
  if (upstreams_ != nullptr) {
    log_upstream_->interrupt();
    ack_upstream_->interrupt();
    store_->replicated().close();
    receiver_.join();
    acknowledger_.join();
  }
  sync_.join();
  prepare_.join();
  checkpoint_.join();
}

void StorageWorker::Threads::refuse(const Status& status) {
  const std::string reason = path_ + ": " + status.text();
  log_.write(Severity::kError, "refusing to serve: " + reason);
  // Another owner may still be at work on the region: what it serves goes on.
  const uint32_t owner = region_.header().owner_pid.load(std::memory_order_acquire);
  if (owner == 0 || owner == static_cast<uint32_t>(getpid())) {
    region_.set_state(StoreState::kRefused, reason);
  }
}

}  // namespace small_db
