#include "engine/store/store.h"

#include <algorithm>

namespace small_db {
namespace {

CommitterOptions committer_options(const StoreOptions& options) {
  CommitterOptions result;
  result.batch_bytes_max = options.batch_bytes_max;
  result.batch_requests_max = options.batch_requests_max;
  result.log_reserve_bytes = options.log_reserve_bytes;
  return result;
}

}  // namespace

Store::Store(Region region, const StoreEnvironment& environment, const StoreOptions& options)
    : region_(region),
      environment_(environment),
      options_(options),
      table_(region),
      checkpointer_(region, environment.directory, environment.clock, environment.log, options),
      committer_(region, table_, environment.bells, environment.clock, committer_options(options)) {
}

Batch& Store::seal() {
  Batch& batch = batches_[open_batch_];
  committer_.seal(batch);
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
}

void Store::note_failure(const Status& status) {
  if (failing_.exchange(true, std::memory_order_relaxed)) return;
  failure_ = status;
  failed_.store(true, std::memory_order_release);  // pairs with the acquire in maintain
}

bool Store::maintain() {
  if (!refusing_ && failed_.load(std::memory_order_acquire)) {
    go_read_only();
    return true;
  }
  serve_checkpoint_requests();
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

void Store::go_read_only() {
  refusing_ = true;
  const std::string reason =
      "the log could not be written: " + failure_.text() +
      ". Reads go on, writes are refused. Check the disk, then restart nginx: recovery "
      "reads the log again.";
  tell(Severity::kError, reason);
  region_.set_state(StoreState::kReadOnly, reason);
  const Status status = committer_.refuse_writes(batches_[open_batch_], Code::kReadOnly);
  if (!status.is_ok()) refuse(status, Refusal());
}

void Store::write_idle_frame() {
  if (!wants_idle_frame()) return;
  idle_wanted_ = false;
  const Status status = committer_.write_idle_frame();
  log_used_end_.store(log_->reserved_end(), std::memory_order_release);
  if (!status.is_ok()) note_failure(status);
}

bool Store::log_space_decided() const noexcept {
  return committer_.disk_full() || failed_.load(std::memory_order_acquire) ||
         log_->space().prepared_end() >= committer_.log_end_wanted();
}

bool Store::wants_preparation() const noexcept {
  const uint64_t used = log_used_end_.load(std::memory_order_acquire);
  const uint64_t prepared = shared_log()->space().prepared_end();
  return prepared < used + options_.log_ahead_bytes / 2 || prepared < committer_.log_end_wanted();
}

Store::Prepared Store::prepare() {
  const uint64_t used = log_used_end_.load(std::memory_order_acquire);
  const uint64_t wanted = std::max(used + options_.log_ahead_bytes, committer_.log_end_wanted());
  const std::shared_ptr<LogWriter> log = shared_log();
  const Result<bool> more = log->space().prepare_step(wanted);
  if (more.is_ok()) {
    if (disk_full_) tell(Severity::kNotice, "the disk has space again: writes go on");
    disk_full_ = false;
    committer_.set_disk_full(false);
    return more.value() ? Prepared::kMore : Prepared::kEnough;
  }
  if (more.status().code() != Code::kNoDiskSpace) {
    note_failure(more.status());
    return Prepared::kFailed;
  }
  if (!disk_full_) {
    tell(Severity::kError,
         "the disk is full: writes that need more log are refused, deletes go on; " +
             more.status().text());
  }
  disk_full_ = true;
  committer_.set_disk_full(true);
  return Prepared::kNoSpace;
}

void Store::let_go() {
  // Their requests are not in the rings any more: the next owner would not know of them.
  serve_checkpoint_requests();
  answer_checkpoint_waiters(Code::kOutcomeUnknown);
  if (has_work()) finish(seal());
  write_idle_frame();
  region_.header().owner_pid.store(0, std::memory_order_release);
}

}  // namespace small_db
