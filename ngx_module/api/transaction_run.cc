#include "ngx_module/api/transaction_run.h"

#include "ngx_module/api/base64.h"
#include "ngx_module/api/expiry.h"
#include "ngx_module/api/json_text.h"
#include "ngx_module/api/utf8.h"

namespace small_db {
namespace {

// The key's record; kNotFound also where it has expired.
Result<StoredRecord> find_live(const Snapshot& snapshot, std::string_view key, uint64_t now_ms) {
  Result<StoredRecord> record = snapshot.find(as_bytes(key));
  if (!record.is_ok() || record.value().expires_at_ms == 0) return record;
  if (record.value().expires_at_ms > now_ms) return record;
  return Status(Code::kNotFound, "transaction: expired");
}

bool is_failure(const Status& status) noexcept {
  return !status.is_ok() && status.code() != Code::kNotFound;
}

Status compare_value(const StoredRecord& record, std::string_view value, bool* is_equal) {
  Bytes rest = as_bytes(value);
  *is_equal = record.value.bytes() == rest.size();
  if (!*is_equal) return Status::ok();
  return record.value.for_each_piece([&](Bytes piece) {
    const size_t bytes = piece.size() < rest.size() ? piece.size() : rest.size();
    *is_equal = *is_equal && compare_bytes(piece, rest.first(bytes)) == 0;
    rest = rest.subspan(bytes);
  });
}

std::string base64_of(std::string_view bytes) {
  std::string text(base64_encoded_bytes(bytes.size()), '\0');
  Base64Encoder encoder(text.data());
  encoder.add(as_bytes(bytes));
  encoder.finish();
  return text;
}

std::string escaped(std::string_view text) {
  std::string to(json_escaped_bytes(text), '\0');
  write_json_escaped(text, to.data());
  return to;
}

// "key":"…", with "key_encoding":"base64" where the key is no text.
void append_key(std::string_view key, std::string* to) {
  const bool is_text = is_utf8(as_bytes(key));
  *to += R"("key":")";
  *to += is_text ? escaped(key) : base64_of(key);
  *to += is_text ? "\"" : R"(","key_encoding":"base64")";
}

void append_number(uint64_t number, std::string* to) { *to += DetailPiece(number).text(); }

}  // namespace

void TransactionRun::restart() {
  phase_ = Phase::kComparing;
  next_ = 0;
  succeeded_ = true;
  writes_ = 0;
  value_bytes_ = 0;
  status_ = Status::ok();
  found_.clear();
  own_.clear();
  set_.clear();
}

bool TransactionRun::end(const Status& status) {
  status_ = status;
  phase_ = Phase::kDone;
  return false;
}

bool TransactionRun::step(const Snapshot& snapshot, uint64_t now_ms) {
  switch (phase_) {
    case Phase::kComparing:
      return compare_next(snapshot, now_ms);
    case Phase::kReading:
      return read_next(snapshot, now_ms);
    case Phase::kWriting:
      return write_next();
    case Phase::kDone:
      break;
  }
  return false;
}

// The first comparison that does not hold decides; those behind it are not read, nor guarded.
bool TransactionRun::compare_next(const Snapshot& snapshot, uint64_t now_ms) {
  if (next_ < transaction_.comparisons.size()) {
    const Status status = compare(transaction_.comparisons[next_++], snapshot, now_ms, &succeeded_);
    if (!status.is_ok()) return end(status);
    if (succeeded_) return true;
  }
  phase_ = Phase::kReading;
  next_ = 0;
  found_.reserve(branch().size());
  return true;
}

Status TransactionRun::compare(const Comparison& comparison, const Snapshot& snapshot,
                               uint64_t now_ms, bool* holds) {
  const Bytes key = as_bytes(comparison.key);
  const Result<StoredRecord> record = find_live(snapshot, comparison.key, now_ms);
  if (is_failure(record.status())) return record.status();
  const bool exists = record.is_ok();
  const uint64_t revision = exists ? record.value().revision : 0;
  const GuardKind presence = exists ? GuardKind::kPresent : GuardKind::kAbsent;
  switch (comparison.kind) {
    case ComparisonKind::kExists:
      *holds = exists == comparison.exists;
      set_.guard(presence, key);
      break;
    case ComparisonKind::kRevision:
      *holds = revision == comparison.revision;
      if (comparison.revision == 0) {
        set_.guard(presence, key);
      } else {
        set_.guard(*holds ? GuardKind::kRevisionIn : GuardKind::kRevisionNotIn, key,
                   {&comparison.revision, 1});
      }
      break;
    case ComparisonKind::kValue:
      *holds = false;
      if (!exists) {
        set_.guard(presence, key);
        break;
      }
      set_.guard(GuardKind::kRevisionIn, key, {&revision, 1});
      return compare_value(record.value(), comparison.value, holds);
  }
  return Status::ok();
}

bool TransactionRun::read_next(const Snapshot& snapshot, uint64_t now_ms) {
  if (next_ == branch().size()) {
    next_ = 0;
    if (writes_ == 0) return end(Status::ok());
    phase_ = Phase::kWriting;
    return true;
  }
  const Operation& operation = branch()[next_++];
  const Status status = read(operation, snapshot, now_ms, &found_.emplace_back());
  if (!status.is_ok()) return end(status);
  if (operation.kind == OperationKind::kGet) return true;
  own_[operation.key] = &operation;
  writes_++;
  return true;
}

Status TransactionRun::read(const Operation& operation, const Snapshot& snapshot, uint64_t now_ms,
                            Found* found) {
  if (operation.kind == OperationKind::kPut) return Status::ok();
  const bool is_get = operation.kind == OperationKind::kGet;
  if (const auto own = own_.find(operation.key); own != own_.end()) {
    const Operation& write = *own->second;
    found->exists = write.kind == OperationKind::kPut;
    found->is_own = found->exists;
    found->expires_at_ms = write.expires_at_ms;
    if (!is_get || !found->exists) return Status::ok();
    return take_value(write.value, operation.wants_text, found);
  }
  const Result<StoredRecord> record = find_live(snapshot, operation.key, now_ms);
  if (is_failure(record.status())) return record.status();
  const Bytes key = as_bytes(operation.key);
  found->exists = record.is_ok();
  if (!is_get || !found->exists) {
    set_.guard(found->exists ? GuardKind::kPresent : GuardKind::kAbsent, key);
    return Status::ok();
  }
  found->revision = record.value().revision;
  set_.guard(GuardKind::kRevisionIn, key, {&found->revision, 1});
  return read_record(operation, record.value(), found);
}

Status TransactionRun::read_record(const Operation& operation, const StoredRecord& record,
                                   Found* found) {
  found->expires_at_ms = record.expires_at_ms;
  if (record.value.bytes() > kTransactionValueBytesMax) {
    return {Code::kTooLarge, "transaction: value"};
  }
  std::string value(record.value.bytes(), '\0');
  SMALL_DB_RETURN_IF_ERROR(record.value.copy_to(reinterpret_cast<std::byte*>(value.data())));
  return take_value(value, operation.wants_text, found);
}

Status TransactionRun::take_value(std::string_view value, bool wants_text, Found* found) {
  found->is_text = wants_text && is_utf8(as_bytes(value));
  found->value = found->is_text ? escaped(value) : base64_of(value);
  value_bytes_ += found->value.size();
  if (value_bytes_ > kTransactionValueBytesMax) return {Code::kTooLarge, "transaction: values"};
  return Status::ok();
}

bool TransactionRun::write_next() {
  if (next_ == branch().size()) return end(Status::ok());
  const Operation& operation = branch()[next_++];
  const Bytes key = as_bytes(operation.key);
  if (operation.kind == OperationKind::kPut) {
    set_.put(key, as_bytes(operation.value), operation.expires_at_ms);
  } else if (operation.kind == OperationKind::kDelete) {
    set_.erase(key);
  }
  return true;
}

std::string TransactionRun::answer(uint64_t revision) const {
  std::string text =
      succeeded_ ? R"({"succeeded":true,"revision":)" : R"({"succeeded":false,"revision":)";
  constexpr size_t kRoomPerOperation = 96;
  text.reserve(value_bytes_ + branch().size() * kRoomPerOperation);
  append_number(revision, &text);
  text += R"(,"results":[)";
  for (size_t i = 0; i < branch().size(); i++) {
    const Operation& operation = branch()[i];
    const Found& found = found_[i];
    if (i != 0) text += ',';
    switch (operation.kind) {
      case OperationKind::kPut:
        text += R"({"op":"put",)";
        append_key(operation.key, &text);
        text += R"(,"revision":)";
        append_number(revision, &text);
        break;
      case OperationKind::kDelete:
        text += R"({"op":"delete",)";
        append_key(operation.key, &text);
        text += found.exists ? R"(,"existed":true)" : R"(,"existed":false)";
        break;
      case OperationKind::kGet:
        text += R"({"op":"get",)";
        append_key(operation.key, &text);
        append_found(found, revision, &text);
        break;
    }
    text += '}';
  }
  text += "]}";
  return text;
}

void TransactionRun::append_found(const Found& found, uint64_t revision, std::string* to) {
  if (!found.exists) {
    *to += R"(,"found":false)";
    return;
  }
  *to += R"(,"found":true,"revision":)";
  append_number(found.is_own ? revision : found.revision, to);
  *to += R"(,"value":")";
  *to += found.value;
  *to += found.is_text ? R"(","encoding":"utf-8")" : R"(","encoding":"base64")";
  if (found.expires_at_ms == 0) return;
  *to += R"(,"expires_at":")";
  *to += ExpiryText(found.expires_at_ms).text();
  *to += '"';
}

}  // namespace small_db
