// What the tests of the table share: a region in memory of their own, and a model to compare with.
#pragma once

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <cstdint>
#include <map>
#include <optional>
#include <random>
#include <string>
#include <string_view>
#include <vector>

#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/table/table.h"

namespace small_db {

using Model = std::map<std::string, std::string>;

#define ASSERT_OK(expression)                             \
  do {                                                    \
    const ::small_db::Status ok_status_ = (expression);   \
    ASSERT_TRUE(ok_status_.is_ok()) << ok_status_.text(); \
  } while (false)

// A formatted region in shared memory, so that forked children use the same one. The page behind it
// can't be read: who leaves the arena at its end dies.
class RegionMemory {
 public:
  explicit RegionMemory(size_t bytes, uint32_t slots = 8) : bytes_(bytes) {
    void* memory = mmap(nullptr, bytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SMALL_DB_ASSERT(memory != MAP_FAILED);
    memory_ = static_cast<std::byte*>(memory);
    SMALL_DB_ASSERT(mprotect(memory_ + bytes, kGuardBytes, PROT_NONE) == 0);
    RegionConfig config;
    config.slot_count = slots;
    config.submission_bytes = 16 * kKiB;
    const Status status = Region::format({memory_, bytes_}, config);
    SMALL_DB_ASSERT(status.is_ok());
  }
  ~RegionMemory() { munmap(memory_, bytes_ + kGuardBytes); }
  RegionMemory(const RegionMemory&) = delete;
  RegionMemory& operator=(const RegionMemory&) = delete;

  Region region() const { return Region::attach({memory_, bytes_}).value(); }

 private:
  static constexpr size_t kGuardBytes = 4096;

  std::byte* memory_;
  size_t bytes_;
};

inline std::string value_text(const StoredValue& value) {
  std::string text(value.bytes(), '\0');
  const Status status = value.copy_to(reinterpret_cast<std::byte*>(text.data()));
  return status.is_ok() ? text : "(" + status.text() + ")";
}

// Key and value must outlive the view.
inline RecordView put_view(std::string_view key, std::string_view value, uint64_t revision) {
  RecordView view;
  view.revision = revision;
  view.key = as_bytes(key);
  view.value = as_bytes(value);
  return view;
}

// Reads all of a state by both directions of a cursor, and each key by find.
inline void expect_state(const Model& model, Cursor cursor) {
  Status status = cursor.seek_first();
  for (const auto& [key, value] : model) {
    ASSERT_TRUE(status.is_ok()) << status.text();
    ASSERT_TRUE(cursor.is_valid());
    const StoredRecord record = cursor.record().value();
    ASSERT_EQ(as_text(record.key), key);
    ASSERT_EQ(value_text(record.value), value);
    status = cursor.next();
  }
  ASSERT_FALSE(cursor.is_valid());
  status = cursor.seek_last();
  for (auto entry = model.rbegin(); entry != model.rend(); ++entry) {
    ASSERT_TRUE(status.is_ok() && cursor.is_valid());
    ASSERT_EQ(as_text(cursor.record().value().key), entry->first);
    status = cursor.previous();
  }
  ASSERT_FALSE(cursor.is_valid());
}

inline void expect_state(const Model& model, const Snapshot& snapshot) {
  ASSERT_EQ(snapshot.root().keys, model.size());
  expect_state(model, snapshot.cursor());
  for (const auto& [key, value] : model) {
    const Result<StoredRecord> record = snapshot.find(as_bytes(key));
    ASSERT_TRUE(record.is_ok()) << record.status().text();
    ASSERT_EQ(value_text(record.value().value), value);
  }
}

// A table with a writer and one reader's slot. Each request takes one revision.
class TableTest : public ::testing::Test {
 protected:
  explicit TableTest(size_t region_bytes = 16 * kMiB)
      : memory_(region_bytes), region_(memory_.region()), table_(region_) {
    slot_ = claim_slot(region_).value();
    pins_.emplace(region_, slot_.index);
    table_.clear();
  }

  void begin() { table_.begin_batch(revision_ + 1); }

  Status put(const std::string& key, const std::string& value) {
    const Status status = table_.put(put_view(key, value, revision_ + 1));
    if (status.is_ok()) {
      ++revision_;
      model_[key] = value;
    }
    return status;
  }

  Status erase(const std::string& key) {
    bool existed = false;
    const Status status = table_.erase(as_bytes(key), revision_ + 1, &existed);
    if (!status.is_ok()) return status;
    ++revision_;
    EXPECT_EQ(existed, model_.erase(key) == 1);
    return status;
  }

  BlockRef seal() { return table_.seal_batch(revision_, 1, LogPosition()); }

  void commit() { publish_root(region_, seal()); }

  Snapshot snapshot() { return Snapshot::take(*pins_).value(); }

  RegionMemory memory_;
  Region region_;
  Table table_;
  ClaimedSlot slot_;
  std::optional<SlotPins> pins_;
  uint64_t revision_ = 0;
  Model model_;
};

}  // namespace small_db
