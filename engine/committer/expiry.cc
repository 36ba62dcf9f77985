// Records that have expired: absent from the moment they expire, for whoever looks; removed a
// little later, by deletes in the log like any other. Commit thread.
//
// A backup removes nothing: its primary's deletes come with the log. Readers decide by the clock.
// So does this file, and states the time that it decided by, so that a clock which is set back
// brings nothing back to life.
#include <algorithm>
#include <string>

#include "engine/committer/committer.h"

namespace small_db {
namespace {

// One batch removes so many, so that a million records that expire at once delay nobody.
constexpr size_t kRemovedKeysMax = 512;
// Records that expire one by one are removed together: each removal costs a sync.
constexpr uint64_t kRemovalEveryMs = 200;

}  // namespace

void Committer::tell_time() {
  // Relaxed: only the owner stores it.
  const uint64_t told = region_.header().expiry_clock_ms.load(std::memory_order_relaxed);
  now_ms_ = std::max(clock_.wall_ms(), told);
}

bool Committer::is_expired(const StoredRecord& record) {
  if (record.expires_at_ms == 0 || record.expires_at_ms > now_ms_) return false;
  // Before the answer that stands on it is published.
  region_.header().expiry_clock_ms.store(now_ms_, std::memory_order_relaxed);
  return true;
}

uint64_t Committer::next_removal_ms() const {
  if (refusal_ != Code::kOk || !is_primary_) return UINT64_MAX;
  const Result<uint64_t> next = table_.next_expiry_ms();
  if (!next.is_ok() || next.value() == 0) return UINT64_MAX;
  return std::max(next.value(), next_removal_ms_);
}

// Removes what has expired, as one request of the frame. What finds no room waits for a later
// batch.
void Committer::remove_expired(Batch& batch) {
  if (has_removed_ || now_ms_ < next_removal_ms()) return;
  std::vector<std::string> keys;
  if (!table_.collect_expired(now_ms_, kRemovedKeysMax, &keys).is_ok()) return;
  region_.header().expiry_clock_ms.store(now_ms_, std::memory_order_relaxed);
  uint32_t removed = 0;
  for (const std::string& key : keys) {
    const RecordView record{RecordType::kDelete, next_revision_, 0, as_bytes(key), {}};
    const size_t bytes = record_bytes(record);
    std::byte* to = batch.frame.append(bytes);
    if (to == nullptr) break;
    encode_record(record, to);
    Status status = admit(RecordType::kDelete, batch);
    if (status.is_ok()) status = table_.erase(record.key, next_revision_);
    if (!status.is_ok()) {
      batch.frame.unappend(bytes);
      break;
    }
    ++removed;
  }
  // With more to remove, the next batch goes on at once.
  next_removal_ms_ = removed == kRemovedKeysMax ? 0 : now_ms_ + kRemovalEveryMs;
  if (removed == 0) return;
  has_removed_ = true;
  batch.frame.add_request(kNoSlot, 0, ++removals_);
  batch.frame.count_records(removed);
  add_relaxed(region_.header().expired, removed);
  ++next_revision_;
}

}  // namespace small_db
