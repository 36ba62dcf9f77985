#include "engine/table/bulk_builder.h"

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

constexpr uint32_t kLeafFill = kLeafCapacity * 9 / 10;
constexpr uint32_t kInnerFill = kInnerCapacity * 9 / 10;

class BulkBuilderTest : public TableTest {
 protected:
  explicit BulkBuilderTest(size_t bytes = 64 * kMiB) : TableTest(bytes) {}

  Status load(const std::string& key, const std::string& value) {
    const Status status = table_.load(put_view(key, value, ++revision_));
    if (status.is_ok()) model_[key] = value;
    return status;
  }

  void load_count(uint32_t count) {
    table_.clear();
    model_.clear();
    begin();
    table_.begin_load();
    for (uint32_t i = 0; i < count; ++i) {
      char key[24];
      snprintf(key, sizeof key, "some/key/%08u", i * 3);
      ASSERT_OK(load(key, "v"));
    }
    ASSERT_OK(table_.end_load());
  }

  // Random puts and erases, over several batches.
  void change_much(int batches) {
    for (int batch = 0; batch < batches; ++batch) {
      begin();
      for (int i = 0; i < 2000; ++i) {
        char key[24];
        snprintf(key, sizeof key, "some/key/%08u",
                 static_cast<unsigned>(random_() % (3 * model_.size() + 10)));
        ASSERT_OK(random_() % 3 == 0 ? put(key, "changed") : erase(key));
      }
      commit();
      ASSERT_OK(table_.check());
    }
  }

  std::mt19937 random_{3};
};

class LargeBulkBuilderTest : public BulkBuilderTest {
 protected:
  LargeBulkBuilderTest() : BulkBuilderTest(160 * kMiB) {}
};

TEST_F(BulkBuilderTest, EveryCountAroundTheEndsOfNodesGivesARightTree) {
  constexpr uint32_t kInnerKeys = kLeafFill * (kInnerFill + 1);
  for (const uint32_t around : {1U, kLeafFill, 2 * kLeafFill, kInnerKeys, kInnerKeys + kLeafFill,
                                kInnerKeys + 2 * kLeafFill, 2 * kInnerKeys}) {
    for (uint32_t count = around - 1; count <= around + 1; ++count) {
      load_count(count);
      ASSERT_OK(table_.check());
      commit();
      expect_state(model_, snapshot());
    }
  }
}

TEST_F(BulkBuilderTest, LaterPutsAndErasesWork) {
  for (const uint32_t count : {0U, 5U, 500U, 20000U}) {
    load_count(count);
    commit();
    change_much(6);
    expect_state(model_, snapshot());
  }
}

TEST_F(BulkBuilderTest, AnEmptiedTreeIsEmpty) {
  load_count(9000);
  commit();
  begin();
  const Model all = model_;
  for (const auto& entry : all) ASSERT_OK(erase(entry.first));
  commit();
  ASSERT_OK(table_.check());
  EXPECT_EQ(table_.published()->tree_height, 0u);
}

TEST_F(LargeBulkBuilderTest, ATreeOfFourLevelsIsRight) {
  load_count(kLeafFill * (kInnerFill + 2) * (kInnerFill + 2));
  commit();
  EXPECT_EQ(table_.published()->tree_height, 4u);
  ASSERT_OK(table_.check());
  change_much(1);
}

TEST_F(BulkBuilderTest, KeysOfAnyKindAreTaken) {
  Model sorted;
  for (int i = 0; i < 3000; ++i) {
    std::string key(random_() % 40 + 1, '\0');
    for (char& c : key) c = static_cast<char>(random_() % 3 * 127);
    sorted[key] = std::string(random_() % 50, 'v');
  }
  for (int i = 0; i < 300; ++i) {
    std::string key(kKeyBytesMax - 3, 'k');
    key += std::to_string(100 + i);
    sorted[key] = i % 50 == 0 ? std::string(100000, 'e') : "";
  }
  begin();
  table_.begin_load();
  for (const auto& [key, value] : sorted) ASSERT_OK(load(key, value));
  ASSERT_OK(table_.end_load());
  commit();
  ASSERT_OK(table_.check());
  expect_state(sorted, snapshot());
  begin();
  for (const auto& [key, value] : sorted) {
    if (random_() % 2 == 0) ASSERT_OK(erase(key));
  }
  commit();
  ASSERT_OK(table_.check());
  expect_state(model_, snapshot());
}

TEST_F(BulkBuilderTest, LeavesAreNearlyFull) {
  load_count(50000);
  commit();
  const uint64_t nodes = 50000 / kLeafFill * 102 / 100;
  const uint64_t records = align_up(kRecordHeaderBytes + 17 + 1, kGranuleBytes) * 50000;
  const uint64_t separators = 32 * nodes;
  EXPECT_LT(table_.used_bytes(), records + separators + (nodes + kReserveNodes + 4) * kNodeBytes);
}

TEST_F(BulkBuilderTest, KeysThatDoNotAscendAreRefused) {
  for (const std::string second : {"b", "a", "aa"}) {
    table_.clear();
    begin();
    table_.begin_load();
    ASSERT_OK(load("b", "1"));
    EXPECT_EQ(load(second, "2").code(), Code::kCorruption) << second;
  }
}

TEST_F(BulkBuilderTest, ALoadThatDoesNotFitFailsAndClears) {
  RegionMemory memory(kRegionBytesMin);
  Table table(memory.region());
  table.clear();
  table.begin_batch(1);
  table.begin_load();
  Status status;
  for (int i = 0; status.is_ok() && i < 1000000; ++i) {
    const std::string key = std::to_string(1000000 + i);
    status = table.load(put_view(key, "value", 1));
  }
  EXPECT_EQ(status.code(), Code::kNoMemory);
  table.clear();
  ASSERT_OK(table.check());
  table.begin_batch(1);
  ASSERT_OK(table.put(put_view("key", "value", 1)));
  ASSERT_OK(table.check());
}

// At the most keys that fit, a key can still be taken out and put back.
TEST_F(BulkBuilderTest, ALoadThatJustFitsLeavesRoomForChanges) {
  RegionMemory memory(kRegionBytesMin);
  Table table(memory.region());
  const auto loads = [&](int count) {
    table.clear();
    table.begin_batch(1);
    table.begin_load();
    for (int i = 0; i < count; ++i) {
      const std::string key = std::to_string(1000000 + i);
      if (!table.load(put_view(key, "value", 1)).is_ok()) return false;
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

TEST_F(BulkBuilderTest, ARecordMustHaveAKey) {
  begin();
  table_.begin_load();
  EXPECT_EQ(load("", "value").code(), Code::kInvalidArgument);
  ASSERT_OK(load("key", "value"));
  ASSERT_OK(table_.end_load());
  ASSERT_OK(table_.check());
}

}  // namespace
}  // namespace small_db
