// The tree against std::map: every kind of key, every order.
#include <algorithm>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class TableTree : public TableTest {
 protected:
  TableTree() : TableTest(64 * kMiB) {}

  // One batch of these keys.
  void put_all(const std::vector<std::string>& keys) {
    begin();
    for (const std::string& key : keys) {
      ASSERT_OK(put(key, "value of " + key.substr(0, 20)));
    }
    commit();
    ASSERT_OK(table_.check());
  }

  // Erases all, in batches of `step`, and checks after each.
  void erase_all(std::vector<std::string> keys, size_t step) {
    for (size_t from = 0; from < keys.size(); from += step) {
      begin();
      for (size_t i = from; i < std::min(from + step, keys.size()); ++i) ASSERT_OK(erase(keys[i]));
      commit();
      ASSERT_OK(table_.check());
      if (from % (4 * step) != 0) continue;
      ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
    }
    EXPECT_TRUE(model_.empty());
    EXPECT_EQ(snapshot().root().tree_height, 0U);
  }

  void run(std::vector<std::string> keys, uint64_t seed = 1) {
    ASSERT_NO_FATAL_FAILURE(put_all(keys));
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(seed));
    ASSERT_NO_FATAL_FAILURE(erase_all(keys, keys.size() / 10 + 1));
  }
};

std::string numbered(const std::string& prefix, int number) {
  char digits[16];
  snprintf(digits, sizeof(digits), "%07d", number);
  return prefix + digits;
}

std::vector<std::string> numbered_keys(const std::string& prefix, int count) {
  std::vector<std::string> keys;
  for (int i = 0; i < count; ++i) keys.push_back(numbered(prefix, i));
  return keys;
}

TEST_F(TableTree, HoldsAscendingKeys) { run(numbered_keys("", 30000)); }

TEST_F(TableTree, HoldsDescendingKeys) {
  std::vector<std::string> keys = numbered_keys("user:", 30000);
  std::reverse(keys.begin(), keys.end());
  run(keys);
}

TEST_F(TableTree, HoldsKeysInRandomOrder) {
  std::vector<std::string> keys = numbered_keys("k", 30000);
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(7));
  run(keys);
}

TEST_F(TableTree, ErasesInAscendingAndDescendingOrder) {
  std::vector<std::string> keys = numbered_keys("", 20000);
  ASSERT_NO_FATAL_FAILURE(put_all(keys));
  ASSERT_NO_FATAL_FAILURE(erase_all(keys, 2500));
  ASSERT_NO_FATAL_FAILURE(put_all(keys));
  std::reverse(keys.begin(), keys.end());
  ASSERT_NO_FATAL_FAILURE(erase_all(keys, 2500));
}

TEST_F(TableTree, HoldsKeysWithALongCommonPrefix) {
  std::string prefix(300, 'p');
  prefix += '/';
  std::vector<std::string> keys = numbered_keys(prefix, 6000);
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(8));
  run(keys);
}

TEST_F(TableTree, TellsKeysApartThatDifferInTrailingZeroes) {
  std::vector<std::string> keys;
  for (int length = 1; length <= 400; ++length) {
    keys.push_back(std::string(length, '\0'));
    keys.push_back("a" + std::string(length, '\0'));
    keys.push_back("a" + std::string(length, '\0') + "b");
    keys.push_back("abcdefgh" + std::string(length, '\0'));
  }
  keys.push_back("a");
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(9));
  run(keys);
}

TEST_F(TableTree, HoldsEveryKeyOfUpToTwoBytes) {
  std::vector<std::string> keys;
  for (int high = 0; high < 256; high += 3) {
    keys.push_back(std::string(1, static_cast<char>(high)));
    for (int low = 0; low < 256; ++low) {
      keys.push_back({static_cast<char>(high), static_cast<char>(low)});
    }
  }
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(10));
  run(keys);
}

TEST_F(TableTree, HoldsKeysOfUpTo32KiBThatDifferAtTheEnd) {
  std::vector<std::string> keys;
  for (int i = 0; i < 600; ++i) {
    keys.push_back(numbered(std::string(kKeyBytesMax - 7, i % 2 == 0 ? 'x' : 'y'), i));
  }
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(11));
  run(keys);
}

TEST_F(TableTree, HoldsRandomBinaryKeysOverManyBatchesOfPutsOverwritesAndErases) {
  std::mt19937_64 random(12);
  std::vector<std::string> known;
  for (int batch = 0; batch < 60; ++batch) {
    begin();
    for (int i = 0; i < 300; ++i) {
      const bool reuse = !known.empty() && random() % 3 != 0;
      if (!reuse) {
        std::string key(1 + random() % (random() % 4 == 0 ? 200 : 6), '\0');
        for (char& byte : key) byte = static_cast<char>(random() % 4 == 0 ? 0 : random());
        known.push_back(key);
      }
      const std::string& key = reuse ? known[random() % known.size()] : known.back();
      const bool shrinking = batch / 15 % 2 == 1;
      if (random() % 10 < (shrinking ? 7U : 3U)) {
        ASSERT_OK(erase(key));
      } else {
        ASSERT_OK(put(key, std::string(random() % 300, static_cast<char>(random()))));
      }
      const Result<StoredRecord> found = table_.find(as_bytes(key));
      ASSERT_EQ(found.is_ok(), model_.count(key) == 1);
    }
    commit();
    ASSERT_OK(table_.check());
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
  }
}

TEST_F(TableTree, FillsLeavesWithAscendingKeysAndTwoThirdsWithRandomOnes) {
  const auto index_bytes = [&](std::vector<std::string> keys) {
    table_.clear();
    revision_ = 0;
    begin();
    for (const std::string& key : keys) EXPECT_TRUE(put(key, std::string(100, 'v')).is_ok());
    commit();
    const double record_bytes = align_up(kRecordHeaderBytes + 11 + 100, kGranuleBytes);
    const double reserve = kReserveNodes * kNodeBytes;
    return (table_.used_bytes() - reserve) / keys.size() - record_bytes;
  };
  std::vector<std::string> keys = numbered_keys("key:", 100000);
  const double ascending = index_bytes(keys);
  std::shuffle(keys.begin(), keys.end(), std::mt19937_64(13));
  const double random = index_bytes(keys);
  printf("index bytes a key: ascending %.1f, random %.1f\n", ascending, random);
  EXPECT_LT(ascending, 17.5);
  EXPECT_LT(random, 26);
}

TEST_F(TableTree, CursorSeeksToTheFirstKeyThatIsNotLess) {
  std::mt19937_64 random(14);
  ASSERT_NO_FATAL_FAILURE(put_all(numbered_keys("n", 5000)));
  const Snapshot state = snapshot();
  Cursor cursor = state.cursor();
  for (int i = 0; i < 3000; ++i) {
    std::string key = numbered("n", static_cast<int>(random() % 5200));
    if (random() % 2 == 0) key.resize(random() % 9);
    if (random() % 3 == 0) key += '\0';
    if (key.empty()) key = "m";
    ASSERT_OK(cursor.seek(as_bytes(key)));
    const auto expected = model_.lower_bound(key);
    ASSERT_EQ(cursor.is_valid(), expected != model_.end());
    if (!cursor.is_valid()) continue;
    ASSERT_EQ(as_text(cursor.record().value().key), expected->first);
    ASSERT_OK(cursor.previous());
    ASSERT_EQ(cursor.is_valid(), expected != model_.begin());
    if (cursor.is_valid()) {
      ASSERT_EQ(as_text(cursor.record().value().key), std::prev(expected)->first);
    }
  }
}

TEST_F(TableTree, CursorOfAnEmptyTreeIsNowhere) {
  begin();
  commit();
  Cursor cursor = table_.cursor();
  ASSERT_OK(cursor.seek_first());
  EXPECT_FALSE(cursor.is_valid());
  ASSERT_OK(cursor.seek_last());
  EXPECT_FALSE(cursor.is_valid());
  ASSERT_OK(cursor.seek(as_bytes("a")));
  EXPECT_FALSE(cursor.is_valid());
}

}  // namespace
}  // namespace small_db
