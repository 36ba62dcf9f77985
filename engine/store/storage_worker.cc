#include "engine/store/storage_worker.h"

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

#include "engine/base/kill_point.h"
#include "engine/platform/blocked_signals.h"
#include "engine/platform/posix_file_system.h"
#include "engine/shm/doorbell.h"
#include "engine/shm/slot.h"
#include "engine/store/fault_guard.h"
#include "engine/store/storage_threads.h"
#include "engine/store/store.h"

namespace small_db {
namespace {

constexpr std::chrono::seconds kDiskFullRetry{1};
constexpr std::chrono::milliseconds kSuccessorPoll{5};

// A tenth of the processor's time where it is short; all that nobody else wants.
constexpr int kCheckpointNice = 10;
// Steps of a checkpoint between two rests: some 1 ms of work.
constexpr int kCheckpointStepsPerSpell = 16;

// A batch this small is written by the commit thread itself: waking the sync thread would cost more
// than it overlaps.
constexpr uint32_t kInlineRequestsMax = 4;
constexpr size_t kInlineBytesMax = 64 * kKiB;

StoreOptions with_helper_threads(StoreOptions options) {
  options.helper_threads = true;
  return options;
}

}  // namespace

StorageWorker::StorageWorker(Region region, std::string directory, const StoreOptions& options,
                             WorkerBells& bells, EventLog& log, UpstreamFactory* upstreams)
    : threads_(std::make_shared<Threads>(region, std::move(directory), with_helper_threads(options),
                                         bells, log, upstreams)) {}

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
  {
    // A batch that waits for backups holds the commit thread up, if that needs it done.
    const std::lock_guard<std::mutex> guard(mutex_);
    if (serving_ != nullptr) serving_->stop_waiting();
  }
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
  // Whoever let go for a successor stands in line behind it, without a wish: the successor may end
  // before this process does. It was the older of the two, then, and late with its own wish.
  while (wait_for_lock()) {
    const Life life = own();
    store_.reset();
    lock_.reset();
    if (life == Life::kRefused) return;
    wait_for_successor();
    if (!change_phase(Phase::kOwning, Phase::kWaiting)) return;
  }
}

// Until the one that asked has the lock: the kernel does not say who of those that wait gets it.
void StorageWorker::Threads::wait_for_successor() {
  const auto stopping = [&] { return stopping_.load(std::memory_order_seq_cst); };
  std::unique_lock<std::mutex> lock(mutex_);
  while (!stopping() && successor_waits()) done_.wait_for(lock, kSuccessorPoll, stopping);
}

// True: lock_ is held. False: this storage worker was stopped, or there is no lock to be had.
bool StorageWorker::Threads::wait_for_lock() {
  if (stopping_.load(std::memory_order_seq_cst)) return false;
  Result<std::unique_ptr<DirectoryLock>> lock = directory_->lock("LOCK");
  if (!change_phase(Phase::kWaiting, Phase::kOwning)) return false;
  withdraw_wish(static_cast<uint32_t>(getpid()));
  if (!lock.is_ok()) {
    refuse(lock.status());
    return false;
  }
  lock_ = std::move(lock).value();
  return true;
}

// Opens the store and commits until it has to let go. Again, when the state on disk was replaced by
// a primary's, or when a batch that waited for backups was left. REQUIRES: lock_.
StorageWorker::Threads::Life StorageWorker::Threads::own() {
  guard_against_faults(region_);
  Life life = Life::kAgain;
  while (life == Life::kAgain) life = own_once();
  if (stopping_.load(std::memory_order_seq_cst) && for_good_.load(std::memory_order_relaxed)) {
    // All that was read from the rings has its answer there: a client that sees this state, then
    // looks for answers and finds none, knows that its request was not read.
    region_.set_state(StoreState::kHandedOver, "");
    wake_clients();
  }
  end_guard(region_);
  return life;
}

StorageWorker::Threads::Life StorageWorker::Threads::own_once() {
  store_ = std::make_unique<Store>(
      region_, StoreEnvironment{*directory_, system_clock(), bells_, log_}, options_);
  if (!store_->open().is_ok()) {
    wake_clients();                                     // what they wait for will not come
    for_good_.store(false, std::memory_order_relaxed);  // the state says more
    return Life::kRefused;
  }
  set_serving(store_.get());
  ending_ = false;
  sync_ = std::thread([this] { run_sync(); });
  prepare_ = std::thread([this] { run_prepare(); });
  checkpoint_ = std::thread([this] { run_checkpoints(); });
  if (upstreams_ != nullptr) start_replication();
  commit_until_stopped();
  set_serving(nullptr);
  end_helpers();
  store_->abandon_checkpoint();
  store_->let_go();
  if (must_let_go()) return Life::kLetGo;
  if (wants_install_.load(std::memory_order_acquire)) install();
  return Life::kAgain;
}

void StorageWorker::Threads::set_serving(Store* store) {
  const std::lock_guard<std::mutex> guard(mutex_);
  serving_ = store;
  if (store != nullptr && stopping_.load(std::memory_order_seq_cst)) store->stop_waiting();
}

void StorageWorker::Threads::wake_clients() {
  for (uint32_t slot = 0; slot < region_.slot_count(); ++slot) {
    if (slot_holder(region_, slot).is_held()) bells_.ring(slot);
  }
}

bool StorageWorker::Threads::must_let_go() {
  return stopping_.load(std::memory_order_seq_cst) || successor_waits();
}

// True when this life of the store is over, whatever the next one is to be.
bool StorageWorker::Threads::life_ends() {
  return must_let_go() || wants_install_.load(std::memory_order_acquire) || store_->left_a_batch();
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
      if (drained == Committer::Drained::kMore && !store_->has_enough()) continue;
      if (store_->has_work()) {
        let_others_submit();
        dispatch();
        continue;
      }
    }
    if (drained != Committer::Drained::kMore) sleep(drained);
  } while (!life_ends());
  store_->stop_waiting();
  wait_for_sync();
  while (store_->has_work() && !store_->left_a_batch()) {
    store_->maintain();
    if (store_->has_work()) store_->finish(store_->seal());
  }
  store_->maintain();
}

// Whoever waits for this processor goes first, and that may be a worker in the middle of its turn:
// a sync takes as long for a larger batch, up to some size. Where nobody waits, nothing is lost.
void StorageWorker::Threads::let_others_submit() {
  if (store_->open_requests() <= kInlineRequestsMax || store_->has_enough()) return;
  std::this_thread::yield();
  store_->drain();
}

void StorageWorker::Threads::dispatch() {
  const bool is_small = store_->open_requests() <= kInlineRequestsMax &&
                        store_->open_batch().frame.body_bytes() <= kInlineBytesMax;
  Batch& batch = store_->seal();
  if (is_small && !store_->wants_acks()) {
    store_->finish(batch);
    after_finish();
  } else {
    sync_busy_.store(true, std::memory_order_relaxed);
    {
      const std::lock_guard<std::mutex> guard(mutex_);
      batch_ = &batch;
    }
    work_.notify_one();  // not before: who wakes here and now would find the mutex taken
  }
  if (store_->wants_preparation()) {
    const std::lock_guard<std::mutex> guard(mutex_);
    prepare_work_.notify_one();
  }
}

// Until something happens that the last drain did not see: a submission, the end of a sync,
// prepared space, a successor, the end of this life, the end of a record's time.
void StorageWorker::Threads::sleep(Committer::Drained drained) {
  SMALL_DB_KILL_POINT("owner: about to sleep");
  DoorbellWait wait(region_);
  const bool idle = sync_is_idle();
  if (life_ends() || store_->wants_log_switch()) return;
  if (idle && (store_->has_work() || store_->checkpointer().has_news())) return;
  if (idle && store_->replicated().is_asked_to_open()) return;
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
  if (store_->left_a_batch()) return;  // it waited for backups in vain: the next owner's matter
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

// After a commit, in the thread that made it, and when a checkpoint was asked for: one may be due,
// or the interval begins to run because something has changed. One that is at work is left alone,
// above all when it rests: a thread woken by each commit would take the mutex as often.
void StorageWorker::Threads::wake_checkpoints() {
  // A read that is ordered as a write: a checkpoint that ends later looks at what was committed
  // before. Pairs with Checkpointer::end.
  if (region_.header().checkpoint_runs.fetch_add(0, std::memory_order_acq_rel) != 0) return;
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
  CheckpointPace pace;
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    lock.unlock();
    if (store_->checkpoint_is_due()) store_->request_checkpoint();
    uint64_t rest_us = 0;
    const Checkpointer::Step step = work_on_checkpoint(pace, &rest_us);
    if (store_->checkpointer().has_news()) ring_doorbell(region_);
    lock.lock();
    if (step == Checkpointer::Step::kMore) {
      if (rest_us == 0) continue;
      checkpoint_work_.wait_for(lock, std::chrono::microseconds(rest_us), [&] { return ending_; });
      continue;
    }
    if (step == Checkpointer::Step::kIdle) pace = CheckpointPace();
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

// A spell of steps, without the mutex: whoever waits for this processor gets it between two of
// them, when this thread holds nothing that others need.
Checkpointer::Step StorageWorker::Threads::work_on_checkpoint(CheckpointPace& pace,
                                                              uint64_t* rest_us) {
  const uint64_t commits = region_.header().commits.load(std::memory_order_relaxed);
  const uint64_t started_us = system_clock().monotonic_us();
  const uint64_t ran_us = thread_running_us();
  Checkpointer::Step step = Checkpointer::Step::kMore;
  for (int i = 0; i < kCheckpointStepsPerSpell && step == Checkpointer::Step::kMore; ++i) {
    step = store_->checkpoint_step();
    if (pace.gives_way()) std::this_thread::yield();
  }
  if (region_.header().commits.load(std::memory_order_relaxed) != commits) {
    const uint64_t worked_us = thread_running_us() - ran_us;
    const uint64_t took_us = system_clock().monotonic_us() - started_us;
    *rest_us = pace.rest_us(worked_us, took_us - std::min(took_us, worked_us));
  }
  return step;
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
    lock.unlock();
    done_.notify_all();
    ring_doorbell(region_);
    lock.lock();
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

void StorageWorker::Threads::end_helpers() {
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    ending_ = true;
    work_.notify_one();
    prepare_work_.notify_one();
    checkpoint_work_.notify_one();
    replication_work_.notify_all();
  }
  if (upstreams_ != nullptr) end_replication();
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
