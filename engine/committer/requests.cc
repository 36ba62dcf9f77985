// How the committer evaluates one request: in log order, against the private next state, in the
// commit thread.
#include "engine/committer/committer.h"

namespace small_db {

Committer::Step Committer::handle(const Request& request, Batch& batch) {
  const SubmissionKind kind = request.submission.kind;
  if (refusal_ != Code::kOk || !is_primary_) {
    refuse(request, refusal_ != Code::kOk ? refusal_ : Code::kNotPrimary, batch);
    return Step::kDone;
  }
  switch (kind) {
    case SubmissionKind::kOperation:
      return operate(request, batch);
    case SubmissionKind::kWriteSet:
      return take_write_set(request, batch);
    case SubmissionKind::kStreamBegin:
      return begin_stream(request, batch);
    case SubmissionKind::kWriteSetBegin:
      return begin_write_set(request, batch);
    case SubmissionKind::kStreamChunk:
      add_chunk(request);
      return Step::kDone;
    case SubmissionKind::kStreamEnd:
      return end_stream(request, batch);
    case SubmissionKind::kStreamAbort:
      abort_stream(request, batch);
      return Step::kDone;
    case SubmissionKind::kCheckpoint:
      keep(request, &checkpoint_requests_, batch);
      return Step::kDone;
    case SubmissionKind::kPromote:
      keep(request, &promotion_requests_, batch);
      return Step::kDone;
    case SubmissionKind::kPadding:
      break;
  }
  return Step::kDone;
}

// While no write is taken. A checkpoint, or a promotion, is: it may be what ends that.
void Committer::refuse(const Request& request, Code code, Batch& batch) {
  switch (request.submission.kind) {
    case SubmissionKind::kOperation:
    case SubmissionKind::kWriteSet:
    case SubmissionKind::kStreamEnd:
      if (answer_known(request, batch)) return;
      break;
    case SubmissionKind::kCheckpoint:
      return keep(request, &checkpoint_requests_, batch);
    case SubmissionKind::kPromote:
      return keep(request, &promotion_requests_, batch);
    case SubmissionKind::kStreamChunk:
    case SubmissionKind::kPadding:
      return;
    case SubmissionKind::kStreamBegin:
    case SubmissionKind::kWriteSetBegin:
    case SubmissionKind::kStreamAbort:
      break;
  }
  answer(request, code, batch);
}

void Committer::keep(const Request& request, std::vector<KeptRequest>* where, Batch& batch) {
  answer(request, Code::kOk, batch);
  where->push_back({batch.answers.back(), request.holder});
  batch.answers.pop_back();
}

Committer::Step Committer::operate(const Request& request, Batch& batch) {
  if (answer_known(request, batch)) return Step::kDone;
  const Bytes payload = request.submission.payload;
  // The ring is another process's memory: what is checked, applied and logged is one private copy.
  std::byte* copy = batch.frame.append(payload.size());
  if (copy == nullptr) return Step::kFull;
  copy_bytes(copy, payload);
  const Result<DecodedRecord> record = decode_record({copy, payload.size()});
  if (!record.is_ok() || record.value().bytes != payload.size()) {
    batch.frame.unappend(payload.size());
    answer(request, Code::kInvalidArgument, batch);
    return Step::kDone;
  }
  RecordView view = record.value().view;
  view.revision = next_revision_;
  store<uint64_t>(copy + kRecordRevisionOffset, next_revision_);
  Status status = admit(view.type, batch);
  if (status.is_ok()) status = apply(view);
  if (!status.is_ok()) {
    batch.frame.unappend(payload.size());
    return refuse_or_wait(request, status.code(), batch);
  }
  commit_request(request, {.records = 1}, batch);
  return Step::kDone;
}

Status Committer::apply(const RecordView& record) {
  if (record.type == RecordType::kPut) return table_.put(record);
  return table_.erase(record.key, record.revision);
}

// Whether the batch, with the record that was just appended to its frame, may grow to this size.
// Errors: kOverloaded when the batch is full, kNoDiskSpace when the prepared log space is.
Status Committer::admit(RecordType type, const Batch& batch) {
  const bool full = batch.frame.requests() >= options_.batch_requests_max ||
                    batch.frame.body_bytes() > options_.batch_bytes_max;
  if (full && batch.frame.requests() != 0) return {Code::kOverloaded, "committer: batch"};
  const uint64_t reserve =
      kMarkFramesBytes + (type == RecordType::kDelete ? 0 : options_.log_reserve_bytes);
  const uint64_t wanted = batch.frame.frame_bytes_with(0) + reserve;
  if (wanted <= log_->available_bytes()) return Status::ok();
  log_end_wanted_.store(log_->reserved_end() + wanted, std::memory_order_relaxed);
  return {Code::kNoDiskSpace, "committer: log space"};
}

// A request that finds no room waits where waiting can help: memory comes free when the batches
// before it are published, log space when more is prepared. Else it is refused, and nothing was
// changed.
Committer::Step Committer::refuse_or_wait(const Request& request, Code code, Batch& batch) {
  if (code == Code::kOverloaded) return Step::kFull;
  if (batch.frame.requests() != 0) return Step::kFull;
  if (code == Code::kNoMemory && opened_during_sync_) return Step::kFull;
  if (code == Code::kNoDiskSpace && !disk_full_.load(std::memory_order_acquire))
    return Step::kNoSpace;
  answer(request, code, batch);
  return Step::kDone;
}

// A request that the log holds already (its first owner died before answering) is answered from
// there.
bool Committer::answer_known(const Request& request, Batch& batch) {
  const auto known = known_.find(log_incarnation(request.holder), request.submission.sequence);
  if (!known) return false;
  // A node that is no primary any more can't say whether its successor has it.
  answer(request, is_primary_ ? Code::kOk : Code::kOutcomeUnknown, batch);
  if (!is_primary_) return true;
  batch.answers.back().basis = Basis::kKnown;
  Completion& completion = batch.answers.back().completion;
  completion.revision = known->revision;
  completion.records = known->result.records;
  completion.number = known->result.number;
  return true;
}

// The request takes the next revision; its records are in the frame and in the table.
void Committer::commit_request(const Request& request, const RequestResult& result, Batch& batch) {
  batch.frame.add_request(request.slot, log_incarnation(request.holder),
                          request.submission.sequence);
  answer(request, Code::kOk, batch);
  Answer& answer = batch.answers.back();
  answer.completion.revision = next_revision_;
  answer.completion.records = result.records;
  answer.completion.number = result.number;
  answer.basis = Basis::kCommitted;
  batch.frame.count_records(result.records);
  ++next_revision_;
}

void Committer::answer(const Request& request, Code code, Batch& batch) {
  Answer answer;
  answer.slot = request.slot;
  answer.completion.sequence = request.submission.sequence;
  answer.completion.cookie = request.submission.cookie;
  answer.completion.code = static_cast<uint32_t>(code);
  batch.answers.push_back(answer);
}

// Incarnations are unique in a region, regions are told apart by their id.
uint64_t Committer::log_incarnation(SlotHolder holder) const noexcept {
  return static_cast<uint64_t>(region_.header().region_id) << 32 | holder.incarnation;
}

}  // namespace small_db
