#include "engine/record/content_sum.h"

namespace small_db {

void ContentSum::settle() noexcept {
  if (is_settled()) return;
  std::array<Hash128, kHashLanes> hashes;
  hash_in_lanes(std::span(noted_).first(count_), hashes.data());
  for (size_t i = 0; i < count_; ++i) {
    is_subtracted_[i] ? sum_.subtract(hashes[i]) : sum_.add(hashes[i]);
    if (keep_at_[i] != nullptr) store(keep_at_[i], hashes[i]);
  }
  count_ = 0;
}

const Hash128& ContentSum::settled() noexcept {
  settle();
  return sum_.value();
}

void ContentSum::reset(const Hash128& content) noexcept {
  sum_ = ContentHash(content);
  count_ = 0;
}

Hash128 ContentSum::value() const noexcept {
  ContentSum copy = *this;
  return copy.settled();
}

void ContentSum::note(const RecordInLane& record, bool is_subtracted, std::byte* keep_at) noexcept {
  if (record.key_and_value.size() < kLaneBytesMin) {
    const Bytes key = record.key_and_value.first(record.key_bytes);
    const Bytes value = record.key_and_value.subspan(record.key_bytes);
    const Hash128 hash =
        ContentHash::of_record(key, record.expires_at_ms, [&](const auto& visit) { visit(value); });
    is_subtracted ? sum_.subtract(hash) : sum_.add(hash);
    if (keep_at != nullptr) store(keep_at, hash);
    return;
  }
  noted_[count_] = record;
  is_subtracted_[count_] = is_subtracted;
  keep_at_[count_] = keep_at;
  if (++count_ == kHashLanes) settle();
}

}  // namespace small_db
