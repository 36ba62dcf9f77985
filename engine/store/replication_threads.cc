// The threads that follow a primary, and what becomes of its checkpoint.
#include <chrono>
#include <utility>

#include "engine/base/kill_point.h"
#include "engine/shm/doorbell.h"
#include "engine/store/storage_threads.h"

namespace small_db {
namespace {

constexpr std::chrono::seconds kAckEvery{1};

}  // namespace

void StorageWorker::Threads::start_replication() {
  log_upstream_ = upstreams_->make();
  ack_upstream_ = upstreams_->make();
  receiver_ = std::thread([this] { run_receiver(); });
  acknowledger_ = std::thread([this] { run_acknowledger(); });
}

// REQUIRES: ending_ is set.
void StorageWorker::Threads::end_replication() {
  log_upstream_->interrupt();
  ack_upstream_->interrupt();
  store_->replicated().close();
  receiver_.join();
  acknowledger_.join();
}

void StorageWorker::Threads::notify_replication() {
  if (upstreams_ == nullptr) return;
  const std::lock_guard<std::mutex> guard(mutex_);
  replication_work_.notify_all();
}

// While this node is a backup; else it waits for that.
void StorageWorker::Threads::run_receiver() {
  Follower follower(region_, *directory_, system_clock(), log_, *log_upstream_,
                    store_->replicated(), *store_);
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_ && !wants_install_.load(std::memory_order_relaxed)) {
    const auto follows = [&] {
      return store_->role() == Role::kBackup && !store_->following_stopped();
    };
    if (!follows()) {
      follower.rest();
      replication_work_.wait(lock, [&] { return ending_ || follows(); });
      continue;
    }
    store_->replicated().ask_to_open();
    ring_doorbell(region_);
    SMALL_DB_KILL_POINT("receiver: waits to connect");
    // Opened, and maybe closed again since: then it is asked for once more.
    replication_work_.wait(lock,
                           [&] { return ending_ || !store_->replicated().is_asked_to_open(); });
    if (ending_ || !follows()) continue;
    lock.unlock();
    const Follower::Next next = follower.follow();
    lock.lock();
    if (next == Follower::Next::kInstall) {
      bootstrap_ = follower.bootstrap();
      wants_install_.store(true, std::memory_order_release);
      ring_doorbell(region_);
      SMALL_DB_KILL_POINT("receiver: bootstrap ready");
    } else if (next == Follower::Next::kLater) {
      replication_work_.wait_for(lock, std::chrono::microseconds(follower.pause_us()),
                                 [&] { return ending_; });
    }
  }
}

// Tells the primary what is on disk here: at once when that grew, and now and then that this node
// lives. One that was promoted tells the primary that it set aside.
void StorageWorker::Threads::run_acknowledger() {
  std::optional<FollowerProgress> told = FollowerProgress();  // nothing: it did not arrive
  std::unique_lock<std::mutex> lock(mutex_);
  while (!ending_) {
    const auto news = [&] {
      return ending_ ||
             (told && store_->is_following() && store_->progress().flushed != told->flushed);
    };
    replication_work_.wait_for(lock, kAckEvery, news);
    if (ending_) return;
    if (!store_->is_following() && !store_->has_set_aside()) continue;
    lock.unlock();
    told = store_->acknowledge(*ack_upstream_);
    lock.lock();
  }
}

// Puts the primary's checkpoint in force, between two lives of the store. What fails leaves the
// state that was there.
void StorageWorker::Threads::install() {
  const Bootstrap bootstrap = *std::exchange(bootstrap_, std::nullopt);
  wants_install_.store(false, std::memory_order_relaxed);
  if (store_->role() != Role::kBackup) return;
  std::string saved_as;
  // What is in memory is the old state: whoever comes next loads what is in force on disk, also
  // when this process is killed before it knows the outcome.
  region_.header().distrust.store(1, std::memory_order_release);
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
    return;
  }
  SMALL_DB_KILL_POINT("install: bootstrap in force");
  region_.replication().bootstraps.fetch_add(1, std::memory_order_relaxed);
  log_.write(Severity::kNotice, "took the primary's checkpoint");
}

}  // namespace small_db
