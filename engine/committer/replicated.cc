// How a backup makes its primary's frames its own: each becomes requests of its own log, with the
// revisions and the epoch that it came with. Commit thread.
//
// A frame is taken whole or not at all: what it holds becomes visible together, as it did at the
// primary.
#include "engine/committer/committer.h"

namespace small_db {

Committer::Drained Committer::take_frames(Batch& batch) {
  if (refusal_ != Code::kOk || !replication_failure_.is_ok()) return Drained::kAll;
  while (const ReplicatedFrame* frame = replicated_.front()) {
    switch (take_frame(*frame, batch)) {
      case Step::kFull:
        return Drained::kFull;
      case Step::kNoSpace:
        return Drained::kNoSpace;
      case Step::kDone:
        break;
    }
    if (!replication_failure_.is_ok()) return Drained::kAll;
    replicated_.pop();
  }
  return Drained::kAll;
}

Committer::Step Committer::take_frame(const ReplicatedFrame& frame, Batch& batch) {
  if (frame.requests == 0) {
    compare_content(frame);
    return Step::kDone;
  }
  if (frame.next_revision() <= next_revision_) return Step::kDone;  // it is here already
  if (frame.first_revision > next_revision_) {
    replication_failure_ = {Code::kCorruption, "replication: a revision is missing"};
    return Step::kDone;
  }
  if (frame.epoch < epoch_) {
    replication_failure_ = {Code::kCorruption, "replication: an epoch goes back"};
    return Step::kDone;
  }
  if (frame.epoch != epoch_) {
    if (batch.has_frame()) return Step::kFull;  // a frame of the log has one epoch
    epoch_ = frame.epoch;
  }
  const Status status = admit_frame(frame, batch);
  if (status.code() == Code::kOverloaded) return Step::kFull;
  if (status.code() == Code::kNoDiskSpace) {
    return batch.has_frame() ? Step::kFull : Step::kNoSpace;
  }
  replication_failure_ = apply_frame(frame, batch);
  return Step::kDone;
}

// The state that the batch has built so far is that of a revision of the primary's.
void Committer::compare_content(const ReplicatedFrame& state) {
  if (state.first_revision != next_revision_) return;
  const Hash128 expected{load<uint64_t>(state.body.data()),
                         load<uint64_t>(state.body.data() + sizeof(uint64_t))};
  if (expected == table_.content()) return;
  content_differs_ = true;
  replication_failure_ = {Code::kCorruption, "replication: the content is not the primary's"};
}

// Errors: kOverloaded when the batch is to be sealed first; kNoDiskSpace when log space is to be
// prepared.
Status Committer::admit_frame(const ReplicatedFrame& frame, const Batch& batch) {
  const size_t bytes = batch.frame.body_bytes() + frame.body.size();
  const bool fits = bytes <= options_.batch_bytes_max &&
                    batch.frame.requests() + frame.requests <= options_.batch_requests_max;
  if (!fits && batch.has_frame()) return {Code::kOverloaded, "replication: batch"};
  const uint64_t wanted = batch.frame.frame_bytes_with(frame.body.size()) + kMarkFramesBytes;
  if (wanted <= log_->available_bytes()) return Status::ok();
  log_end_wanted_.store(log_->reserved_end() + wanted, std::memory_order_relaxed);
  return {Code::kNoDiskSpace, "replication: log space"};
}

// Records of revisions that are here already, from another primary's frame, are left out.
Status Committer::apply_frame(const ReplicatedFrame& frame, Batch& batch) {
  Bytes rest = frame.body;
  uint32_t records = 0;
  while (!rest.empty()) {
    const Result<DecodedRecord> record = decode_record(rest);
    if (!record.is_ok()) return record.status();
    const RecordView& view = record.value().view;
    if (view.revision >= next_revision_) {
      if (view.revision >= frame.next_revision()) {
        return {Code::kCorruption, "replication: revision of a record"};
      }
      std::byte* to = batch.frame.append(record.value().bytes);
      if (to == nullptr) return {Code::kTooLarge, "replication: frame"};
      copy_bytes(to, rest.first(record.value().bytes));
      SMALL_DB_RETURN_IF_ERROR(apply(view));
      ++records;
    }
    rest = rest.subspan(record.value().bytes);
  }
  batch.frame.count_records(records);
  for (; next_revision_ < frame.next_revision(); ++next_revision_) {
    batch.frame.add_request(kNoSlot, 0, next_revision_);
  }
  return Status::ok();
}

void Committer::become_primary(uint64_t epoch) noexcept {
  is_primary_ = true;
  epoch_ = epoch;
  batch_is_open_ = false;
}

}  // namespace small_db
