#include "engine/checkpoint/loader.h"

#include "tests/engine/checkpoint/checkpoint_fixture.h"

namespace small_db {
namespace {

using checkpoint_test::CheckpointTest;
using checkpoint_test::kGeneration;
using checkpoint_test::kName;
using checkpoint_test::Records;
using checkpoint_test::records_of;

// In its own thread, and in the caller's.
class CheckpointLoaderThreads : public CheckpointTest, public ::testing::WithParamInterface<bool> {
 protected:
  CheckpointLoaderThreads() : CheckpointTest(32 * kMiB), target_memory_(32 * kMiB) {
    options_.read_ahead = GetParam();
  }

  void SetUp() override {
    target_.emplace(target_memory_.region());
    target_->clear();
    target_->begin_batch(1);
  }

  void put_many() {
    begin();
    for (int i = 0; i < 20000; ++i) {
      const std::string value(static_cast<size_t>(i % 300), 'v');
      ASSERT_OK(put("some/key/" + std::to_string(i * 7919 % 20011), value));
    }
    ASSERT_OK(put("some/large", std::string(2 * kMiB, 'l')));
    ASSERT_OK(put(std::string(kKeyBytesMax, 'k'), "long"));
    commit();
  }

  Result<CheckpointState> load() {
    return load_checkpoint(*directory_, kGeneration, *target_, options_, &damage_offset_);
  }

  RegionMemory target_memory_;
  std::optional<Table> target_;
  CheckpointLoadOptions options_;
  uint64_t damage_offset_ = 0;
};

INSTANTIATE_TEST_SUITE_P(, CheckpointLoaderThreads, ::testing::Bool(), [](const auto& info) {
  return info.param ? "ReadingAhead" : "InOneThread";
});

TEST_P(CheckpointLoaderThreads, ATableIsLoadedAsItWasWritten) {
  put_many();
  ASSERT_OK(write(*directory_));
  uint64_t done = 0;
  options_.progress = [&](uint64_t bytes, uint64_t total) {
    EXPECT_GT(bytes, done);
    EXPECT_EQ(total, disk_.contents(kName).size());
    done = bytes;
  };
  const Result<CheckpointState> state = load();
  ASSERT_OK(state.status());
  EXPECT_GT(done, 3 * kMiB);
  EXPECT_EQ(state.value().footer.end_revision, revision_);
  EXPECT_EQ(state.value().header.cluster_id, log_test::uid_from(0x10));
  ASSERT_OK(target_->check());
  EXPECT_TRUE(records_of(target_->cursor()) == records_of(table_.cursor()));
  publish_root(target_memory_.region(), target_->seal_batch(revision_, 1, LogPosition()));
  EXPECT_EQ(target_->published()->keys, model_.size());
  EXPECT_EQ(target_->published()->data_bytes, table_.published()->data_bytes);
}

TEST_P(CheckpointLoaderThreads, AnEmptyCheckpointLoadsAsAnEmptyTable) {
  ASSERT_OK(write(*directory_));
  ASSERT_OK(load().status());
  ASSERT_OK(target_->check());
  EXPECT_TRUE(records_of(target_->cursor()).empty());
}

TEST_P(CheckpointLoaderThreads, TheLogGoesOnTopInTheSameBatch) {
  put_many();
  ASSERT_OK(write(*directory_));
  ASSERT_OK(load().status());
  begin();
  std::mt19937 random(1);
  for (int i = 0; i < 20000; ++i) {
    const std::string key = "some/key/" + std::to_string(random() % 30000);
    const uint64_t revision = revision_ + 1;
    if (random() % 2 == 0) {
      ASSERT_OK(put(key, "replayed"));
      ASSERT_OK(target_->put(put_view(key, "replayed", revision)));
    } else {
      ASSERT_OK(erase(key));
      ASSERT_OK(target_->erase(as_bytes(key), revision));
    }
  }
  commit();
  publish_root(target_memory_.region(), target_->seal_batch(revision_, 1, LogPosition()));
  ASSERT_OK(target_->check());
  EXPECT_TRUE(records_of(target_->cursor()) == records_of(table_.cursor()));
}

TEST_P(CheckpointLoaderThreads, DamageIsReportedWithItsPlace) {
  put_many();
  ASSERT_OK(write(*directory_));
  const size_t bytes = disk_.contents(kName).size();
  disk_.poke(kName, bytes / 2, as_bytes("damage"));
  EXPECT_EQ(load().status().code(), Code::kCorruption);
  EXPECT_GT(damage_offset_, kCheckpointHeaderBytes);
  EXPECT_LE(damage_offset_, bytes / 2);
  target_->clear();
  ASSERT_OK(target_->check());
}

TEST_P(CheckpointLoaderThreads, AMissingFileIsNotFound) {
  EXPECT_EQ(load().status().code(), Code::kNotFound);
}

TEST_P(CheckpointLoaderThreads, ATableThatIsTooSmallSaysSo) {
  put_many();
  ASSERT_OK(write(*directory_));
  RegionMemory small(5 * kMiB);
  Table table(small.region());
  table.clear();
  table.begin_batch(1);
  EXPECT_EQ(load_checkpoint(*directory_, kGeneration, table, options_, nullptr).status().code(),
            Code::kNoMemory);
  table.clear();
  ASSERT_OK(table.check());
}

}  // namespace
}  // namespace small_db
