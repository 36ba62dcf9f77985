// One page of a list, and a count: walks over one state of the table, cut into steps that a caller
// spreads over time.
//
//   {"revision":R,"items":[ITEM,…],"prefixes":["…",…],"cursor":"…"?}
//   ITEM: {"key":"…","revision":R,"size":BYTES,"expires_at":"…"?,"value":"…"?,"encoding":"…"?}
//   {"revision":R,"count":N}
//
// With a delimiter, keys that have it behind the list's prefix are listed by what they have in
// common up to it, once each, and then skipped by a seek: the cost is one of such prefixes, not of
// keys. A page ends when it has `limit` items and prefixes together, or when one more would make it
// longer than kListPageBytesMax; one always fits. It has a cursor if and only if something follows.
//
// A record that has expired is absent: its key is passed over, and a prefix that only such keys
// have is not listed. A prefix that is not UTF-8 stands as
// {"prefix":"BASE64","prefix_encoding":"base64"}.
//
// Runs in a worker. All calls may throw std::bad_alloc.
#pragma once

#include <optional>
#include <string>

#include "engine/table/reader.h"
#include "ngx_module/api/list_query.h"

namespace small_db {

inline constexpr size_t kListPageBytesMax = 8 * kMiB;

class ListPage {
 public:
  // now_ms: by which records expire. REQUIRES: the snapshot is held while work() is called.
  ListPage(ListQuery query, const Snapshot& snapshot, uint64_t now_ms);

  // Looks at records until the page is done (true), or about `budget` microseconds are used up. A
  // value takes what it takes, in one go. Errors: kCorruption.
  Result<bool> work(size_t budget);

  // The answer, given away. REQUIRES: work() said that it is done.
  std::string release_body() noexcept { return std::move(body_); }

  size_t records_seen() const noexcept { return records_seen_; }

 private:
  Status position();
  Status step(size_t* cost);
  Status list_prefix(std::string prefix);
  Status list_item(const StoredRecord& record, size_t* cost);
  Status append_value(const StoredValue& value);
  Status advance();
  bool is_full(size_t next_bytes) const noexcept;
  std::optional<std::string> common_prefix(std::string_view key) const;
  void finish(bool has_more);

  ListQuery query_;
  uint64_t now_ms_;
  Cursor cursor_;
  bool positioned_ = false;
  bool done_ = false;
  size_t listed_ = 0;  // items and prefixes
  size_t records_seen_ = 0;
  ListPosition last_;
  std::string body_;
  std::string prefixes_;
  std::string value_;
};

class RangeCount {
 public:
  // As above.
  RangeCount(KeyRange range, const Snapshot& snapshot, uint64_t now_ms);
  Result<bool> work(size_t budget);
  std::string body() const;

 private:
  enum class Phase { kBegin, kKeys, kExpired, kDone };
  Status begin();
  Status count_keys(size_t budget);
  Status count_expired(size_t budget);

  KeyRange range_;
  uint64_t revision_;
  uint64_t now_ms_;
  uint64_t all_keys_;
  Cursor keys_;
  Cursor by_expiry_;
  uint64_t end_ = 0;  // the word of the record that ends the range; 0: none does
  uint64_t count_ = 0;
  Phase phase_ = Phase::kBegin;
};

}  // namespace small_db
