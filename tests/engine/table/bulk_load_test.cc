#include "engine/table/bulk_load.h"

#include "tests/engine/table/expiry_test_support.h"

namespace small_db {
namespace {

class BulkLoadTest : public ExpiryTest {
 protected:
  static Status load(Table& table, const std::string& key, uint64_t expires_at_ms) {
    RecordView view = put_view(key, "value", 1);
    view.expires_at_ms = expires_at_ms;
    return table.load(view);
  }
};

TEST_F(BulkLoadTest, BuildsTheTreeByExpiryOfThoseThatExpire) {
  std::mt19937_64 random(1);
  for (const int count : {0, 1, 2, 100, 300, 20000}) {
    for (const uint64_t times : {1, 7, 1'000'000}) {
      table_->clear();
      model_.clear();
      for (int i = 0; i < count; ++i) {
        const uint64_t expires_at_ms = random() % 3 == 0 ? 0 : 1 + random() % times;
        model_["key" + std::to_string(random())] = {"value", expires_at_ms};
      }
      revision_ = 0;
      begin();
      table_->begin_load();
      for (const auto& [key, record] : model_) {
        ASSERT_OK(load(*table_, key, record.expires_at_ms));
      }
      ASSERT_OK(table_->end_load());
      revision_ = 1;
      ASSERT_NO_FATAL_FAILURE(expect_model());
      commit();
      ASSERT_NO_FATAL_FAILURE(expect_snapshot(model_, snapshot()));
    }
  }
  for (int batch = 0; batch < 3; ++batch) {
    begin();
    for (int i = 0; i < 3000; ++i) {
      const auto found = model_.lower_bound("key" + std::to_string(random()));
      if (found == model_.end()) continue;
      const std::string key = found->first;
      ASSERT_OK(random() % 3 == 0 ? erase(key) : put(key, "other", random_expiry(random)));
    }
    commit();
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
}

// At the most keys that fit, one can still be taken out and put back.
TEST_F(BulkLoadTest, ALoadThatJustFitsLeavesRoomForChanges) {
  RegionMemory memory(kRegionBytesMin);
  Table table(memory.region());
  const auto loads = [&](int count) {
    table.clear();
    table.begin_batch(1);
    table.begin_load();
    for (int i = 0; i < count; ++i) {
      const Status status = load(table, std::to_string(1000000 + i), 1 + i * 7919 % 10007);
      EXPECT_TRUE(status.is_ok() || status.code() == Code::kNoMemory) << status.text();
      if (!status.is_ok()) return false;
    }
    return table.end_load().is_ok();
  };
  int fits = 1;
  int too_many = 200000;
  while (too_many - fits > 1) {
    const int middle = (fits + too_many) / 2;
    (loads(middle) ? fits : too_many) = middle;
  }
  ASSERT_TRUE(loads(fits));
  ASSERT_OK(table.erase(as_bytes("1000000"), 2));
  ASSERT_OK(table.put(put_view("1000000", "value", 3)));
  publish_root(memory.region(), table.seal_batch(3, 1, LogPosition()));
  ASSERT_OK(table.check());
}

}  // namespace
}  // namespace small_db
