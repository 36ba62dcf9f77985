// Records that expire: the tree by expiry goes along with the tree by key, whatever happens.
#include "tests/engine/table/expiry_test_support.h"

namespace small_db {
namespace {

// Keys whose separators are long now and then.
std::string random_key(std::mt19937_64& random, int count) {
  const std::string number = std::to_string(random() % count);
  return random() % 4 == 0 ? std::string(700, 'k') + number : "key" + number;
}

class SmallExpiryTest : public ExpiryTest {
 protected:
  SmallExpiryTest() : ExpiryTest(kRegionBytesMin) {}
};

TEST_F(ExpiryTest, BothTreesHoldTheSameAfterEveryChange) {
  std::mt19937_64 random(1);
  for (int batch = 0; batch < 40; ++batch) {
    begin();
    for (int i = 0; i < 60; ++i) {
      const std::string key = random_key(random, 1500);
      if (random() % 10 < (batch < 25 ? 2U : 8U)) {
        ASSERT_OK(erase(key));
      } else {
        ASSERT_OK(put(key, "value", random_expiry(random)));
      }
      if (i % 20 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(expect_model());
    }
    commit();
    ASSERT_NO_FATAL_FAILURE(expect_model());
    ASSERT_NO_FATAL_FAILURE(expect_snapshot(model_, snapshot()));
  }
}

TEST_F(ExpiryTest, TreesGrowAndShrinkTogether) {
  std::mt19937_64 random(2);
  begin();
  for (int i = 0; i < 30000; ++i) {
    ASSERT_OK(put("key" + std::to_string(random()), "v", 1 + random() % 1'000'000));
  }
  commit();
  EXPECT_EQ(snapshot().root().expiry_tree_height, 3U);
  ASSERT_NO_FATAL_FAILURE(expect_model());
  ASSERT_NO_FATAL_FAILURE(expect_snapshot(model_, snapshot()));
  while (!model_.empty()) {
    begin();
    std::vector<std::string> keys;
    ASSERT_OK(table_->collect_expired(UINT64_MAX, 7000, &keys));
    for (const std::string& key : keys) ASSERT_OK(erase(key));
    commit();
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
  EXPECT_EQ(snapshot().root().expiry_tree_height, 0U);
  begin();
  EXPECT_EQ(table_->used_bytes(),
            kReserveNodes * kNodeBytes + align_up(sizeof(RootBlock), kGranuleBytes));
}

TEST_F(ExpiryTest, APutChangesWhenItsKeyExpires) {
  begin();
  ASSERT_OK(put("a", "1", 500));
  ASSERT_OK(put("b", "1", 400));
  EXPECT_EQ(table_->next_expiry_ms().value(), 400U);
  ASSERT_OK(put("b", "2", 600));
  EXPECT_EQ(table_->next_expiry_ms().value(), 500U);
  ASSERT_OK(put("a", "2", 500));  // the same time: another record at the same place
  ASSERT_NO_FATAL_FAILURE(expect_model());
  ASSERT_OK(put("a", "3", 0));
  EXPECT_EQ(table_->next_expiry_ms().value(), 600U);
  ASSERT_OK(erase("b"));
  EXPECT_EQ(table_->next_expiry_ms().value(), 0U);
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ExpiryTest, CollectsWhoseTimeHasComeEarliestFirst) {
  begin();
  ASSERT_OK(put("never", "", 0));
  ASSERT_OK(put("z", "", 100));
  ASSERT_OK(put("b", "", 300));
  ASSERT_OK(put("a", "", 300));
  ASSERT_OK(put("c", "", 301));
  ASSERT_OK(put("late", "", UINT64_MAX));
  std::vector<std::string> keys;
  ASSERT_OK(table_->collect_expired(99, 10, &keys));
  EXPECT_TRUE(keys.empty());
  ASSERT_OK(table_->collect_expired(300, 10, &keys));
  EXPECT_EQ(keys, (std::vector<std::string>{"z", "a", "b"}));
  ASSERT_OK(table_->collect_expired(UINT64_MAX, 2, &keys));
  EXPECT_EQ(keys, (std::vector<std::string>{"z", "a", "b", "z", "a"}));
}

TEST_F(ExpiryTest, AReaderSeeksByTime) {
  begin();
  for (uint64_t i = 1; i <= 2000; ++i) {
    ASSERT_OK(put("some/long/common/prefix/" + std::to_string(i), "", i / 2 * 256));
  }
  commit();
  const Snapshot state = snapshot();
  Cursor cursor = state.expiry_cursor();
  const auto order = by_expiry(model_);
  for (uint64_t ms = 0; ms < 1001 * 256; ms += 77) {
    ASSERT_OK(cursor.seek(expiry_key(ms)));
    const auto expected = order.lower_bound({ms, ""});
    ASSERT_EQ(cursor.is_valid(), expected != order.end());
    if (cursor.is_valid()) {
      ASSERT_EQ(as_text(cursor.record().value().key), expected->second);
    }
  }
}

// Every leaf is full, so that nearly every put splits one in each tree, and needs a separator.
TEST_F(SmallExpiryTest, WhatFindsNoMemoryChangesNothing) {
  std::mt19937_64 random(3);
  begin();
  const auto key_of = [](uint64_t number) { return "a/prefix/" + std::to_string(100000 + number); };
  for (int i = 0; i < 12000; ++i) ASSERT_OK(put(key_of(i), "", 1 + i / 4 * 10));
  commit();
  ArenaHog hog(*table_);
  int refused = 0;
  for (int attempt = 0; attempt < 120; ++attempt) {
    begin();
    hog.take(random, static_cast<int>(random() % 5));
    const std::string key = key_of(random() % 12000);
    const Status status =
        random() % 8 == 0 ? erase(key) : put(key + "+", "", random() % 4 * (1 + random() % 30000));
    ASSERT_TRUE(status.is_ok() || status.code() == Code::kNoMemory) << status.text();
    ASSERT_OK(table_->check());
    hog.give_all_back();
    if (status.is_ok()) commit();
    refused += status.is_ok() ? 0 : 1;
    if (attempt % 20 != 0) continue;
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
  EXPECT_GT(refused, 25);
  EXPECT_LT(refused, 90);
}

TEST_F(SmallExpiryTest, AnEraseThatFindsNoNodesTakesTheRecordOutOfNeitherTree) {
  std::mt19937_64 random(8);
  begin();
  for (int i = 0; i < 8000; ++i) ASSERT_OK(put(std::to_string(i * 7919 % 8009), "", 1 + random()));
  commit();
  ArenaHog hog(*table_);
  for (int round = 0; round < 6; ++round) {
    begin();
    hog.take(random, 0);
    Status status;
    for (int i = 0; i < 400 && status.is_ok(); ++i) {
      auto victim = model_.lower_bound(std::to_string(random() % 8009));
      if (victim != model_.end()) status = erase(std::string(victim->first));
    }
    EXPECT_EQ(status.code(), Code::kNoMemory);
    ASSERT_NO_FATAL_FAILURE(expect_model());
    hog.give_all_back();
    commit();
  }
}

TEST_F(SmallExpiryTest, AFullTableCanBeEmptied) {
  std::mt19937_64 random(4);
  for (Status status; status.is_ok();) {
    begin();
    for (int i = 0; i < 300 && status.is_ok(); ++i) {
      status = put(std::to_string(random()), "v", 1 + random() % 1000);
    }
    commit();
  }
  ASSERT_NO_FATAL_FAILURE(expect_model());
  while (!model_.empty()) {
    begin();
    std::vector<std::string> keys;
    ASSERT_OK(table_->collect_expired(UINT64_MAX, 300, &keys));
    ASSERT_TRUE(table_->has_node_reserve());
    for (const std::string& key : keys) {
      if (!table_->has_node_reserve()) break;
      ASSERT_OK(erase(key));
    }
    commit();
  }
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ExpiryTest, RollbackAndClearTakeBothTreesBack) {
  std::mt19937_64 random(5);
  for (int round = 0; round < 10; ++round) {
    begin();
    for (int i = 0; i < 200; ++i) {
      ASSERT_OK(put(random_key(random, 500), "v", random_expiry(random)));
    }
    if (round % 2 == 0) {
      commit();
      continue;
    }
    if (round % 4 == 1) seal();
    ASSERT_OK(table_->rollback());
    forget_unpublished();
    ASSERT_NO_FATAL_FAILURE(expect_model());
  }
  table_->clear();
  model_.clear();
  begin();
  ASSERT_NO_FATAL_FAILURE(expect_model());
}

TEST_F(ExpiryTest, ANewOwnerAdoptsBothTreesOfEveryStateThatIsHeld) {
  std::mt19937_64 random(6);
  std::vector<std::pair<Snapshot, ExpiryModel>> held;
  begin();
  commit();
  for (int batch = 0; batch < 120; ++batch) {
    begin();
    for (int i = 0; i < 40; ++i) {
      const std::string key = random_key(random, 900);
      ASSERT_OK(random() % 3 == 0 ? erase(key) : put(key, "v", random_expiry(random)));
    }
    if (random() % 4 != 0) {
      commit();
    } else {
      if (random() % 2 == 0) seal();
      table_ = std::make_unique<Table>(region_);
      ASSERT_OK(table_->adopt());
      forget_unpublished();
    }
    ASSERT_NO_FATAL_FAILURE(expect_model());
    if (held.size() < 6 && random() % 2 == 0) {
      held.emplace_back(snapshot(), published_);
    } else if (!held.empty()) {
      std::swap(held[random() % held.size()], held.back());
      held.pop_back();
    }
    for (const auto& [state, model] : held) ASSERT_NO_FATAL_FAILURE(expect_snapshot(model, state));
  }
}

class ExpiryDamageTest : public ExpiryTest {
 protected:
  ExpiryDamageTest() {
    begin();
    for (int i = 0; i < 500; ++i) EXPECT_TRUE(put(std::to_string(i), "v", 1000 + i).is_ok());
    EXPECT_TRUE(put("never", "v", 0).is_ok());
    commit();
    const Tree tree = table_->published()->by_expiry();
    root_ = node_at(arena_, tree.root, tree.height - 1);
    leaf_ = node_at(arena_, root_->child(0), 0);
  }

  Status adopt() { return Table(region_).adopt(); }

  ArenaView arena_{region_.arena()};
  Node* root_;
  Node* leaf_;
};

TEST_F(ExpiryDamageTest, OfANodesOrderIsFoundOutByANewOwner) {
  leaf_->order = TreeOrder::kKey;
  EXPECT_EQ(adopt().code(), Code::kCorruption);
  leaf_->order = TreeOrder::kExpiry;
  EXPECT_TRUE(adopt().is_ok());
  const Tree tree = table_->published()->by_key();
  node_at(arena_, tree.root, tree.height - 1)->order = TreeOrder::kExpiry;
  EXPECT_EQ(adopt().code(), Code::kCorruption);
}

TEST_F(ExpiryDamageTest, OfAReferenceToWhatIsNoRecordOfTheTreeByKeyIsFoundOutByANewOwner) {
  const BlockRef stray = table_->reserve_put(put_view("stray", "", 0), 10).value();
  const uint64_t before = leaf_->holders()[3];
  leaf_->holders()[3] = stray.word();
  EXPECT_EQ(adopt().code(), Code::kCorruption);
  leaf_->holders()[3] = before;
  EXPECT_TRUE(adopt().is_ok());
}

TEST_F(ExpiryDamageTest, OfAReferenceIsFoundOutByWhoFollowsIt) {
  const Result<BlockRef> never =
      find_in_tree(arena_, table_->published()->by_key(), as_bytes("never"));
  leaf_->holders()[0] = BlockRef(UINT32_MAX, 3).word();
  EXPECT_EQ(table_->next_expiry_ms().status().code(), Code::kCorruption);
  std::vector<std::string> keys;
  EXPECT_EQ(table_->collect_expired(UINT64_MAX, 10, &keys).code(), Code::kCorruption);
  leaf_->holders()[0] = never.value().word();
  begin();
  EXPECT_EQ(erase("0").code(), Code::kCorruption);
}

TEST_F(ExpiryDamageTest, OfAnyWordOfTheTreeByExpiryIsSurvived) {
  std::mt19937_64 random(7);
  const Snapshot state = snapshot();
  for (int round = 0; round < 300; ++round) {
    Node* node = round % 2 == 0 ? root_ : leaf_;
    uint64_t* word = reinterpret_cast<uint64_t*>(node) + random() % (random() % 2 == 0 ? 4 : 256);
    const uint64_t before = *word;
    *word = random() % 2 == 0 ? random() : before ^ uint64_t { 1 } << random() % 64;
    Cursor cursor = state.expiry_cursor();
    Status status = cursor.seek(expiry_key(1000 + random() % 600));
    for (int i = 0; i < 600 && status.is_ok() && cursor.is_valid(); ++i) {
      const Result<StoredRecord> record = cursor.record();
      if (record.is_ok()) value_text(record.value().value);
      status = cursor.next();
    }
    EXPECT_TRUE(status.is_ok() || status.code() == Code::kCorruption);
    *word = before;
  }
  EXPECT_TRUE(adopt().is_ok());
}

}  // namespace
}  // namespace small_db
