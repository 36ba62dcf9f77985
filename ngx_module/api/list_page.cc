#include "ngx_module/api/list_page.h"

#include <array>
#include <charconv>
#include <limits>

#include "ngx_module/api/base64.h"
#include "ngx_module/api/expiry.h"
#include "ngx_module/api/json_key.h"
#include "ngx_module/api/json_text.h"
#include "ngx_module/api/utf8.h"

namespace small_db {
namespace {

// What an item takes beside its key and value, at most; and a byte of either, as JSON.
constexpr size_t kItemBytesMax = 200;
constexpr size_t kEscapedByteMax = 6;

constexpr size_t kValueBytesPerMicrosecond = 1024;

// A page of a hundred items without values; a longer one grows by doubling.
constexpr size_t kUsualPageBytes = 8 * kKiB;

void append_key(Bytes key, std::string* to) {
  const JsonKey member(key);
  const size_t at = to->size();
  to->resize(at + member.bytes());
  member.write(to->data() + at);
}

void append_number(uint64_t number, std::string* to) {
  std::array<char, std::numeric_limits<uint64_t>::digits10 + 1> digits;
  const auto end = std::to_chars(digits.data(), digits.data() + digits.size(), number).ptr;
  to->append(digits.data(), end);
}

void append_escaped(std::string_view text, std::string* to) {
  const size_t at = to->size();
  to->resize(at + json_escaped_bytes(text));
  write_json_escaped(text, to->data() + at);
}

void append_base64(Bytes bytes, std::string* to) {
  const size_t at = to->size();
  to->resize(at + base64_encoded_bytes(bytes.size()));
  Base64Encoder encoder(to->data() + at);
  encoder.add(bytes);
  encoder.finish();
}

void append_prefix(std::string_view prefix, std::string* to) {
  if (is_utf8(as_bytes(prefix))) {
    *to += '"';
    append_escaped(prefix, to);
    *to += '"';
    return;
  }
  *to += R"({"prefix":")";
  append_base64(as_bytes(prefix), to);
  *to += R"(","prefix_encoding":"base64"})";
}

bool has_expired(const StoredRecord& record, uint64_t now_ms) noexcept {
  return record.expires_at_ms != 0 && record.expires_at_ms <= now_ms;
}

}  // namespace

ListPage::ListPage(ListQuery query, const Snapshot& snapshot, uint64_t now_ms)
    : query_(std::move(query)), now_ms_(now_ms), cursor_(snapshot.cursor()) {
  body_.reserve(kUsualPageBytes);
  body_ += "{\"revision\":";
  append_number(snapshot.root().revision, &body_);
  body_ += ",\"items\":[";
}

Result<bool> ListPage::work(size_t budget) {
  for (size_t used = 0; !done_ && used < budget;) {
    size_t cost = 1;
    SMALL_DB_RETURN_IF_ERROR(step(&cost));
    used += cost;
  }
  return done_;
}

// To the first record of what is left.
Status ListPage::position() {
  positioned_ = true;
  const KeyRange& range = query_.range;
  if (!query_.is_reverse) return cursor_.seek(as_bytes(range.low));
  if (!range.has_high) return cursor_.seek_last();
  SMALL_DB_RETURN_IF_ERROR(cursor_.seek(as_bytes(range.high)));
  return cursor_.is_valid() ? cursor_.previous() : cursor_.seek_last();
}

Status ListPage::advance() { return query_.is_reverse ? cursor_.previous() : cursor_.next(); }

Status ListPage::step(size_t* cost) {
  if (!positioned_) {
    if (!query_.range.is_empty()) SMALL_DB_RETURN_IF_ERROR(position());
  }
  if (query_.range.is_empty() || !cursor_.is_valid()) {
    finish(false);
    return Status::ok();
  }
  const Result<StoredRecord> record = cursor_.record();
  if (!record.is_ok()) return record.status();
  records_seen_++;
  const std::string_view key = as_text(record.value().key);
  if (!query_.range.has(key)) {
    finish(false);
    return Status::ok();
  }
  if (has_expired(record.value(), now_ms_)) return advance();
  if (auto prefix = common_prefix(key)) return list_prefix(std::move(*prefix));
  return list_item(record.value(), cost);
}

std::optional<std::string> ListPage::common_prefix(std::string_view key) const {
  if (query_.delimiter.empty()) return std::nullopt;
  const size_t at = key.find(query_.delimiter, query_.prefix.size());
  if (at == std::string_view::npos) return std::nullopt;
  return std::string(key.substr(0, at + query_.delimiter.size()));
}

bool ListPage::is_full(size_t next_bytes) const noexcept {
  if (listed_ == query_.limit) return true;
  return listed_ != 0 && body_.size() + prefixes_.size() + next_bytes > kListPageBytesMax;
}

Status ListPage::list_prefix(std::string prefix) {
  if (is_full(prefix.size() * kEscapedByteMax)) {
    finish(true);
    return Status::ok();
  }
  if (!prefixes_.empty()) prefixes_ += ',';
  append_prefix(prefix, &prefixes_);
  listed_++;
  last_ = {ListPosition::Kind::kPrefix, std::move(prefix)};
  go_on_behind(last_, query_.is_reverse, &query_.range);
  positioned_ = false;
  return Status::ok();
}

Status ListPage::list_item(const StoredRecord& record, size_t* cost) {
  const size_t value_bytes = query_.has_values ? record.value.bytes() : 0;
  const size_t value_shown = query_.encoding == ValueEncoding::kUtf8
                                 ? value_bytes * kEscapedByteMax
                                 : base64_encoded_bytes(value_bytes);
  if (is_full(kItemBytesMax + record.key.size() * kEscapedByteMax + value_shown)) {
    finish(true);
    return Status::ok();
  }
  last_.kind = ListPosition::Kind::kKey;
  last_.bytes.assign(as_text(record.key));
  body_ += body_.back() == '[' ? "{" : ",{";
  append_key(as_bytes(last_.bytes), &body_);
  body_ += ",\"revision\":";
  append_number(record.revision, &body_);
  body_ += ",\"size\":";
  append_number(record.value.bytes(), &body_);
  if (record.expires_at_ms != 0) {
    body_ += ",\"expires_at\":\"";
    body_ += ExpiryText(record.expires_at_ms).text();
    body_ += '"';
  }
  if (query_.has_values) SMALL_DB_RETURN_IF_ERROR(append_value(record.value));
  body_ += '}';
  listed_++;
  *cost += value_bytes / kValueBytesPerMicrosecond;
  return advance();
}

// Of a copy: what is looked at must be what is written, whatever another process does to memory.
Status ListPage::append_value(const StoredValue& value) {
  value_.resize(value.bytes());
  SMALL_DB_RETURN_IF_ERROR(value.copy_to(reinterpret_cast<std::byte*>(value_.data())));
  body_ += ",\"value\":\"";
  if (query_.encoding == ValueEncoding::kUtf8 && is_utf8(as_bytes(value_))) {
    append_escaped(value_, &body_);
    body_ += R"(","encoding":"utf-8")";
  } else {
    append_base64(as_bytes(value_), &body_);
    body_ += R"(","encoding":"base64")";
  }
  return Status::ok();
}

void ListPage::finish(bool has_more) {
  done_ = true;
  body_ += R"(],"prefixes":[)";
  body_ += prefixes_;
  body_ += ']';
  if (has_more) body_ += ",\"cursor\":\"" + list_cursor(query_, last_) + '"';
  body_ += '}';
}

RangeCount::RangeCount(KeyRange range, const Snapshot& snapshot, uint64_t now_ms)
    : range_(std::move(range)),
      revision_(snapshot.root().revision),
      now_ms_(now_ms),
      all_keys_(snapshot.root().keys),
      keys_(snapshot.cursor()),
      by_expiry_(snapshot.expiry_cursor()) {}

Result<bool> RangeCount::work(size_t budget) {
  if (phase_ == Phase::kBegin) SMALL_DB_RETURN_IF_ERROR(begin());
  // A step over a key is one within a node; one over an expired record reads the record.
  constexpr size_t kKeysPerMicrosecond = 20;
  if (phase_ == Phase::kKeys) {
    SMALL_DB_RETURN_IF_ERROR(count_keys(budget * kKeysPerMicrosecond));
  } else if (phase_ == Phase::kExpired) {
    SMALL_DB_RETURN_IF_ERROR(count_expired(budget));
  }
  return phase_ == Phase::kDone;
}

// The root knows how many keys there are; of a part of them, the end's place is looked up once, so
// that no key is compared on the way.
Status RangeCount::begin() {
  phase_ = Phase::kExpired;
  SMALL_DB_RETURN_IF_ERROR(by_expiry_.seek_first());
  if (range_.is_whole()) {
    count_ = all_keys_;
    return Status::ok();
  }
  if (range_.is_empty()) {
    phase_ = Phase::kDone;
    return Status::ok();
  }
  phase_ = Phase::kKeys;
  if (range_.has_high) {
    SMALL_DB_RETURN_IF_ERROR(keys_.seek(as_bytes(range_.high)));
    if (keys_.is_valid()) end_ = keys_.record_ref().word();
  }
  return keys_.seek(as_bytes(range_.low));
}

Status RangeCount::count_keys(size_t budget) {
  for (; budget != 0; budget--) {
    if (!keys_.is_valid() || keys_.record_ref().word() == end_) {
      phase_ = Phase::kExpired;
      return Status::ok();
    }
    count_++;
    SMALL_DB_RETURN_IF_ERROR(keys_.next());
  }
  return Status::ok();
}

// Records that have expired and are not removed yet.
Status RangeCount::count_expired(size_t budget) {
  for (; budget != 0; budget--) {
    if (!by_expiry_.is_valid()) break;
    const Result<StoredRecord> record = by_expiry_.record();
    if (!record.is_ok()) return record.status();
    if (!has_expired(record.value(), now_ms_)) break;
    if (range_.has(as_text(record.value().key)) && count_ != 0) count_--;
    SMALL_DB_RETURN_IF_ERROR(by_expiry_.next());
  }
  if (budget != 0) phase_ = Phase::kDone;
  return Status::ok();
}

std::string RangeCount::body() const {
  return "{\"revision\":" + std::to_string(revision_) + ",\"count\":" + std::to_string(count_) +
         '}';
}

}  // namespace small_db
