#include "engine/committer/committer.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/base/kill_point.h"
#include "engine/shm/completion_ring.h"
#include "engine/shm/slot.h"

namespace small_db {

Committer::Committer(Region region, Table& table, WorkerBells& bells, Clock& clock,
                     const CommitterOptions& options)
    : region_(region),
      table_(table),
      bells_(bells),
      clock_(clock),
      options_(options),
      intake_(region),
      pending_(region.slot_count()) {}

void Committer::start(LogWriter* log, uint64_t revision, uint64_t epoch,
                      const std::vector<FrameRequests>& known) {
  next_revision_ = revision + 1;
  durable_revision_ = revision;
  epoch_ = epoch;
  known_ = KnownRequests(known);
  floor_ = log_floor(known);
  log_ = log;
}

void Committer::open(Batch& batch) {
  batch.reset(next_revision_, log_->seed());
  // Pairs with the release in publish: who sees the sync ended also sees its root.
  opened_during_sync_ = batch_in_sync_.load(std::memory_order_acquire);
  table_.begin_batch(next_revision_);
  has_removed_ = false;
  batch_is_open_ = true;
}

Committer::Drained Committer::drain(Batch& batch) {
  // A batch without a commit leaves the table as it was: opening it again takes back memory that
  // came free since.
  if (!batch_is_open_ || (!batch.has_work() && ready())) open(batch);
  const size_t bytes_before = batch.frame.body_bytes();
  tell_time();
  if (is_primary_) {
    if (!std::exchange(removal_yields_, false)) remove_expired(batch);
  } else if (const Drained drained = take_frames(batch); drained != Drained::kAll) {
    return drained;
  }
  while (std::optional<Request> request = intake_.next()) {
    switch (handle(*request, batch)) {
      case Step::kFull:
        removal_yields_ = has_removed_;
        return Drained::kFull;
      case Step::kNoSpace:
        return Drained::kNoSpace;
      case Step::kDone:
        break;
    }
    intake_.accept();
    batch.release(request->slot, request->submission.end_position);
    // Not before all that was there when this owner came is read: until then, every root points
    // back to where it was.
    const size_t added_bytes = batch.frame.body_bytes() - bytes_before;
    if (added_bytes >= options_.drain_bytes && known_.empty()) return Drained::kMore;
  }
  known_ = KnownRequests();  // what was in the rings when this owner came has been read
  return Drained::kAll;
}

void Committer::seal(Batch& batch) {
  batch_is_open_ = false;
  batch.settles_known = known_.empty();
  if (!batch.has_frame()) return;
  batch.last_revision = next_revision_ - 1;
  batch.epoch = epoch_;
  batch.root = table_.seal_batch(batch.last_revision, epoch_, LogPosition());
  batch.frame.finish();
  const bool reserved = log_->reserve(batch.frame.frame_bytes());
  SMALL_DB_ASSERT(reserved);  // admit() saw to it
  batch_in_sync_.store(true, std::memory_order_relaxed);
}

Status Committer::finish(Batch& batch) {
  Status status;
  if (batch.has_frame()) {
    const LogFilePosition before = log_->position();
    status = append(batch);
    SMALL_DB_KILL_POINT("commit: frame written");
    if (status.is_ok()) status = sync();
    SMALL_DB_KILL_POINT("commit: frame synced");
    if (status.is_ok()) show_durable(batch);
    // What waits for followers in vain is neither seen nor answered here: the next owner finds it
    // in the log.
    if (status.is_ok() && !await_acks(batch.last_revision)) return Status::ok();
    if (status.is_ok()) publish(batch, before);
  } else if (!await_acks(last_answered(batch))) {
    return Status::ok();
  }
  if (!status.is_ok()) revoke_commits(batch, Code::kOutcomeUnknown);
  complete(batch);
  if (batch.settles_known) floor_.reset();
  return status;
}

// The last revision that the batch says is durable: what the log held before this owner came. Of
// other answers, the number may be an epoch, or a generation.
uint64_t Committer::last_answered(const Batch& batch) {
  uint64_t last = 0;
  for (const Answer& answer : batch.answers) {
    if (answer.basis != Basis::kKnown) continue;
    last = std::max(last, answer.completion.revision);
  }
  return last;
}

// What the batch was to commit gets another answer.
void Committer::revoke_commits(Batch& batch, Code code) {
  for (Answer& answer : batch.answers) {
    // What nobody waits for stays done.
    const bool stands = answer.basis == Basis::kKnown && options_.acks_required == 0;
    if (answer.basis == Basis::kNothing || stands) continue;
    const Code told = answer.basis == Basis::kCommitted ? code
                      : answer.basis == Basis::kKnown   ? Code::kOutcomeUnknown
                                                        : Code::kUnavailable;
    answer.completion.code = static_cast<uint32_t>(told);
    answer.completion.revision = 0;
    answer.completion.number = 0;
    answer.completion.records = 0;
  }
}

std::optional<LogPosition> log_floor(const std::vector<FrameRequests>& frames) {
  if (frames.empty()) return std::nullopt;
  return root_position(frames.front().before, frames.front().first_revision - 1);
}

LogPosition root_position(const LogFilePosition& before, uint64_t revision) noexcept {
  LogPosition position;
  position.generation = before.generation;
  position.frame_offset = before.frame_offset;
  position.end_offset = before.end_offset;
  position.revision = revision;
  position.chain = before.chain;
  return position;
}

Status Committer::sync() {
  const uint64_t started_us = clock_.monotonic_us();
  SMALL_DB_RETURN_IF_ERROR(log_->sync());
  const uint64_t took_us = clock_.monotonic_us() - started_us;
  const auto* bound = std::lower_bound(std::begin(kSyncBoundsUs), std::end(kSyncBoundsUs), took_us);
  RegionHeader& header = region_.header();
  add_relaxed(header.sync_counts[bound - std::begin(kSyncBoundsUs)], 1);
  add_relaxed(header.sync_us, took_us);
  add_relaxed(header.syncs, 1);
  return Status::ok();
}

// Who sends the log to followers reads each frame at once, from the page cache; else nobody does.
Status Committer::append(Batch& batch) {
  log_->bypass_cache(!log_is_watched(region_));
  return log_->write(batch.frame, durable_revision_, batch.epoch, clock_.wall_ms());
}

void Committer::publish(const Batch& batch, const LogFilePosition& before) {
  RegionHeader& header = region_.header();
  add_relaxed(header.commits, 1);
  add_relaxed(header.operations, batch.frame.records());
  add_relaxed(header.log_bytes, batch.frame.frame_bytes());
  const LogPosition own = root_position(before, batch.frame.first_revision() - 1);
  set_root_log(region_, batch.root, floor_.value_or(own));
  publish_root(region_, batch.root);
  // Pairs with the acquire in open.
  batch_in_sync_.store(false, std::memory_order_release);
}

// Answers come before the ring is given back: an owner that takes over in between finds the
// requests in the ring and in the log, and answers them again; the client drops what it knows
// already.
void Committer::complete(const Batch& batch) {
  for (const Answer& answer : batch.answers) {
    if (put_completion(region_, answer.slot, pending_[answer.slot], answer.completion)) {
      ++pending_[answer.slot];
    }
  }
  for (const Release& release : batch.releases) {
    publish_completions(region_, release.slot, pending_[release.slot]);
    SMALL_DB_KILL_POINT("commit: answers published");
    if (release.position != 0) release_submissions(region_, release.slot, release.position);
    SMALL_DB_KILL_POINT("commit: ring given back");
    // Last: a request that found no room in the ring waits for this bell, too.
    if (take_bell_wish(region_, release.slot)) bells_.ring(release.slot);
    pending_[release.slot] = 0;
  }
}

Status Committer::write_idle_frame() {
  mark_.reset(durable_revision_ + 1, log_->seed());
  mark_.make_idle();
  if (log_->available_bytes() < mark_.frame_bytes()) return Status::ok();  // no space is no harm
  return write_mark();
}

Status Committer::write_seal_frame() {
  mark_.reset(durable_revision_ + 1, log_->seed());
  mark_.make_seal();
  return write_mark();
}

Status Committer::write_mark() {
  mark_.finish();
  if (!log_->reserve(mark_.frame_bytes())) return {Code::kNoDiskSpace, "committer: mark frame"};
  SMALL_DB_RETURN_IF_ERROR(log_->write(mark_, durable_revision_, epoch_, clock_.wall_ms()));
  return log_->sync();
}

void Committer::set_log(LogWriter* log) noexcept {
  log_ = log;
  batch_is_open_ = false;
}

void Committer::publish_log_position() {
  table_.begin_batch(next_revision_);
  if (floor_ || !table_.has_node_reserve()) return;
  publish_root(region_, table_.seal_batch(durable_revision_, epoch_,
                                          root_position(log_->position(), durable_revision_)));
}

void Committer::answer_kept(const std::vector<KeptRequest>& requests, Code code, uint64_t revision,
                            Batch& batch) {
  for (const KeptRequest& request : requests) {
    if (!batch_is_open_) open(batch);
    Answer answer = request.answer;
    if (slot_holder(region_, answer.slot).incarnation != request.holder.incarnation) continue;
    answer.completion.code = static_cast<uint32_t>(code);
    answer.completion.revision = revision;
    batch.answers.push_back(answer);
    batch.releases.push_back({answer.slot, 0});
  }
}

Status Committer::refuse_writes(Batch& batch, Code code) {
  refusal_ = code;
  revoke_commits(batch, code);
  next_revision_ = durable_revision_ + 1;
  streams_.clear();
  write_set_bytes_ = 0;
  const Status status = table_.rollback();
  batch_in_sync_.store(false, std::memory_order_relaxed);
  complete(batch);
  batch.reset(next_revision_, log_->seed());
  batch_is_open_ = false;
  return status;
}

}  // namespace small_db
