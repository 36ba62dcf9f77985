#include "ngx_module/api/line_batch.h"

#include <new>

namespace small_db {
namespace {

bool is_blank(std::string_view line) noexcept {
  return line.find_first_not_of(" \t\r") == std::string_view::npos;
}

}  // namespace

std::optional<std::string_view> LineReader::next(bool is_last) {
  const size_t end = buffer_.find('\n', scanned_);
  if (end != std::string::npos) {
    const std::string_view line(buffer_.data() + at_, end - at_);
    at_ = scanned_ = end + 1;
    return line;
  }
  if (is_last && at_ < buffer_.size()) {
    const std::string_view line(buffer_.data() + at_, buffer_.size() - at_);
    at_ = scanned_ = buffer_.size();
    return line;
  }
  buffer_.erase(0, at_);
  at_ = 0;
  scanned_ = buffer_.size();
  return std::nullopt;
}

LineBatch::LineBatch(const OperationLimits& limits, Purpose purpose, std::string prefix)
    : limits_(limits),
      purpose_(purpose),
      prefix_(std::move(prefix)),
      parser_(limits),
      entries_(new (memory_.allocate(sizeof(Entries), alignof(Entries))) Entries(&memory_)) {}

size_t LineBatch::line_bytes_max() const noexcept {
  constexpr size_t kEscapedBytes = 6;  // \u00XX
  constexpr size_t kRoom = 4096;       // for the members and white space
  return (limits_.key_bytes_max + limits_.value_bytes_max) * kEscapedBytes + kRoom;
}

Problem LineBatch::too_long(size_t bytes) const noexcept {
  constexpr const char* kWhy =
      " bytes or more, which no key and value within max_key_size and max_value_size need";
  return make_problem(ProblemKind::kTooLarge, {"line ", uint64_t{line_} + 1, " has ", bytes, kWhy});
}

std::optional<Problem> LineBatch::add(std::string_view line) {
  ++line_;
  if (is_blank(line)) return std::nullopt;
  if (const auto fault = parser_.parse_line(line, &operation_)) return refuse(*fault);
  if (purpose_ == Purpose::kContents) {
    if (operation_.kind == OperationKind::kDelete) {
      return refuse_key(operation_.key, "a set that is to be has no deletes");
    }
    if (std::string_view(operation_.key).substr(0, prefix_.size()) != prefix_) {
      return refuse_key(operation_.key, "it does not begin with the prefix");
    }
  }
  return enter(operation_);
}

std::optional<Problem> LineBatch::enter(const Operation& operation) {
  const auto found = entries_->lower_bound(as_bytes(operation.key));
  if (found != entries_->end() && as_text(found->first) == operation.key) {
    return make_problem(ProblemKind::kInvalidOperation,
                        {"line ", uint64_t{line_}, ": the key '", QuotedInput(operation.key).text(),
                         "' stands in line ", uint64_t{found->second.line}, " already"});
  }
  const bool is_delete = operation.kind == OperationKind::kDelete;
  RecordView record;
  record.expires_at_ms = operation.expires_at_ms;
  record.key = as_bytes(operation.key);
  record.value = as_bytes(operation.value);
  set_bytes_ += kWriteSetOperationBytes + record_bytes(record);
  if (set_bytes_ > kWriteSetBytesMax) {
    return make_problem(ProblemKind::kTooLarge,
                        {"line ", uint64_t{line_}, ": keys and values are more than the ",
                         uint64_t{kWriteSetBytesMax}, " bytes that can be written at once"});
  }
  const Bytes key = keep(operation.key);
  entries_->emplace_hint(found, key,
                         Entry{keep(operation.value), operation.expires_at_ms, line_, is_delete});
  return std::nullopt;
}

Bytes LineBatch::keep(std::string_view text) {
  if (text.empty()) return {};
  auto* bytes = static_cast<std::byte*>(memory_.allocate(text.size(), 1));
  copy_bytes(bytes, as_bytes(text));
  return {bytes, text.size()};
}

std::optional<Problem> LineBatch::refuse(const JsonFault& fault) const {
  const std::string_view cause = fault.cause;
  if (fault.is_too_large) {
    return make_problem(ProblemKind::kTooLarge, {"line ", uint64_t{line_}, ": ", cause});
  }
  const ProblemKind kind =
      fault.is_syntax ? ProblemKind::kInvalidBody : ProblemKind::kInvalidOperation;
  return make_problem(kind,
                      {"at byte ", fault.position, " of line ", uint64_t{line_}, ": ", cause});
}

std::optional<Problem> LineBatch::refuse_key(std::string_view key, const char* why) const {
  return make_problem(ProblemKind::kInvalidOperation, {"line ", uint64_t{line_}, ": the key '",
                                                       QuotedInput(key).text(), "': ", why});
}

bool LineBatch::build(size_t bytes_max, WriteSetBuilder* set) {
  if (!building_) {
    building_ = true;
    next_ = entries_->begin();
    set->reserve(set_bytes_);
    if (purpose_ == Purpose::kContents) {
      const Bytes start = as_bytes(prefix_);
      set->replace_range(start, end_of_prefix(start));
    }
  }
  const size_t bytes_before = set->bytes().size();
  for (; next_ != entries_->end(); ++next_) {
    if (set->bytes().size() - bytes_before >= bytes_max) return true;
    const Entry& entry = next_->second;
    if (entry.is_delete) {
      set->erase(next_->first);
    } else {
      set->put(next_->first, entry.value, entry.expires_at_ms);
    }
  }
  return false;
}

}  // namespace small_db
