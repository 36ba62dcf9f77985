#include "engine/record/write_set.h"

namespace small_db {
namespace {

constexpr size_t kGuardHeaderBytes = 8;
constexpr size_t kOperationHeaderBytes = kWriteSetOperationBytes;
constexpr size_t kRangeHeaderBytes = 4;
constexpr size_t kAddHeaderBytes = 24;
constexpr size_t kSetExpiryHeaderBytes = 8;
constexpr size_t kOperationsOffset = 4;
constexpr size_t kRevisionBytes = sizeof(uint64_t);

static_assert(kWriteSetBytesMax <= UINT32_MAX);
static_assert(kWriteSetBytesMax >= kValueBytesMax + 4 * (kKeyBytesMax + kKiB),
              "a guarded put of the longest key and value fits");

Status invalid(const char* site) noexcept { return Status(Code::kInvalidArgument, site); }

bool is_key(Bytes key) noexcept { return !key.empty() && key.size() <= kKeyBytesMax; }

Status read_range(Bytes content, OperationView* operation) noexcept {
  if (content.size() < kRangeHeaderBytes) return invalid("write set: range");
  const size_t start_bytes = load<uint16_t>(content.data());
  const size_t end_bytes = load<uint16_t>(content.data() + 2);
  if (content.size() != kRangeHeaderBytes + start_bytes + end_bytes) {
    return invalid("write set: range");
  }
  operation->start = content.subspan(kRangeHeaderBytes, start_bytes);
  operation->end = content.subspan(kRangeHeaderBytes + start_bytes);
  return Status::ok();
}

Status read_record(Bytes content, OperationView* operation) noexcept {
  const Result<DecodedRecord> record = decode_record(content);
  if (!record.is_ok() || record.value().bytes != content.size()) {
    return invalid("write set: record");
  }
  operation->record = record.value().view;
  return Status::ok();
}

Status read_add(Bytes content, OperationView* operation) noexcept {
  if (content.size() < kAddHeaderBytes) return invalid("write set: add");
  operation->delta = load<int64_t>(content.data());
  operation->initial = load<int64_t>(content.data() + 8);
  operation->record.expires_at_ms = load<uint64_t>(content.data() + 16);
  operation->record.key = content.subspan(kAddHeaderBytes);
  return is_key(operation->record.key) ? Status::ok() : invalid("write set: add");
}

Status read_set_expiry(Bytes content, OperationView* operation) noexcept {
  if (content.size() < kSetExpiryHeaderBytes) return invalid("write set: expiry");
  operation->record.expires_at_ms = load<uint64_t>(content.data());
  operation->record.key = content.subspan(kSetExpiryHeaderBytes);
  return is_key(operation->record.key) ? Status::ok() : invalid("write set: expiry");
}

}  // namespace

void WriteSetBuilder::clear() { bytes_.assign(kWriteSetHeaderBytes, std::byte{0}); }

std::vector<std::byte> WriteSetBuilder::release() {
  std::vector<std::byte> bytes = std::move(bytes_);
  clear();
  return bytes;
}

uint32_t WriteSetBuilder::operations() const noexcept {
  return load<uint32_t>(bytes_.data() + kOperationsOffset);
}

std::byte* WriteSetBuilder::append(size_t bytes) {
  const size_t at = bytes_.size();
  bytes_.resize(at + bytes);
  return bytes_.data() + at;
}

void WriteSetBuilder::guard(GuardKind kind, Bytes key, std::span<const uint64_t> revisions) {
  SMALL_DB_ASSERT(operations() == 0 && is_key(key));
  std::byte* to = append(kGuardHeaderBytes + revisions.size() * kRevisionBytes + key.size());
  store<uint8_t>(to, static_cast<uint8_t>(kind));
  store<uint16_t>(to + 2, static_cast<uint16_t>(key.size()));
  store<uint32_t>(to + 4, static_cast<uint32_t>(revisions.size()));
  to += kGuardHeaderBytes;
  for (const uint64_t revision : revisions) {
    store<uint64_t>(to, revision);
    to += kRevisionBytes;
  }
  copy_bytes(to, key);
  store<uint32_t>(bytes_.data(), load<uint32_t>(bytes_.data()) + 1);
}

std::byte* WriteSetBuilder::begin_operation(OperationType type, size_t content_bytes) {
  std::byte* to = append(kOperationHeaderBytes + content_bytes);
  store<uint8_t>(to, static_cast<uint8_t>(type));
  store<uint32_t>(to + 4, static_cast<uint32_t>(content_bytes));
  store<uint32_t>(bytes_.data() + kOperationsOffset, operations() + 1);
  return to + kOperationHeaderBytes;
}

void WriteSetBuilder::record(const RecordView& record) {
  encode_record(record, begin_operation(OperationType::kRecord, record_bytes(record)));
}

void WriteSetBuilder::put(Bytes key, Bytes value, uint64_t expires_at_ms) {
  record({RecordType::kPut, 0, expires_at_ms, key, value});
}

void WriteSetBuilder::erase(Bytes key) { record({RecordType::kDelete, 0, 0, key, {}}); }

void WriteSetBuilder::range(OperationType type, Bytes start, Bytes end) {
  SMALL_DB_ASSERT(start.size() <= kKeyBytesMax && end.size() <= kKeyBytesMax);
  std::byte* to = begin_operation(type, kRangeHeaderBytes + start.size() + end.size());
  store<uint16_t>(to, static_cast<uint16_t>(start.size()));
  store<uint16_t>(to + 2, static_cast<uint16_t>(end.size()));
  copy_bytes(to + kRangeHeaderBytes, start);
  copy_bytes(to + kRangeHeaderBytes + start.size(), end);
}

void WriteSetBuilder::erase_range(Bytes start, Bytes end) {
  range(OperationType::kEraseRange, start, end);
}

void WriteSetBuilder::replace_range(Bytes start, Bytes end) {
  range(OperationType::kReplaceRange, start, end);
}

void WriteSetBuilder::add(Bytes key, int64_t delta, int64_t initial, uint64_t expires_at_ms) {
  SMALL_DB_ASSERT(is_key(key));
  std::byte* to = begin_operation(OperationType::kAdd, kAddHeaderBytes + key.size());
  store<int64_t>(to, delta);
  store<int64_t>(to + 8, initial);
  store<uint64_t>(to + 16, expires_at_ms);
  copy_bytes(to + kAddHeaderBytes, key);
}

void WriteSetBuilder::set_expiry(Bytes key, uint64_t expires_at_ms) {
  SMALL_DB_ASSERT(is_key(key));
  std::byte* to = begin_operation(OperationType::kSetExpiry, kSetExpiryHeaderBytes + key.size());
  store<uint64_t>(to, expires_at_ms);
  copy_bytes(to + kSetExpiryHeaderBytes, key);
}

bool GuardView::holds(uint64_t revision) const noexcept {
  bool listed = false;
  for (size_t at = 0; at < revisions.size(); at += kRevisionBytes) {
    listed = listed || load<uint64_t>(revisions.data() + at) == revision;
  }
  switch (kind) {
    case GuardKind::kPresent:
      return revision != 0;
    case GuardKind::kAbsent:
      return revision == 0;
    case GuardKind::kRevisionIn:
      return revision != 0 && listed;
    case GuardKind::kRevisionNotIn:
      return revision == 0 || !listed;
  }
  return false;
}

Status WriteSetReader::take(size_t bytes, Bytes* piece) noexcept {
  if (bytes > bytes_.size() - at_) return invalid("write set: cut short");
  *piece = bytes_.subspan(at_, bytes);
  at_ += bytes;
  return Status::ok();
}

Status WriteSetReader::begin() noexcept {
  Bytes header;
  SMALL_DB_RETURN_IF_ERROR(take(kWriteSetHeaderBytes, &header));
  guards_ = load<uint32_t>(header.data());
  operations_ = load<uint32_t>(header.data() + kOperationsOffset);
  return operations_ == 0 ? invalid("write set: empty") : Status::ok();
}

Result<GuardView> WriteSetReader::next_guard() noexcept {
  Bytes header;
  SMALL_DB_RETURN_IF_ERROR(take(kGuardHeaderBytes, &header));
  const uint8_t kind = load<uint8_t>(header.data());
  const size_t revisions = load<uint32_t>(header.data() + 4);
  GuardView guard;
  guard.kind = static_cast<GuardKind>(kind);
  const bool takes_revisions =
      guard.kind == GuardKind::kRevisionIn || guard.kind == GuardKind::kRevisionNotIn;
  if (kind < static_cast<uint8_t>(GuardKind::kPresent) ||
      kind > static_cast<uint8_t>(GuardKind::kRevisionNotIn) ||
      load<uint8_t>(header.data() + 1) != 0 || (revisions != 0 && !takes_revisions)) {
    return invalid("write set: guard");
  }
  SMALL_DB_RETURN_IF_ERROR(take(revisions * kRevisionBytes, &guard.revisions));
  SMALL_DB_RETURN_IF_ERROR(take(load<uint16_t>(header.data() + 2), &guard.key));
  if (!is_key(guard.key)) return invalid("write set: key of a guard");
  return guard;
}

bool WriteSetReader::is_one_record() const noexcept {
  if (operations_ != 1 || at_ == bytes_.size()) return false;
  const auto type = static_cast<OperationType>(load<uint8_t>(bytes_.data() + at_));
  return type != OperationType::kEraseRange && type != OperationType::kReplaceRange;
}

Result<OperationView> WriteSetReader::next_operation() noexcept {
  Bytes header;
  SMALL_DB_RETURN_IF_ERROR(take(kOperationHeaderBytes, &header));
  Bytes content;
  SMALL_DB_RETURN_IF_ERROR(take(load<uint32_t>(header.data() + 4), &content));
  OperationView operation;
  operation.type = static_cast<OperationType>(load<uint8_t>(header.data()));
  Status status = invalid("write set: operation");
  switch (operation.type) {
    case OperationType::kRecord:
      status = read_record(content, &operation);
      break;
    case OperationType::kEraseRange:
    case OperationType::kReplaceRange:
      status = read_range(content, &operation);
      break;
    case OperationType::kAdd:
      status = read_add(content, &operation);
      break;
    case OperationType::kSetExpiry:
      status = read_set_expiry(content, &operation);
      break;
  }
  SMALL_DB_RETURN_IF_ERROR(status);
  return operation;
}

Status WriteSetReader::end() const noexcept {
  return at_ == bytes_.size() ? Status::ok() : invalid("write set: bytes behind the end");
}

std::vector<std::byte> end_of_prefix(Bytes prefix) {
  std::vector<std::byte> end(prefix.begin(), prefix.end());
  while (!end.empty() && end.back() == std::byte{0xff}) end.pop_back();
  if (!end.empty()) end.back() = static_cast<std::byte>(static_cast<uint8_t>(end.back()) + 1);
  return end;
}

}  // namespace small_db
