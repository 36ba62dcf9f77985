// How the committer evaluates a write set: guards first, then its operations one after the other
// against the private next state, as a change that is kept whole or taken back whole. Commit
// thread.
//
// What an operation comes to is written into the batch's frame as plain records, so that the log
// needs no rule for evaluating anything again.
#include <algorithm>
#include <string>

#include "engine/committer/committer.h"
#include "engine/record/counter.h"

namespace small_db {

// What a write set has done so far.
struct Committer::SetChange {
  Batch& batch;
  bool in_steps;  // it can be undone
  RequestResult result;
  size_t frame_bytes = 0;
  RecordType kind = RecordType::kDelete;  // kPut as soon as it puts something
};

namespace {

Status out_of_order() noexcept { return {Code::kInvalidArgument, "write set: replacement"}; }

bool is_below(Bytes key, Bytes end) noexcept { return end.empty() || compare_bytes(key, end) < 0; }

bool has_value(const StoredRecord& record, Bytes value) {
  if (record.value.bytes() != value.size()) return false;
  bool same = true;
  const Status status = record.value.for_each_piece([&](Bytes piece) {
    same = same && compare_bytes(piece, value.first(piece.size())) == 0;
    value = value.subspan(piece.size());
  });
  return status.is_ok() && same;
}

}  // namespace

Committer::Step Committer::take_write_set(const Request& request, Batch& batch) {
  if (answer_known(request, batch)) return Step::kDone;
  // The ring is another process's memory: what is checked must not change after that.
  const Bytes payload = request.submission.payload;
  write_set_.assign(payload.begin(), payload.end());
  return evaluate(request, write_set_, batch);
}

Committer::Step Committer::evaluate(const Request& request, Bytes set, Batch& batch) {
  const bool fits = batch.frame.body_bytes() + set.size() <= options_.batch_bytes_max;
  if (!fits && batch.frame.requests() != 0) return Step::kFull;
  WriteSetReader reader(set);
  uint64_t revision = 0;
  Status status = reader.begin();
  if (status.is_ok()) status = check_guards(reader, &revision);
  if (!status.is_ok()) return answer_evaluated(request, status.code(), revision, batch);

  // A single put or delete is all or nothing by itself.
  SetChange change{batch, !reader.is_one_record(), {}};
  if (change.in_steps) table_.begin_change(next_revision_);
  status = apply_set(reader, change);
  if (status.is_ok() && change.in_steps && change.result.records != 0) {
    status = admit(change.kind, batch);
  }
  if (!status.is_ok()) {
    batch.frame.unappend(change.frame_bytes);
    if (change.in_steps) table_.undo_change();
    const Code code = status.code();
    const bool is_verdict = code == Code::kNotFound || code == Code::kNotANumber ||
                            code == Code::kOutOfRange || code == Code::kInvalidArgument;
    if (is_verdict) return answer_evaluated(request, code, 0, batch);
    return refuse_or_wait(request, code, batch);
  }
  if (change.in_steps) table_.keep_change();
  if (change.result.records == 0) {
    return answer_evaluated(request, Code::kOk, next_revision_ - 1, batch);
  }
  commit_request(request, change.result, batch);
  return Step::kDone;
}

// An answer that commits nothing, and holds as long as the state that it was found in.
Committer::Step Committer::answer_evaluated(const Request& request, Code code, uint64_t revision,
                                            Batch& batch) {
  answer(request, code, batch);
  batch.answers.back().completion.revision = revision;
  batch.answers.back().basis = Basis::kState;
  return Step::kDone;
}

// Errors: kConditionFailed, and *revision is that of the record in question; kInvalidArgument.
Status Committer::check_guards(WriteSetReader& reader, uint64_t* revision) {
  for (uint32_t i = 0; i < reader.guards(); ++i) {
    const Result<GuardView> guard = reader.next_guard();
    if (!guard.is_ok()) return guard.status();
    const Result<StoredRecord> record = find_live(guard.value().key);
    if (!record.is_ok() && record.status().code() != Code::kNotFound) return record.status();
    const uint64_t current = record.is_ok() ? record.value().revision : 0;
    if (guard.value().holds(current)) continue;
    *revision = current;
    return {Code::kConditionFailed, "write set: guard"};
  }
  return Status::ok();
}

Status Committer::apply_set(WriteSetReader& reader, SetChange& change) {
  for (uint32_t i = 0; i < reader.operations(); ++i) {
    const Result<OperationView> operation = reader.next_operation();
    if (!operation.is_ok()) return operation.status();
    if (operation.value().type == OperationType::kReplaceRange) {
      // It takes all that follows.
      SMALL_DB_RETURN_IF_ERROR(
          replace_range(operation.value(), reader.operations() - i - 1, reader, change));
      break;
    }
    SMALL_DB_RETURN_IF_ERROR(apply_operation(operation.value(), change));
  }
  return reader.end();
}

Status Committer::apply_operation(const OperationView& operation, SetChange& change) {
  switch (operation.type) {
    case OperationType::kRecord:
      return operation.record.type == RecordType::kPut ? put_record(operation.record, change)
                                                       : erase_key(operation.record.key, change);
    case OperationType::kEraseRange:
      return erase_range(operation, change);
    case OperationType::kAdd:
      return add_to_counter(operation, change);
    case OperationType::kSetExpiry:
      return set_expiry(operation, change);
    case OperationType::kReplaceRange:
      break;
  }
  return {Code::kInvalidArgument, "write set: operation"};
}

// Errors: kNotFound, also for a record that has expired; kCorruption.
Result<StoredRecord> Committer::find_live(Bytes key) {
  Result<StoredRecord> record = table_.find(key);
  if (record.is_ok() && is_expired(record.value())) {
    return Status(Code::kNotFound, "committer: expired");
  }
  return record;
}

// Writes the record into the frame. Errors: kOverloaded, in a batch of its own there may be room;
// kTooLarge, there is none in any. What can't be undone must be admitted before it is done.
Status Committer::log_record(const RecordView& record, SetChange& change) {
  const size_t bytes = record_bytes(record);
  std::byte* to = change.batch.frame.append(bytes);
  if (to == nullptr) {
    const bool alone = change.batch.frame.requests() == 0;
    return {alone ? Code::kTooLarge : Code::kOverloaded, "committer: frame"};
  }
  encode_record(record, to);
  change.frame_bytes += bytes;
  ++change.result.records;
  if (record.type == RecordType::kPut) change.kind = RecordType::kPut;
  return change.in_steps ? Status::ok() : admit(record.type, change.batch);
}

Status Committer::put_record(RecordView record, SetChange& change) {
  record.revision = next_revision_;
  SMALL_DB_RETURN_IF_ERROR(log_record(record, change));
  return table_.put(record);
}

// A key that has no record takes no place in the log.
Status Committer::erase_key(Bytes key, SetChange& change) {
  const Result<StoredRecord> found = find_live(key);
  if (!found.is_ok()) {
    return found.status().code() == Code::kNotFound ? Status::ok() : found.status();
  }
  SMALL_DB_RETURN_IF_ERROR(log_record({RecordType::kDelete, next_revision_, 0, key, {}}, change));
  return table_.erase(key, next_revision_);
}

// What has expired is left to remove_expired.
Status Committer::erase_range(const OperationView& range, SetChange& change) {
  std::vector<std::string> keys;
  size_t bytes = 0;
  Cursor cursor = table_.cursor();
  Status status = cursor.seek(range.start);
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return record.status();
    if (!is_below(record.value().key, range.end)) break;
    if (is_expired(record.value())) continue;
    keys.emplace_back(as_text(record.value().key));
    bytes += record_prefix_bytes(keys.back().size(), false);
    if (bytes > kFrameBodyBytesMax) return {Code::kTooLarge, "committer: range"};
  }
  SMALL_DB_RETURN_IF_ERROR(status);
  for (const std::string& key : keys) SMALL_DB_RETURN_IF_ERROR(erase_key(as_bytes(key), change));
  return Status::ok();
}

// Both are in order: what only the range has goes, what both have alike stays, the rest is put.
Status Committer::replace_range(const OperationView& range, uint32_t puts, WriteSetReader& reader,
                                SetChange& change) {
  std::vector<RecordView> wanted;
  for (uint32_t i = 0; i < puts; ++i) {
    const Result<OperationView> operation = reader.next_operation();
    if (!operation.is_ok()) return operation.status();
    const RecordView& record = operation.value().record;
    const bool is_put =
        operation.value().type == OperationType::kRecord && record.type == RecordType::kPut;
    const Bytes before = wanted.empty() ? Bytes() : wanted.back().key;
    if (!is_put || compare_bytes(before, record.key) >= 0) return out_of_order();
    if (compare_bytes(record.key, range.start) < 0 || !is_below(record.key, range.end)) {
      return out_of_order();
    }
    wanted.push_back(record);
  }
  std::vector<std::string> surplus;
  SMALL_DB_RETURN_IF_ERROR(compare_range(range, &wanted, &surplus));
  for (const std::string& key : surplus) {
    SMALL_DB_RETURN_IF_ERROR(erase_key(as_bytes(key), change));
  }
  for (const RecordView& record : wanted) SMALL_DB_RETURN_IF_ERROR(put_record(record, change));
  return Status::ok();
}

// Takes out of `wanted` what the range has already; *surplus gets the keys that it has besides.
Status Committer::compare_range(const OperationView& range, std::vector<RecordView>* wanted,
                                std::vector<std::string>* surplus) {
  std::vector<RecordView> missing;
  auto next = wanted->begin();
  size_t bytes = 0;
  Cursor cursor = table_.cursor();
  Status status = cursor.seek(range.start);
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return record.status();
    const Bytes key = record.value().key;
    if (!is_below(key, range.end)) break;
    while (next != wanted->end() && compare_bytes(next->key, key) < 0) missing.push_back(*next++);
    const bool is_wanted = next != wanted->end() && compare_bytes(next->key, key) == 0;
    if (is_wanted) {
      const bool same = !is_expired(record.value()) &&
                        record.value().expires_at_ms == next->expires_at_ms &&
                        has_value(record.value(), next->value);
      if (!same) missing.push_back(*next);
      ++next;
    } else if (!is_expired(record.value())) {
      surplus->emplace_back(as_text(key));
      bytes += record_prefix_bytes(key.size(), false);
      if (bytes > kFrameBodyBytesMax) return {Code::kTooLarge, "committer: range"};
    }
  }
  missing.insert(missing.end(), next, wanted->end());
  *wanted = std::move(missing);
  return status;
}

Status Committer::add_to_counter(const OperationView& operation, SetChange& change) {
  const Result<StoredRecord> found = find_live(operation.record.key);
  if (!found.is_ok() && found.status().code() != Code::kNotFound) return found.status();
  RecordView record{RecordType::kPut, 0, operation.record.expires_at_ms, operation.record.key, {}};
  int64_t number = operation.initial;
  if (found.is_ok()) {
    const StoredRecord& stored = found.value();
    value_.resize(std::min(stored.value.bytes(), kCounterBytesMax + 1));
    if (value_.size() > kCounterBytesMax) return {Code::kNotANumber, "committer: counter"};
    SMALL_DB_RETURN_IF_ERROR(stored.value.copy_to(value_.data()));
    const std::optional<int64_t> parsed = parse_counter(value_);
    if (!parsed) return {Code::kNotANumber, "committer: counter"};
    number = *parsed;
    record.expires_at_ms = stored.expires_at_ms;
  }
  if (__builtin_add_overflow(number, operation.delta, &number)) {
    return {Code::kOutOfRange, "committer: counter"};
  }
  const CounterText text(number);
  record.value = as_bytes(text.text());
  change.result.number = number;
  return put_record(record, change);
}

Status Committer::set_expiry(const OperationView& operation, SetChange& change) {
  const Result<StoredRecord> found = find_live(operation.record.key);
  if (!found.is_ok()) return found.status();
  value_.resize(found.value().value.bytes());
  SMALL_DB_RETURN_IF_ERROR(found.value().value.copy_to(value_.data()));
  return put_record(
      {RecordType::kPut, 0, operation.record.expires_at_ms, operation.record.key, value_}, change);
}

}  // namespace small_db
