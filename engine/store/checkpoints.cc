// What the store has to do with its checkpoints: when one is due, the switch of logs, and who waits
// for it.
#include <algorithm>

#include "engine/base/kill_point.h"
#include "engine/store/store.h"

namespace small_db {
namespace {

// A backup makes a checkpoint when its log is so many times as long as a primary's would be.
constexpr uint64_t kBackupLogFactor = 16;

}  // namespace

std::shared_ptr<LogWriter> Store::shared_log() const {
  const std::lock_guard<std::mutex> guard(log_mutex_);
  return log_;
}

void Store::set_log(std::shared_ptr<LogWriter> log) {
  committer_.set_log(log.get());
  checkpointer_.set_log_generation(log->position().generation);
  region_.header().generation.store(log->position().generation, std::memory_order_relaxed);
  // The wish belongs to the former log's offsets.
  committer_.forget_log_wish();
  log_used_end_.store(log->reserved_end(), std::memory_order_release);
  const std::lock_guard<std::mutex> guard(log_mutex_);
  log_ = std::move(log);
}

void Store::switch_log() {
  if (has_unhandled_failure()) go_read_only();
  const std::optional<LogEnd> next = checkpointer_.take_new_log();
  if (!next) return;
  const bool heals = failed_.load(std::memory_order_acquire);
  Status status = heals ? Status::ok() : committer_.write_seal_frame();
  const bool untouched = status.code() == Code::kNoDiskSpace;
  SMALL_DB_KILL_POINT("switch: log sealed");
  if (status.is_ok()) status = start_next_log(*next, heals);
  // A log that is sealed takes no more: without the next one writing ends here.
  if (!status.is_ok() && !untouched) note_failure(status);
  checkpointer_.switched(status);
}

// heals: the active log is given up where it was last known durable, whatever stands behind.
Status Store::start_next_log(LogEnd next, bool heals) {
  const LogFilePosition end = log_->durable_position();
  next.start_missing = true;
  next.start_heals = heals;
  next.last_revision = committer_.durable_revision();
  next.previous = {end.generation, next.last_revision, end.chain};
  LogOptions options;
  options.prepare_step_bytes = options_.log_prepare_step_bytes;
  Result<std::unique_ptr<LogWriter>> log = LogWriter::open(
      environment_.directory, next, committer_.epoch(), environment_.clock.wall_ms(), options);
  if (!log.is_ok()) return log.status();
  set_log(std::move(log).value());
  if (heals) clear_failure();
  SMALL_DB_KILL_POINT("switch: next log started");
  committer_.publish_log_position();
  return Status::ok();
}

void Store::serve_checkpoint_requests() {
  // A result first: it is not for those who ask only now.
  if (const std::optional<Status> result = checkpointer_.take_result()) {
    awaits_checkpoint_ = false;  // if it failed, those who ask later try again
    if (refusing_) judge_healing(*result);
    answer_checkpoint_waiters(result->code());
    // The interval tries again; but what an I/O failure has stopped waits for a person.
    const bool tries_again = !refusing_ || result->code() == Code::kNoDiskSpace;
    if (!result->is_ok() && tries_again)
      checkpointed_operations_.fetch_sub(1, std::memory_order_relaxed);
  }
  const std::vector<KeptRequest> requests = committer_.take_checkpoint_requests();
  if (requests.empty()) return;
  request_checkpoint();
  checkpoint_waiters_.insert(checkpoint_waiters_.end(), requests.begin(), requests.end());
}

void Store::answer_checkpoint_waiters(Code code) {
  committer_.answer_kept(checkpoint_waiters_, code, 0, batches_[open_batch_]);
  checkpoint_waiters_.clear();
}

void Store::request_checkpoint() {
  const RegionHeader& header = region_.header();
  checkpointed_operations_.store(header.operations.load(std::memory_order_relaxed),
                                 std::memory_order_relaxed);
  checkpointed_log_bytes_.store(header.log_bytes.load(std::memory_order_relaxed),
                                std::memory_order_relaxed);
  checkpointed_us_.store(environment_.clock.monotonic_us(), std::memory_order_relaxed);
  checkpointer_.request();
}

bool Store::checkpoint_is_due() const {
  const RegionHeader& header = region_.header();
  const uint64_t operations = header.operations.load(std::memory_order_relaxed);
  const uint64_t log_bytes = header.log_bytes.load(std::memory_order_relaxed);
  const uint64_t new_operations =
      operations - checkpointed_operations_.load(std::memory_order_relaxed);
  const uint64_t new_bytes = log_bytes - checkpointed_log_bytes_.load(std::memory_order_relaxed);
  // A backup's processor is for its primary's log; but no log may grow for ever.
  if (role() == Role::kBackup) {
    return options_.checkpoint_log_bytes != 0 &&
           new_bytes >= kBackupLogFactor * options_.checkpoint_log_bytes;
  }
  return new_operations != 0 &&
         ((options_.checkpoint_log_bytes != 0 && new_bytes >= options_.checkpoint_log_bytes) ||
          (options_.checkpoint_updates != 0 && new_operations >= options_.checkpoint_updates) ||
          environment_.clock.monotonic_us() >= next_checkpoint_us());
}

uint64_t Store::next_checkpoint_us() const {
  const bool changed = region_.header().operations.load(std::memory_order_relaxed) !=
                       checkpointed_operations_.load(std::memory_order_relaxed);
  if (!changed || options_.checkpoint_interval_us == 0 || role() == Role::kBackup) {
    return UINT64_MAX;
  }
  return checkpointed_us_.load(std::memory_order_relaxed) + options_.checkpoint_interval_us;
}

}  // namespace small_db
