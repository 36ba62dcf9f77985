// Changes of many records: kept as a whole, or undone to the byte.
#include "tests/engine/table/expiry_test_support.h"

namespace small_db {
namespace {

class ChangeTest : public ExpiryTest {
 protected:
  explicit ChangeTest(size_t region_bytes = 8 * kMiB) : ExpiryTest(region_bytes) {}

  // A record that is filled before it is put.
  BlockRef reserve(const std::string& key, const std::string& value) {
    const RecordView prefix = put_view(key, "", 0);
    const BlockRef record =
        table_->reserve_put(prefix, static_cast<uint32_t>(value.size())).value();
    table_->fill_put(record, 0, as_bytes(value));
    return record;
  }
};

class SmallChangeTest : public ChangeTest {
 protected:
  SmallChangeTest() : ChangeTest(kRegionBytesMin) {}
};

TEST_F(ChangeTest, IsKeptOrUndoneAsAWhole) {
  std::mt19937_64 random(1);
  std::vector<std::pair<Snapshot, ExpiryModel>> held;
  for (int batch = 0; batch < 20; ++batch) {
    begin();
    for (int step = 0; step < 6; ++step) {
      for (uint64_t i = random() % 8; i > 0; --i) ASSERT_OK(do_something(random, 800));
      begin_change();
      for (uint64_t i = random() % 40; i > 0; --i) ASSERT_OK(do_something(random, 800));
      ASSERT_OK(table_->check());
      random() % 2 == 0 ? keep_change() : undo_change();
      ASSERT_NO_FATAL_FAILURE(expect_model());
    }
    commit();
    if (held.size() < 6) held.emplace_back(snapshot(), model_);
    for (const auto& [state, model] : held) ASSERT_NO_FATAL_FAILURE(expect_snapshot(model, state));
    if (random() % 3 == 0) held.erase(held.begin());
    if (random() % 8 != 0) continue;
    table_ = std::make_unique<Table>(region_);
    ASSERT_OK(table_->adopt());
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
  held.clear();
  begin();
  begin_change();
  while (!model_.empty()) ASSERT_OK(erase(std::string(model_.begin()->first)));
  keep_change();
  commit();
  begin();
  ASSERT_OK(table_->check());
  EXPECT_EQ(table_->used_bytes(),
            kReserveNodes * kNodeBytes + align_up(sizeof(RootBlock), kGranuleBytes));
}

// Runs into the end of memory at any point; what is undone must give back every byte, so that the
// same change can be tried again and again.
TEST_F(SmallChangeTest, ThatFindsNoMemoryIsUndoneToTheByte) {
  std::mt19937_64 random(2);
  begin();
  for (int i = 0; i < 6000; ++i) {
    ASSERT_OK(put("key" + std::to_string(random() % 100000), "value", random_expiry(random)));
  }
  commit();
  ArenaHog hog(*table_);
  int undone = 0;
  for (int attempt = 0; attempt < 40; ++attempt) {
    begin();
    for (uint64_t i = random() % 3; i > 0; --i) ASSERT_OK(do_something(random, 100000));
    hog.take(random, static_cast<int>(random() % 30));
    const uint64_t used = table_->used_bytes();
    begin_change();
    Status status;
    for (int i = 0; i < 40 && status.is_ok(); ++i) status = do_something(random, 100000);
    ASSERT_TRUE(status.is_ok() || status.code() == Code::kNoMemory) << status.text();
    ASSERT_OK(table_->check());
    if (status.is_ok()) {
      keep_change();
    } else {
      undo_change();
      ++undone;
      EXPECT_GE(table_->used_bytes(), used);  // the reserve may be fuller
    }
    ASSERT_NO_FATAL_FAILURE(expect_model());
    hog.give_all_back();
    commit();
  }
  EXPECT_GT(undone, 10);
  EXPECT_LT(undone, 40);
}

TEST_F(ChangeTest, ThatIsUndoneGivesBackWhatItTook) {
  std::mt19937_64 random(3);
  begin();
  for (int i = 0; i < 3000; ++i) ASSERT_OK(do_something(random, 5000));
  const uint64_t used = table_->used_bytes();
  for (int round = 0; round < 20; ++round) {
    begin_change();
    for (int i = 0; i < 400; ++i) ASSERT_OK(do_something(random, 5000));
    undo_change();
    ASSERT_EQ(table_->used_bytes(), used);
  }
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ChangeTest, ThatIsKeptFreesWhatNoStateReaches) {
  begin();
  for (int i = 0; i < 1000; ++i) ASSERT_OK(put(std::to_string(i), std::string(100, 'a'), 5));
  const uint64_t used = table_->used_bytes();
  for (int round = 0; round < 50; ++round) {
    begin_change();
    ASSERT_OK(put(std::to_string(round * 7), std::string(100, 'b'), 5));
    ASSERT_OK(put(std::to_string(round * 7), std::string(100, 'c'), 5));
    keep_change();
    ASSERT_EQ(table_->used_bytes(), used);
  }
  ASSERT_OK(put("1", std::string(100, 'd'), 5));
  EXPECT_EQ(table_->used_bytes(), used);
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ChangeTest, HoldsBackWhatPublishedStatesReach) {
  begin();
  for (int i = 0; i < 500; ++i) ASSERT_OK(put(std::to_string(i), "first", 1 + i));
  commit();
  const Snapshot first = snapshot();
  for (int batch = 0; batch < 3; ++batch) {
    begin();
    for (int change = 0; change < 4; ++change) {
      begin_change();
      for (int i = change; i < 500; i += 3) ASSERT_OK(put(std::to_string(i), "later", 2 * i));
      change % 2 == 0 ? keep_change() : undo_change();
    }
    const ExpiryModel published = published_;
    const BlockRef root = seal();
    ASSERT_NO_FATAL_FAILURE(expect_snapshot(published, snapshot()));
    publish(root);
    ASSERT_NO_FATAL_FAILURE(expect_snapshot(model_, snapshot()));
    table_ = std::make_unique<Table>(region_);
    ASSERT_OK(table_->adopt());
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
  EXPECT_EQ(value_text(first.find(as_bytes("42")).value().value), "first");
}

TEST_F(ChangeTest, HasOneRevisionForAllItsRecords) {
  begin();
  ASSERT_OK(put("before", "1"));
  begin_change();
  ASSERT_OK(put("a", "1"));
  ASSERT_OK(put("b", "1"));
  ASSERT_OK(put("a", "2"));
  ASSERT_OK(erase("b"));
  ASSERT_OK(put("b", "3"));
  ASSERT_OK(erase("before"));
  ASSERT_NO_FATAL_FAILURE(expect_model());
  keep_change();
  EXPECT_EQ(table_->find(as_bytes("a")).value().revision, 2U);
  EXPECT_EQ(value_text(table_->find(as_bytes("a")).value().value), "2");
  EXPECT_EQ(table_->find(as_bytes("b")).value().revision, 2U);
  ASSERT_OK(put("after", "1"));
  EXPECT_EQ(table_->find(as_bytes("after")).value().revision, 3U);
  commit();
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ChangeTest, ABatchWhoseOnlyChangeWasUndoneCanBeStartedAgain) {
  begin();
  ASSERT_OK(put("key", "1", 10));
  commit();
  for (int round = 0; round < 3; ++round) {
    begin();
    begin_change();
    ASSERT_OK(put("key", "2", 20));
    ASSERT_OK(put("other", "2", 30));
    undo_change();
    begin();
    ASSERT_NO_FATAL_FAILURE(expect_model());
    ASSERT_OK(put("key", std::to_string(round), 40));
    commit();
    ASSERT_NO_FATAL_FAILURE(expect_snapshot(model_, snapshot()));
  }
}

TEST_F(ChangeTest, ThatIsUndoneReservesWhatTheCallerCommittedAgain) {
  begin();
  const std::string value(100000, 'x');
  const BlockRef committed = reserve("committed", value);
  const BlockRef replaced = reserve("replaced", "short");
  const BlockRef untouched = reserve("untouched", "stays");
  for (int round = 0; round < 2; ++round) {
    begin_change();
    ASSERT_OK(table_->commit_put(committed, revision_ + 1));
    ASSERT_OK(table_->commit_put(replaced, revision_ + 1));
    ASSERT_OK(put("replaced", "by another"));
    ASSERT_OK(table_->check());
    undo_change();
    ASSERT_NO_FATAL_FAILURE(expect_model());
    EXPECT_EQ(value_text(table_->stored_record(committed).value), value);
    EXPECT_EQ(value_text(table_->stored_record(replaced).value), "short");
  }
  begin_change();
  ASSERT_OK(table_->commit_put(committed, revision_ + 1));
  ASSERT_OK(table_->commit_put(replaced, revision_ + 1));
  ASSERT_OK(put("replaced", "by another"));
  keep_change();
  table_->discard_put(untouched);
  model_["committed"] = {value, 0};
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ChangeTest, ThatIsOpenIsForgottenByRollbackAndClear) {
  begin();
  ASSERT_OK(put("a", "1", 1));
  commit();
  begin();
  begin_change();
  ASSERT_OK(put("b", "1", 2));
  ASSERT_OK(table_->rollback());
  forget_unpublished();
  ASSERT_NO_FATAL_FAILURE(expect_model());
  begin();
  begin_change();
  ASSERT_OK(put("c", "1", 3));
  keep_change();
  commit();
  ASSERT_NO_FATAL_FAILURE(expect_model());
  begin();
  begin_change();
  table_->clear();
  begin();
  begin_change();
  keep_change();
  ASSERT_OK(table_->check());
}

}  // namespace
}  // namespace small_db
