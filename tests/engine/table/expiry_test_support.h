// What the tests of records that expire share: a model of both orders, and a table to compare it
// with.
#pragma once

#include <algorithm>
#include <set>
#include <utility>

#include "tests/engine/table/table_test_support.h"

namespace small_db {

struct ModelRecord {
  std::string value;
  uint64_t expires_at_ms = 0;  // 0: never
};
using ExpiryModel = std::map<std::string, ModelRecord>;

// Those that expire, as the tree by expiry orders them.
inline std::set<std::pair<uint64_t, std::string>> by_expiry(const ExpiryModel& model) {
  std::set<std::pair<uint64_t, std::string>> order;
  for (const auto& [key, record] : model) {
    if (record.expires_at_ms != 0) order.emplace(record.expires_at_ms, key);
  }
  return order;
}

inline void expect_expiry_order(const ExpiryModel& model, Cursor cursor) {
  Status status = cursor.seek_first();
  for (const auto& [expires_at_ms, key] : by_expiry(model)) {
    ASSERT_TRUE(status.is_ok()) << status.text();
    ASSERT_TRUE(cursor.is_valid());
    const StoredRecord record = cursor.record().value();
    ASSERT_EQ(record.expires_at_ms, expires_at_ms);
    ASSERT_EQ(as_text(record.key), key);
    status = cursor.next();
  }
  ASSERT_TRUE(status.is_ok() && !cursor.is_valid());
}

inline void expect_key_order(const ExpiryModel& model, Cursor cursor) {
  Status status = cursor.seek_first();
  for (const auto& [key, expected] : model) {
    ASSERT_TRUE(status.is_ok()) << status.text();
    ASSERT_TRUE(cursor.is_valid());
    const StoredRecord record = cursor.record().value();
    ASSERT_EQ(as_text(record.key), key);
    ASSERT_EQ(value_text(record.value), expected.value);
    ASSERT_EQ(record.expires_at_ms, expected.expires_at_ms);
    status = cursor.next();
  }
  ASSERT_TRUE(status.is_ok() && !cursor.is_valid());
}

// Half of them never expire; few times, so that many expire at the same.
inline uint64_t random_expiry(std::mt19937_64& random) {
  return random() % 2 == 0 ? 0 : 1'700'000'000'000 + random() % 50 * 100;
}

// A table beside its model. What a table refuses must leave it as the model still is.
class ExpiryTest : public ::testing::Test {
 protected:
  explicit ExpiryTest(size_t region_bytes = 8 * kMiB)
      : memory_(region_bytes), region_(memory_.region()) {
    pins_.emplace(region_, claim_slot(region_).value().index);
    table_->clear();
  }

  void begin() { table_->begin_batch(revision_ + 1); }

  // A whole change takes one revision.
  void begin_change() {
    table_->begin_change(revision_ + 1);
    before_change_ = model_;
    in_change_ = true;
  }

  void keep_change() {
    table_->keep_change();
    in_change_ = false;
    ++revision_;
  }

  void undo_change() {
    table_->undo_change();
    in_change_ = false;
    model_ = before_change_;
  }

  Status put(const std::string& key, const std::string& value, uint64_t expires_at_ms = 0) {
    RecordView view = put_view(key, value, revision_ + 1);
    view.expires_at_ms = expires_at_ms;
    const Status status = table_->put(view);
    if (!status.is_ok()) return status;
    if (!in_change_) ++revision_;
    model_[key] = {value, expires_at_ms};
    return status;
  }

  Status erase(const std::string& key) {
    bool existed = false;
    const Status status = table_->erase(as_bytes(key), revision_ + 1, &existed);
    if (!status.is_ok()) return status;
    if (!in_change_) ++revision_;
    EXPECT_EQ(existed, model_.erase(key) == 1);
    return status;
  }

  // A put or an erase. A few keys are touched often, so also twice in one change.
  Status do_something(std::mt19937_64& random, int keys) {
    const std::string key = "key" + std::to_string(random() % (random() % 3 == 0 ? 20 : keys));
    if (random() % 3 == 0) return erase(key);
    // In extents, long enough to keep a hash, and short.
    const uint64_t kind = random() % 40;
    const size_t bytes = kind == 0 ? 50000 : random() % (kind < 4 ? 20000 : 150);
    return put(key, std::string(bytes, static_cast<char>('a' + random() % 26)),
               random_expiry(random));
  }

  BlockRef seal() { return table_->seal_batch(revision_, 1, LogPosition()); }

  void publish(BlockRef root) {
    publish_root(region_, root);
    published_ = model_;
    published_revision_ = revision_;
  }

  void commit() { publish(seal()); }

  // The table goes back to what is published, and so does the model.
  void forget_unpublished() {
    model_ = published_;
    revision_ = published_revision_;
    in_change_ = false;
  }

  Snapshot snapshot() { return Snapshot::take(*pins_).value(); }

  // What the table holds is what the model says, to the byte of the arena.
  void expect_model() {
    ASSERT_OK(table_->check());
    ASSERT_NO_FATAL_FAILURE(expect_key_order(model_, table_->cursor()));
    const auto order = by_expiry(model_);
    EXPECT_EQ(table_->next_expiry_ms().value(), order.empty() ? 0 : order.begin()->first);
  }

  void expect_snapshot(const ExpiryModel& model, const Snapshot& state) {
    ASSERT_NO_FATAL_FAILURE(expect_key_order(model, state.cursor()));
    ASSERT_NO_FATAL_FAILURE(expect_expiry_order(model, state.expiry_cursor()));
  }

  RegionMemory memory_;
  Region region_;
  std::optional<SlotPins> pins_;
  std::unique_ptr<Table> table_ = std::make_unique<Table>(region_);
  uint64_t revision_ = 0;
  uint64_t published_revision_ = 0;
  ExpiryModel model_;
  ExpiryModel published_;
  ExpiryModel before_change_;
  bool in_change_ = false;
};

// Takes most of the arena's memory, so that whatever asks for more soon finds none.
class ArenaHog {
 public:
  explicit ArenaHog(Table& table) : table_(table) {}

  // Takes all, in shorter and shorter pieces, then gives back some of the shortest, apart from each
  // other.
  void take(std::mt19937_64& random, int pieces) {
    for (const uint32_t bytes : {30000U, 3000U, 300U, 24U, 8U}) {
      for (;;) {
        const Result<BlockRef> block = table_.reserve_put(put_view("hog", "", 0), bytes);
        if (!block.is_ok()) break;
        taken_.push_back(block.value());
      }
    }
    for (int i = 0; i < pieces && !taken_.empty(); ++i) {
      give_back(taken_.size() - 1 - random() % std::min<size_t>(taken_.size(), 20));
    }
  }

  void give_back(size_t index) {
    table_.discard_put(taken_[index]);
    taken_[index] = taken_.back();
    taken_.pop_back();
  }

  void give_all_back() {
    while (!taken_.empty()) give_back(taken_.size() - 1);
  }

 private:
  Table& table_;
  std::vector<BlockRef> taken_;
};

}  // namespace small_db
