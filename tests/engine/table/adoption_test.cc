// A new owner takes over what the last one left, at any moment of its death.
#include "engine/table/adoption.h"

#include <algorithm>
#include <memory>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class AdoptionTest : public ::testing::Test {
 protected:
  struct Held {
    Snapshot state;
    Model model;
  };

  AdoptionTest() { table_->clear(); }

  // The owner dies; another one adopts the region.
  void die_and_adopt() {
    table_ = std::make_unique<Table>(region_);
    ASSERT_OK(table_->adopt());
    ASSERT_OK(table_->check());
    model_ = published_;
    revision_ = published_revision_;
    ASSERT_NO_FATAL_FAILURE(expect_state(model_, table_->cursor()));
    for (const Held& held : held_) ASSERT_NO_FATAL_FAILURE(expect_state(held.model, held.state));
  }

  void change_something(std::mt19937_64& random) {
    const std::string key = "key" + std::to_string(random() % 700);
    const std::string value(random() % 60 == 0 ? 40000 : random() % 150, 'v');
    if (random() % 3 == 0) {
      ASSERT_OK(table_->erase(as_bytes(key), ++revision_));
      model_.erase(key);
    } else {
      ASSERT_OK(table_->put(put_view(key, value, ++revision_)));
      model_[key] = value;
    }
  }

  void publish(BlockRef root) {
    publish_root(region_, root);
    published_ = model_;
    published_revision_ = revision_;
  }

  void hold_or_drop(std::mt19937_64& random) {
    if (held_.size() < 8 && random() % 2 == 0) {
      held_.push_back({Snapshot::take(pins_).value(), published_});
    } else if (!held_.empty()) {
      std::swap(held_[random() % held_.size()], held_.back());
      held_.pop_back();
    }
  }

  RegionMemory memory_{8 * kMiB};
  Region region_ = memory_.region();
  SlotPins pins_{region_, claim_slot(region_).value().index};
  std::unique_ptr<Table> table_ = std::make_unique<Table>(region_);
  std::vector<Held> held_;
  Model model_;
  Model published_;
  uint64_t revision_ = 0;
  uint64_t published_revision_ = 0;
};

TEST_F(AdoptionTest, WorksAfterDeathAtAnyPointWithPinnedReaders) {
  std::mt19937_64 random(1);
  for (int batch = 0; batch < 200; ++batch) {
    table_->begin_batch(revision_ + 1);
    const bool dies_inside = random() % 6 == 0;
    for (int i = 0; i < 30; ++i) ASSERT_NO_FATAL_FAILURE(change_something(random));
    if (random() % 4 == 0) {
      ASSERT_TRUE(table_->reserve_put(put_view("stream", "", 0), 90000).is_ok());
    }
    if (!dies_inside) {
      const BlockRef root = table_->seal_batch(revision_, 1, LogPosition());
      if (random() % 6 != 0) {
        publish(root);
        hold_or_drop(random);
        if (random() % 8 != 0) continue;
      }
    }
    ASSERT_NO_FATAL_FAILURE(die_and_adopt());
  }
  ASSERT_NO_FATAL_FAILURE(die_and_adopt());
  held_.clear();
  while (!model_.empty()) {
    table_->begin_batch(revision_ + 1);
    for (int i = 0; i < 30 && !model_.empty(); ++i) {
      ASSERT_OK(table_->erase(as_bytes(model_.begin()->first), ++revision_));
      model_.erase(model_.begin());
    }
    publish(table_->seal_batch(revision_, 1, LogPosition()));
  }
  table_->begin_batch(revision_ + 1);
  ASSERT_OK(table_->check());
  EXPECT_EQ(table_->used_bytes(),
            kReserveNodes * kNodeBytes + align_up(sizeof(RootBlock), kGranuleBytes));
}

TEST_F(AdoptionTest, TakesExactlyWhatTheLastOwnerHadPublished) {
  std::mt19937_64 random(2);
  table_->begin_batch(1);
  for (int i = 0; i < 500; ++i) ASSERT_NO_FATAL_FAILURE(change_something(random));
  publish(table_->seal_batch(revision_, 1, LogPosition()));
  const uint64_t used = table_->used_bytes();
  ASSERT_NO_FATAL_FAILURE(die_and_adopt());
  EXPECT_EQ(table_->used_bytes(), used - kReserveNodes * kNodeBytes);
}

TEST_F(AdoptionTest, OfARegionWithNothingPublishedLeavesItEmpty) {
  table_->begin_batch(1);
  ASSERT_OK(table_->put(put_view("key", "value", 1)));
  table_->seal_batch(1, 1, LogPosition());
  ASSERT_NO_FATAL_FAILURE(die_and_adopt());
  EXPECT_EQ(table_->used_bytes(), 0U);
}

TEST_F(AdoptionTest, RefusesARootThatIsNone) {
  table_->begin_batch(1);
  const BlockRef root = table_->seal_batch(0, 1, LogPosition());
  region_.header().published_root.store(BlockRef(root.granule() + 1, root.granules()).word());
  Table heir(region_);
  EXPECT_EQ(heir.adopt().code(), Code::kCorruption);
}

TEST_F(AdoptionTest, IgnoresAPinnedRootThatIsGone) {
  const auto commit = [&] {
    table_->begin_batch(revision_ + 1);
    const std::string value = std::to_string(++revision_);
    ASSERT_OK(table_->put(put_view("key", value, revision_)));
    model_["key"] = value;
    publish(table_->seal_batch(revision_, 1, LogPosition()));
  };
  commit();
  const uint64_t old_root = region_.header().published_root.load();
  for (int i = 0; i < 5; ++i) commit();
  // A reader that was stopped between its load of the root and its look whether that still holds.
  region_.slot(0).pins[5].store(old_root);
  for (int i = 0; i < 5; ++i) {
    ASSERT_NO_FATAL_FAILURE(die_and_adopt());
    commit();
  }
}

}  // namespace
}  // namespace small_db
