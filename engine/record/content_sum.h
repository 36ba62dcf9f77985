// The hash of a content that is being built: records that are added and subtracted are noted, and
// hashed eight at a time (content_hash_lanes.h). One thread.
//
// Who notes a record keeps its bytes as they are until it is settled. By then its hash stands where
// it is to be kept, for who takes the record away again.
#pragma once

#include <array>
#include <cstddef>

#include "engine/record/content_hash.h"
#include "engine/record/content_hash_lanes.h"

namespace small_db {

class ContentSum {
 public:
  // keep_at: 16 bytes to keep the record's hash in; or nullptr.
  void add(const RecordInLane& record, std::byte* keep_at = nullptr) noexcept {
    note(record, false, keep_at);
  }
  void subtract(const RecordInLane& record) noexcept { note(record, true, nullptr); }
  // The same of a record that is hashed already.
  void add(const Hash128& record) noexcept { sum_.add(record); }
  void subtract(const Hash128& record) noexcept { sum_.subtract(record); }

  // Hashes what was noted: nobody's bytes are needed any more.
  void settle() noexcept;
  bool is_settled() const noexcept { return count_ == 0; }
  const Hash128& settled() noexcept;

  // Goes on from `content`, and forgets what was noted.
  void reset(const Hash128& content = {}) noexcept;

  // Of all that was added and subtracted. Takes the time of hashing what is not settled.
  Hash128 value() const noexcept;

 private:
  void note(const RecordInLane& record, bool is_subtracted, std::byte* keep_at) noexcept;

  ContentHash sum_;
  std::array<RecordInLane, kHashLanes> noted_;
  std::array<bool, kHashLanes> is_subtracted_ = {};
  std::array<std::byte*, kHashLanes> keep_at_ = {};
  size_t count_ = 0;  // of those noted
};

}  // namespace small_db
