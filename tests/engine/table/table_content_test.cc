// The hash of a table's content, which is computed for several records at a time: that no record
// that it has yet to hash is freed, and its memory given to another, before that.
#include "tests/engine/table/expiry_test_support.h"

namespace small_db {
namespace {

class TableContentTest : public ExpiryTest {
 protected:
  // From what the test put, by the definition.
  Hash128 expected() const {
    ContentHash content;
    for (const auto& [key, record] : model_) {
      const Bytes value = as_bytes(record.value);
      content.add(ContentHash::of_record(as_bytes(key), record.expires_at_ms,
                                         [&](auto&& take) { take(value); }));
    }
    return content.value();
  }

  // Twice, since who asks may not change it.
  void expect_content() {
    ASSERT_EQ(table_->content(), expected());
    ASSERT_EQ(table_->content(), expected());
    ASSERT_OK(table_->check());
  }

  // A record as long as all others that this makes, so that it gets the memory of one that is free.
  Status put_alike(const std::string& key, int number) {
    return put(key, std::string(80, static_cast<char>('a' + number % 26)), 1'000'000 + number);
  }

  // Shown by a hash that is none: it is what is subtracted.
  void expect_kept_hash_is_taken(size_t value_bytes) {
    begin();
    ASSERT_OK(put("key", std::string(value_bytes, 'v')));
    commit();
    Cursor cursor = table_->cursor();
    ASSERT_OK(cursor.seek_first());
    const MutableBytes kept = kept_hash(ArenaView(region_.arena()), cursor.record_ref(),
                                        table_->find(as_bytes("key")).value());
    ASSERT_EQ(kept.size(), kHash128Bytes);
    ContentHash content(expected());
    EXPECT_EQ(load<Hash128>(kept.data()), content.value());
    store(kept.data(), Hash128{1, 2});
    content.subtract({1, 2});
    begin();
    ASSERT_OK(erase("key"));
    EXPECT_EQ(table_->content(), content.value());
  }
};

TEST_F(TableContentTest, IsRightAfterEachPutAndErase) {
  begin();
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK(put_alike("key" + std::to_string(i), i));
    ASSERT_EQ(table_->content(), expected()) << i;
  }
  for (int i = 0; i < 30; ++i) {
    ASSERT_OK(erase("key" + std::to_string(i)));
    ASSERT_EQ(table_->content(), expected()) << i;
  }
  EXPECT_EQ(table_->content(), Hash128());
}

TEST_F(TableContentTest, IsRightWhenABatchReplacesItsOwnRecords) {
  begin();
  for (int i = 0; i < 100; ++i) {
    ASSERT_OK(put_alike("same", i));
    if (i % 3 == 0) ASSERT_OK(put_alike("other" + std::to_string(i), i));
    if (i % 7 == 0) ASSERT_OK(erase("same"));
  }
  ASSERT_NO_FATAL_FAILURE(expect_content());
  commit();
  EXPECT_EQ(table_->published()->content, expected());
}

TEST_F(TableContentTest, IsRightWhenABatchErasesItsOwnRecords) {
  begin();
  for (int i = 0; i < 50; ++i) {
    ASSERT_OK(put_alike("a" + std::to_string(i), i));
    ASSERT_OK(erase("a" + std::to_string(i)));
    ASSERT_OK(put_alike("b" + std::to_string(i), i + 1));
  }
  ASSERT_NO_FATAL_FAILURE(expect_content());
}

// As a backup does whose frame failed half-way, before it drops the batch.
TEST_F(TableContentTest, IsRightWhenABatchIsBegunAgain) {
  begin();
  for (int i = 0; i < 3; ++i) ASSERT_OK(put_alike("key" + std::to_string(i), i));
  begin();
  ASSERT_NO_FATAL_FAILURE(expect_content());
  for (int i = 0; i < 3; ++i) ASSERT_OK(put_alike("key" + std::to_string(i), i + 1));
  ASSERT_NO_FATAL_FAILURE(expect_content());
}

// What one batch lets go of is free when the next begins; it is given out again in the one after.
TEST_F(TableContentTest, IsRightOverBatches) {
  for (int batch = 0; batch < 50; ++batch) {
    begin();
    for (int i = 0; i < 3; ++i) ASSERT_OK(put_alike("key" + std::to_string(i), batch + i));
    commit();
    ASSERT_EQ(table_->published()->content, expected());
  }
  ASSERT_NO_FATAL_FAILURE(expect_content());
}

TEST_F(TableContentTest, IsRightWhenAChangeReplacesRecordsAndIsKept) {
  for (int round = 0; round < 20; ++round) {
    begin();
    for (int i = 0; i < 3; ++i) ASSERT_OK(put_alike("before" + std::to_string(i), round));
    begin_change();
    ASSERT_OK(put_alike("before1", round + 1));
    ASSERT_OK(put_alike("in", round));
    ASSERT_OK(put_alike("in", round + 1));
    keep_change();
    ASSERT_OK(put_alike("after1", round));
    ASSERT_OK(put_alike("after2", round));
    ASSERT_NO_FATAL_FAILURE(expect_content());
    commit();
    ASSERT_EQ(table_->published()->content, expected());
  }
}

TEST_F(TableContentTest, IsThatOfBeforeWhenAChangeIsUndone) {
  for (int round = 0; round < 20; ++round) {
    begin();
    for (int i = 0; i < round % 9; ++i) ASSERT_OK(put_alike("before" + std::to_string(i), round));
    begin_change();
    ASSERT_OK(put_alike("before1", round + 1));
    ASSERT_OK(put_alike("in", round));
    ASSERT_OK(put_alike("in", round + 1));
    undo_change();
    ASSERT_NO_FATAL_FAILURE(expect_content());
    ASSERT_OK(put_alike("after", round));
    ASSERT_NO_FATAL_FAILURE(expect_content());
    commit();
  }
}

TEST_F(TableContentTest, IsRightWithValuesInExtentsAmongOthers) {
  std::mt19937_64 random(1);
  for (int batch = 0; batch < 30; ++batch) {
    begin();
    for (int i = 0; i < 20; ++i) {
      const std::string key = "key" + std::to_string(random() % 12);
      const size_t bytes = random() % 3 == 0 ? 40000 : random() % 3 * 50;
      ASSERT_OK(put(key, std::string(bytes, static_cast<char>('a' + i)), random_expiry(random)));
    }
    ASSERT_NO_FATAL_FAILURE(expect_content());
    commit();
    ASSERT_EQ(table_->published()->content, expected());
  }
}

// Inline and in extents, beside ones that keep no hash; each put again, also within a batch.
TEST_F(TableContentTest, IsRightWhenLongRecordsKeepTheirHashes) {
  const size_t sizes[] = {kKeptHashValueBytesMin - 1, kKeptHashValueBytesMin, 5000, 40000};
  for (int batch = 0; batch < 12; ++batch) {
    begin();
    for (int i = 0; i < 9; ++i) {
      const std::string key = "key" + std::to_string(i * (batch + 1) % 7);
      ASSERT_OK(put(key, std::string(sizes[(batch + i) % 4], static_cast<char>('a' + i)), batch));
    }
    if (batch % 3 == 2) ASSERT_OK(erase("key0"));
    ASSERT_NO_FATAL_FAILURE(expect_content());
    commit();
    ASSERT_EQ(table_->published()->content, expected());
  }
}

TEST_F(TableContentTest, TakesTheKeptHashOfAnInlineValue) {
  ASSERT_NO_FATAL_FAILURE(expect_kept_hash_is_taken(kKeptHashValueBytesMin));
}

TEST_F(TableContentTest, TakesTheKeptHashOfAValueInExtents) {
  ASSERT_NO_FATAL_FAILURE(expect_kept_hash_is_taken(40000));
}

TEST_F(TableContentTest, IsRightForTheShortestRecords) {
  begin();
  for (int i = 0; i < 20; ++i) {
    ASSERT_OK(put(std::string(1, static_cast<char>('a' + i)), std::string(i % 5, 'x')));
  }
  ASSERT_NO_FATAL_FAILURE(expect_content());
}

TEST_F(TableContentTest, OfABatchThatIsForgottenIsForgotten) {
  begin();
  ASSERT_OK(put_alike("a", 1));
  commit();
  for (int puts = 1; puts < 10; ++puts) {
    begin();
    for (int i = 0; i < puts; ++i) ASSERT_OK(put_alike(std::to_string(i), i));
    ASSERT_OK(table_->rollback());
    forget_unpublished();
    ASSERT_NO_FATAL_FAILURE(expect_content());
  }
  begin();
  ASSERT_OK(put_alike("b", 1));
  table_->clear();
  EXPECT_EQ(table_->content(), Hash128());
}

}  // namespace
}  // namespace small_db
