#include "engine/store/store.h"

#include <algorithm>

#include "engine/base/kill_point.h"

namespace small_db {
namespace {

CommitterOptions committer_options(const StoreOptions& options, EventLog& log) {
  CommitterOptions result;
  result.batch_bytes_max = options.batch_bytes_max;
  result.drain_bytes = options.drain_bytes;
  result.batch_requests_max = options.batch_requests_max;
  result.log_reserve_bytes = options.log_reserve_bytes;
  result.acks_required = options.replication.acks_required;
  result.ack_timeout_us = options.replication.ack_timeout_us;
  result.degrade = options.replication.degrade;
  result.log = &log;
  return result;
}

}  // namespace

Store::Store(Region region, const StoreEnvironment& environment, const StoreOptions& options)
    : region_(region),
      environment_(environment),
      options_(options),
      table_(region),
      checkpointer_(region, environment.directory, environment.clock, environment.log, options),
      committer_(region, table_, environment.bells, environment.clock,
                 committer_options(options, environment.log)) {}

Committer::Drained Store::drain() {
  if (awaits_checkpoint_) return Committer::Drained::kAll;
  return committer_.drain(batches_[open_batch_]);
}

Batch& Store::seal() {
  Batch& batch = batches_[open_batch_];
  committer_.seal(batch);
  if (pages_) pages_->reached(table_.reach_bytes());
  if (batch.has_frame()) idle_wanted_ = true;
  // Pairs with the acquire in prepare.
  log_used_end_.store(log_->reserved_end(), std::memory_order_release);
  open_batch_ ^= 1;
  batches_[open_batch_].reset(committer_.revision() + 1, log_->seed());
  return batch;
}

void Store::finish(Batch& batch) {
  const Status status = committer_.finish(batch);
  if (!status.is_ok()) note_failure(status);
  ReplicationState& replication = region_.replication();
  const uint64_t visible = region_.header().revision.load(std::memory_order_relaxed);
  if (visible >= replication.primary_revision.load(std::memory_order_relaxed)) {
    replication.behind_since_ms.store(0, std::memory_order_relaxed);
  }
}

bool Store::maintain() {
  if (has_unhandled_failure()) {
    go_read_only();
    return true;
  }
  serve_checkpoint_requests();
  if (maintain_replication()) return true;
  return sweep();
}

// Frees the slots of processes that are gone, but for those that the open batch names.
bool Store::sweep() {
  RegionHeader& header = region_.header();
  if (header.sweep_wanted.load(std::memory_order_relaxed) == 0 || has_work()) return false;
  header.sweep_wanted.store(0, std::memory_order_seq_cst);
  sweep_dead_slots(region_);
  committer_.drop_orphaned_streams();
  return true;
}

void Store::write_idle_frame() {
  if (!wants_idle_frame()) return;
  idle_wanted_ = false;
  const Status status = committer_.write_idle_frame();
  log_used_end_.store(log_->reserved_end(), std::memory_order_release);
  if (!status.is_ok()) note_failure(status);
}

uint64_t Store::removal_wait_us() const {
  const uint64_t due_ms = committer_.next_removal_ms();
  if (due_ms == UINT64_MAX) return UINT64_MAX;
  const uint64_t now_ms = environment_.clock.wall_ms();
  return due_ms <= now_ms ? 0 : (due_ms - now_ms) * 1000;
}

bool Store::log_space_decided() const noexcept {
  return committer_.disk_full() || failed_.load(std::memory_order_acquire) ||
         log_->space().prepared_end() >= committer_.log_end_wanted();
}

bool Store::wants_preparation() const noexcept {
  const uint64_t used = log_used_end_.load(std::memory_order_acquire);
  const std::shared_ptr<LogWriter> log = shared_log();
  if (log->space().failed()) return false;
  const uint64_t prepared = log->space().prepared_end();
  return prepared < used + options_.log_ahead_bytes / 2 || prepared < committer_.log_end_wanted();
}

Store::Prepared Store::prepare() {
  const uint64_t used = log_used_end_.load(std::memory_order_acquire);
  const uint64_t wanted = std::max(used + options_.log_ahead_bytes, committer_.log_end_wanted());
  const std::shared_ptr<LogWriter> log = shared_log();
  // The log before is in no use any more: its space first, the disk may have no other.
  if (prepared_log_ != nullptr && prepared_log_ != log) prepared_log_->release_unused();
  prepared_log_ = log;
  log->space().bypass_cache(!log_is_watched(region_));  // as the frames that will stand there
  const Result<bool> more = log->space().prepare_step(wanted);
  if (more.is_ok()) {
    set_disk_has_space();
    return more.value() ? Prepared::kMore : Prepared::kEnough;
  }
  if (more.status().code() == Code::kNoDiskSpace) {
    set_disk_full(more.status());
    return Prepared::kNoSpace;
  }
  // Of a log that was left meanwhile it is no matter.
  const std::lock_guard<std::mutex> guard(log_mutex_);
  if (log == log_) note_failure(more.status());
  return Prepared::kFailed;
}

void Store::set_disk_full(const Status& status) {
  committer_.set_disk_full(true);
  if (region_.header().disk_full.exchange(1, std::memory_order_relaxed) != 0) return;
  tell(Severity::kError,
       "the disk is full: writes that need more log are refused, deletes go on as far as the "
       "reserve lasts; " +
           status.text());
}

void Store::set_disk_has_space() {
  committer_.set_disk_full(false);
  if (region_.header().disk_full.exchange(0, std::memory_order_relaxed) == 0) return;
  tell(Severity::kNotice, "the disk has space again: writes go on");
}

void Store::let_go() {
  // Their requests are not in the rings any more: the next owner would not know of them.
  serve_checkpoint_requests();
  answer_checkpoint_waiters(Code::kOutcomeUnknown);
  if (has_work() && !committer_.left_a_batch()) finish(seal());
  if (!committer_.left_a_batch()) write_idle_frame();
  SMALL_DB_KILL_POINT("owner: about to let go");
  region_.header().owner_pid.store(0, std::memory_order_release);
}

}  // namespace small_db
