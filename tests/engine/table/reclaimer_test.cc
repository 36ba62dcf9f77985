// Pins hold states; what no pin needs is given out again.
#include "engine/table/reclaimer.h"

#include <algorithm>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

using ReclaimerTest = TableTest;

TEST_F(ReclaimerTest, EveryPinnedStateStaysWholeWhilePinsComeAndGo) {
  std::mt19937_64 random(1);
  std::vector<std::pair<Snapshot, Model>> held;
  std::vector<BlockRef> sealed;
  for (int batch = 0; batch < 150; ++batch) {
    begin();
    for (int i = 0; i < 40; ++i) {
      const std::string key = "key" + std::to_string(random() % 400);
      const size_t bytes = random() % 50 == 0 ? 50000 : random() % 200;
      if (random() % 3 == 0) {
        ASSERT_OK(erase(key));
      } else {
        ASSERT_OK(put(key, std::string(bytes, static_cast<char>('a' + batch % 26))));
      }
    }
    commit();
    ASSERT_OK(table_.check());
    if (held.size() < 12 && random() % 2 == 0) held.emplace_back(snapshot(), model_);
    if (!held.empty() && random() % 3 == 0) {
      const size_t victim = random() % held.size();
      ASSERT_NO_FATAL_FAILURE(expect_state(held[victim].second, held[victim].first));
      std::swap(held[victim], held.back());
      held.pop_back();
    }
  }
  for (const auto& [state, model] : held) ASSERT_NO_FATAL_FAILURE(expect_state(model, state));
  held.clear();
  while (!model_.empty()) {
    begin();
    for (int i = 0; i < 50 && !model_.empty(); ++i) {
      ASSERT_OK(erase(std::string(model_.begin()->first)));
    }
    commit();
  }
  begin();
  ASSERT_OK(table_.check());
  EXPECT_EQ(table_.used_bytes(),
            kReserveNodes * kNodeBytes + align_up(sizeof(RootBlock), kGranuleBytes));
}

TEST_F(ReclaimerTest, AHeldPinHoldsBackNothingThatWasBornAfterIt) {
  begin();
  for (int i = 0; i < 500; ++i) ASSERT_OK(put(std::to_string(i), std::string(100, 'a')));
  commit();
  const Snapshot old = snapshot();
  const Model old_model = model_;
  uint64_t used = 0;
  for (int round = 0; round < 200; ++round) {
    begin();
    for (int i = 0; i < 500; ++i) ASSERT_OK(put(std::to_string(i), std::string(100, 'b')));
    commit();
    // The pinned state, the published one and the one before it, which the next batch frees.
    if (round == 3) used = table_.used_bytes();
    if (round > 3) {
      ASSERT_EQ(table_.used_bytes(), used);
    }
  }
  ASSERT_OK(table_.check());
  expect_state(old_model, old);
}

TEST_F(ReclaimerTest, ADroppedPinGivesBackWhatOnlyItHeld) {
  begin();
  for (int i = 0; i < 1000; ++i) ASSERT_OK(put(std::to_string(i), std::string(100, 'a')));
  commit();
  begin();
  commit();
  begin();
  const uint64_t used = table_.used_bytes();
  commit();
  {
    const Snapshot held = snapshot();
    for (int round = 0; round < 3; ++round) {
      begin();
      for (int i = 0; i < 1000; ++i) ASSERT_OK(put(std::to_string(i), std::string(100, 'b')));
      commit();
    }
    begin();
    EXPECT_GT(table_.used_bytes(), used + 100000);
    commit();
  }
  begin();
  EXPECT_EQ(table_.used_bytes(), used);
  ASSERT_OK(table_.check());
}

TEST_F(ReclaimerTest, WhatSealedBatchesLetGoOfWaitsForTheirPublication) {
  begin();
  for (int i = 0; i < 300; ++i) ASSERT_OK(put(std::to_string(i), "first"));
  commit();
  const Model first = model_;
  begin();
  for (int i = 0; i < 300; ++i) ASSERT_OK(put(std::to_string(i), "second"));
  const BlockRef second_root = seal();
  const Model second = model_;
  begin();
  for (int i = 0; i < 300; ++i) ASSERT_OK(put(std::to_string(i), "third"));
  const BlockRef third_root = seal();
  begin();
  ASSERT_OK(put("other", "value"));
  ASSERT_OK(table_.check());
  expect_state(first, snapshot());
  publish_root(region_, second_root);
  expect_state(second, snapshot());
  publish_root(region_, third_root);
  EXPECT_EQ(value_text(snapshot().find(as_bytes("7")).value().value), "third");
  commit();
  begin();
  ASSERT_OK(table_.check());
}

TEST_F(ReclaimerTest, RecordsOfOneBatchThatItReplacesAreFreedAtOnce) {
  begin();
  ASSERT_OK(put("key", std::string(1000, 'a')));
  const uint64_t used = table_.used_bytes();
  for (int i = 0; i < 1000; ++i) ASSERT_OK(put("key", std::string(1000, 'b')));
  EXPECT_EQ(table_.used_bytes(), used);
  commit();
  ASSERT_OK(table_.check());
}

TEST_F(ReclaimerTest, APinThatIsNoRootsReferenceIsIgnored) {
  begin();
  ASSERT_OK(put("key", "a"));
  commit();
  Slot& slot = region_.slot(slot_.index);
  slot.pins[31].store(BlockRef(12345, 7).word());
  slot.pins[30].store(UINT64_MAX);
  for (int i = 0; i < 10; ++i) {
    begin();
    ASSERT_OK(put("key", std::to_string(i)));
    commit();
    ASSERT_OK(table_.check());
  }
  Table heir(region_);
  ASSERT_OK(heir.adopt());
  ASSERT_OK(heir.check());
}

TEST_F(ReclaimerTest, BreaksTheSealOfARootThatNoPinHolds) {
  begin();
  const BlockRef first = seal();
  publish_root(region_, first);
  const ArenaView arena(region_.arena());
  std::optional<Snapshot> held = snapshot();
  // Free memory behind the root's block: its last bytes, the seal's, outlive being freed.
  const BlockRef behind = table_.reserve_put(put_view("key", "", 0), 100).value();
  ASSERT_EQ(behind.granule(), first.granule() + first.granules());
  begin();
  commit();
  table_.discard_put(behind);
  begin();
  EXPECT_NE(root_at(arena, first), nullptr);
  held.reset();
  begin();
  EXPECT_EQ(root_at(arena, first), nullptr);
}

TEST_F(ReclaimerTest, SnapshotsMoveAndLetTheirPinsGo) {
  begin();
  commit();
  for (int round = 0; round < 3; ++round) {
    std::vector<Snapshot> held;
    for (uint32_t i = 0; i < kPinsPerSlot; ++i) held.push_back(snapshot());
    EXPECT_EQ(Snapshot::take(*pins_).status().code(), Code::kOverloaded);
    held[0] = std::move(held[1]);
    held[2] = snapshot();
    EXPECT_TRUE(Snapshot::take(*pins_).is_ok());
  }
  for (const auto& pin : region_.slot(slot_.index).pins) EXPECT_EQ(pin.load(), 0U);
}

}  // namespace
}  // namespace small_db
