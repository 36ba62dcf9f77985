// The table's batches: values of every size, a full arena, rollback.
#include "engine/table/table.h"

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

std::string random_text(size_t bytes, uint64_t seed) {
  std::mt19937_64 random(seed);
  std::string text(bytes, '\0');
  for (size_t i = 0; i + 8 <= bytes; i += 8) {
    const uint64_t word = random();
    std::memcpy(text.data() + i, &word, 8);
  }
  return text;
}

class TableWithBigValues : public TableTest {
 protected:
  TableWithBigValues() : TableTest(256 * kMiB) {}
};

TEST_F(TableWithBigValues, KeepsValuesOfEverySize) {
  begin();
  const uint64_t empty = table_.used_bytes();
  for (const size_t bytes : {size_t{0}, size_t{1}, kExtentBytesMax - 1, kExtentBytesMax,
                             kExtentBytesMax + 1, kMiB, kMiB + 1, kValueBytesMax}) {
    ASSERT_OK(put("key of " + std::to_string(bytes), random_text(bytes, bytes)));
  }
  commit();
  ASSERT_OK(table_.check());
  ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
  while (!model_.empty()) {
    begin();
    ASSERT_OK(erase(std::string(model_.begin()->first)));
    commit();
  }
  begin();
  ASSERT_OK(table_.check());
  EXPECT_EQ(table_.used_bytes(), empty + align_up(sizeof(RootBlock), kGranuleBytes));
}

TEST_F(TableTest, FindsWhatTheOpenBatchHasDone) {
  begin();
  ASSERT_OK(put("a", "1"));
  EXPECT_EQ(value_text(table_.find(as_bytes("a")).value().value), "1");
  EXPECT_EQ(table_.find(as_bytes("b")).status().code(), Code::kNotFound);
  ASSERT_OK(erase("a"));
  EXPECT_EQ(table_.find(as_bytes("a")).status().code(), Code::kNotFound);
  ASSERT_OK(erase("a"));
}

TEST_F(TableTest, SaysWhatTheRootHolds) {
  begin();
  ASSERT_OK(put("a", "123"));
  ASSERT_OK(put("bc", "4567"));
  ASSERT_OK(put("a", "12345"));
  LogPosition log;
  log.generation = 7;
  const BlockRef root = table_.seal_batch(revision_, 9, log);
  log.end_offset = 4096;
  set_root_log(region_, root, log);
  EXPECT_EQ(table_.published(), nullptr);
  publish_root(region_, root);
  const Root* published = table_.published();
  ASSERT_NE(published, nullptr);
  EXPECT_EQ(published->revision, 3U);
  EXPECT_EQ(published->keys, 2U);
  EXPECT_EQ(published->data_bytes, 1U + 5 + 2 + 4);
  EXPECT_EQ(published->epoch, 9U);
  EXPECT_EQ(published->log.generation, 7U);
  EXPECT_EQ(published->log.end_offset, 4096U);
  EXPECT_EQ(region_.header().keys.load(), 2U);
  EXPECT_EQ(region_.header().revision.load(), 3U);
  EXPECT_EQ(snapshot().find(as_bytes("a")).value().revision, 3U);
}

TEST_F(TableTest, NothingOfABatchIsSeenBeforeItIsPublished) {
  begin();
  ASSERT_OK(put("a", "old"));
  EXPECT_EQ(Snapshot::take(*pins_).status().code(), Code::kUnavailable);
  commit();
  begin();
  ASSERT_OK(put("a", "new"));
  EXPECT_EQ(value_text(snapshot().find(as_bytes("a")).value().value), "old");
  const BlockRef root = seal();
  EXPECT_EQ(value_text(snapshot().find(as_bytes("a")).value().value), "old");
  publish_root(region_, root);
  EXPECT_EQ(value_text(snapshot().find(as_bytes("a")).value().value), "new");
}

TEST_F(TableTest, ABatchInWhichNothingWasDoneCanBeStartedAgain) {
  begin();
  begin();
  ASSERT_OK(put("a", "1"));
  commit();
  begin();
  begin();
  ASSERT_OK(put("a", "2"));
  commit();
  begin();
  ASSERT_OK(table_.check());
}

TEST_F(TableTest, AReservedPutIsFilledOverBatchesAndCommittedOrDiscarded) {
  const std::string value = random_text(200000, 1);
  begin();
  const BlockRef kept = table_.reserve_put(put_view("kept", "", 0), 200000).value();
  const BlockRef dropped = table_.reserve_put(put_view("dropped", "", 0), 100000).value();
  table_.fill_put(kept, 0, as_bytes(value).first(70000));
  ASSERT_OK(put("a", "1"));
  commit();
  ASSERT_OK(table_.check());
  begin();
  table_.fill_put(kept, 70000, as_bytes(value).subspan(70000));
  table_.discard_put(dropped);
  EXPECT_EQ(value_text(table_.stored_record(kept).value), value);
  ASSERT_OK(table_.commit_put(kept, ++revision_));
  model_["kept"] = value;
  commit();
  ASSERT_OK(table_.check());
  expect_state(model_, snapshot());
}

TEST_F(TableTest, RollbackForgetsSealedAndOpenBatchesToTheByte) {
  begin();
  for (int i = 0; i < 2000; ++i) ASSERT_OK(put(std::to_string(i), "published"));
  commit();
  const Model published = model_;
  const uint64_t revision = revision_;
  ASSERT_OK(table_.rollback());
  const uint64_t used = table_.used_bytes();
  for (int round = 0; round < 3; ++round) {
    for (int batch = 0; batch < 3; ++batch) {
      begin();
      for (int i = 0; i < 3000; i += 2) ASSERT_OK(put(std::to_string(i), std::string(50, 'x')));
      for (int i = 0; i < 900; i += 3) ASSERT_OK(erase(std::to_string(i)));
      ASSERT_TRUE(table_.reserve_put(put_view("stream", "", 0), 100000).is_ok());
      if (batch < 2) seal();
      ASSERT_OK(table_.check());
    }
    ASSERT_OK(table_.rollback());
    EXPECT_EQ(table_.used_bytes(), used);
    ASSERT_OK(table_.check());
    model_ = published;
    revision_ = revision;
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, table_.cursor()));
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
  }
}

TEST_F(TableTest, RollbackBeforeTheFirstPublicationLeavesNothing) {
  begin();
  ASSERT_OK(put("a", "1"));
  seal();
  ASSERT_OK(table_.rollback());
  EXPECT_EQ(table_.used_bytes(), 0U);
  EXPECT_EQ(table_.find(as_bytes("a")).status().code(), Code::kNotFound);
}

class FullTable : public TableTest {
 protected:
  FullTable() : TableTest(kRegionBytesMin) {}

  // Batches of puts until one is refused; what is refused must change nothing.
  template <typename MakeKey, typename MakeValue>
  void fill(MakeKey make_key, MakeValue make_value) {
    Status status;
    for (int i = 0, batch = 0; status.is_ok(); ++batch) {
      begin();
      for (int k = 0; k < 400 && status.is_ok(); ++k, ++i) status = put(make_key(i), make_value(i));
      commit();
      if (batch % 16 != 0 && status.is_ok()) continue;
      ASSERT_OK(table_.check());
    }
    ASSERT_EQ(status.code(), Code::kNoMemory) << status.text();
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
  }

  // Erases everything, a batch at a time as long as each may go.
  void erase_all(uint64_t seed) {
    std::vector<std::string> keys;
    for (const auto& [key, value] : model_) keys.push_back(key);
    std::shuffle(keys.begin(), keys.end(), std::mt19937_64(seed));
    for (size_t i = 0, batch = 0; i < keys.size(); ++batch) {
      begin();
      ASSERT_TRUE(table_.has_node_reserve());
      for (int k = 0; k < 400 && i < keys.size() && table_.has_node_reserve(); ++k, ++i) {
        ASSERT_OK(erase(keys[i]));
      }
      commit();
      if (batch % 16 != 0) continue;
      ASSERT_OK(table_.check());
    }
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, snapshot()));
  }

  void expect_empty() {
    begin();
    ASSERT_OK(table_.check());
    EXPECT_EQ(table_.used_bytes(),
              kReserveNodes * kNodeBytes + align_up(sizeof(RootBlock), kGranuleBytes));
  }
};

TEST_F(FullTable, RefusesPutsAndLetsEverythingBeErased) {
  for (int round = 0; round < 2; ++round) {
    std::mt19937_64 random(round);
    ASSERT_NO_FATAL_FAILURE(
        fill([&](int) { return std::to_string(random()); },
             [&](int) { return std::string(random() % (round == 0 ? 100 : 3000), 'v'); }));
    ASSERT_NO_FATAL_FAILURE(erase_all(round));
    ASSERT_NO_FATAL_FAILURE(expect_empty());
  }
}

TEST_F(FullTable, PutsLeaveTheReserveToErases) {
  std::mt19937_64 random(4);
  ASSERT_NO_FATAL_FAILURE(
      fill([&](int) { return std::to_string(random()); }, [](int) { return std::string("v"); }));
  // What the last batch copied came free: take that too, in batches that copy little.
  for (Status status; status.is_ok();) {
    begin();
    status = put(std::to_string(random()), "v");
    commit();
  }
  std::vector<std::string> keys;
  for (const auto& [key, value] : model_) keys.push_back(key);
  std::shuffle(keys.begin(), keys.end(), random);
  size_t erased = 0;
  begin();
  while (erased < 30) ASSERT_OK(erase(keys[erased++]));
  commit();
  // There is room for some records now, but hardly for nodes.
  begin();
  while (put(std::to_string(random()), "v").is_ok()) continue;
  while (table_.has_node_reserve() && erased < keys.size()) ASSERT_OK(erase(keys[erased++]));
  EXPECT_GT(erased, 30U + 40);
  EXPECT_EQ(erase(keys[erased]).code(), Code::kNoMemory);
  commit();
  ASSERT_OK(table_.check());
}

TEST_F(FullTable, RefusesLongKeysWhoseSeparatorsFindNoRoom) {
  std::mt19937_64 random(5);
  ASSERT_NO_FATAL_FAILURE(fill(
      [&](int i) {
        std::string key(i % 2 == 0 ? 3000 : 20, 'x');
        return key + std::to_string(random());
      },
      [](int) { return std::string("v"); }));
  ASSERT_NO_FATAL_FAILURE(erase_all(5));
  ASSERT_NO_FATAL_FAILURE(expect_empty());
}

TEST_F(FullTable, RefusesBigValuesAndStillTakesSmallOnes) {
  std::mt19937_64 random(6);
  ASSERT_NO_FATAL_FAILURE(fill([](int i) { return "big" + std::to_string(i); },
                               [](int) { return std::string(300 * kKiB, 'b'); }));
  begin();
  ASSERT_OK(put("small", "value"));
  commit();
  ASSERT_NO_FATAL_FAILURE(erase_all(6));
  ASSERT_NO_FATAL_FAILURE(expect_empty());
}

TEST_F(FullTable, OverwritesInPlaceOfWhatWasErased) {
  std::mt19937_64 random(7);
  ASSERT_NO_FATAL_FAILURE(fill([&](int) { return std::to_string(random()); },
                               [](int) { return std::string(500, 'v'); }));
  for (int round = 0; round < 20; ++round) {
    begin();
    for (int i = 0; i < 3; ++i) ASSERT_OK(erase(std::string(model_.begin()->first)));
    commit();
    begin();
    ASSERT_OK(put(std::to_string(random()), std::string(500, 'w')));
    commit();
    ASSERT_OK(table_.check());
  }
}

}  // namespace
}  // namespace small_db
