// What a store does otherwise when its frames are long: it reserves log space and does not fill it,
// and batches are made of a part of what the rings hold.
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

constexpr size_t kAheadBytes = 32 * kKiB;
constexpr size_t kStepBytes = 4 * kKiB;

class LongFramesStore : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.open().is_ok());
    store_.settle();
    client_ = attach_client(region_.region());
  }

  static StoreOptions options() {
    StoreOptions options = small_store_options();
    options.batch_bytes_max = 64 * kKiB;
    options.batch_requests_max = 100;
    options.batch_bytes_enough = 4 * kKiB;
    options.drain_bytes = 2 * kKiB;
    options.log_ahead_bytes = kAheadBytes;
    options.log_prepare_step_bytes = kStepBytes;
    options.log_reserved_from_bytes = 2 * kKiB;
    return options;
  }

  // Frames of one record each, until as much log is prepared as there may be. Nothing else is.
  void commit_until_space_is_wanted(size_t value_bytes) {
    while (!store_.store().wants_preparation()) {
      ASSERT_TRUE(
          client_->put(next_cookie_++, as_bytes("key"), as_bytes(std::string(value_bytes, 'v')), 0)
              .is_ok());
      store_.store().drain();
      store_.store().finish(store_.store().seal());
      take_answers();
    }
  }

  void take_answers() {
    WriteOutcome outcome;
    while (client_->poll(&outcome)) {
      ASSERT_EQ(outcome.code, Code::kOk);
      ++answers_;
    }
  }

  // Calls of that kind in one step of the preparer.
  int64_t calls_of_a_step(SimCall call) {
    const size_t before = disk_.calls().size();
    prepared_ = store_.store().prepare();
    const auto& calls = disk_.calls();
    return std::count(calls.begin() + static_cast<std::ptrdiff_t>(before), calls.end(), call);
  }

  SimDisk disk_{1};
  TestRegion region_;
  SteppedStore store_{disk_, region_.region(), options()};
  std::unique_ptr<Client> client_;
  Store::Prepared prepared_ = Store::Prepared::kFailed;
  uint64_t next_cookie_ = 1;
  uint32_t answers_ = 0;
};

TEST_F(LongFramesStore, ReservesLogSpaceWithoutWritingIt) {
  commit_until_space_is_wanted(3 * kKiB);
  EXPECT_EQ(calls_of_a_step(SimCall::kWrite), 0);
  EXPECT_EQ(prepared_, Store::Prepared::kEnough);
}

TEST_F(LongFramesStore, FillsLogSpaceAgainWhenFramesAreShort) {
  commit_until_space_is_wanted(3 * kKiB);
  ASSERT_EQ(calls_of_a_step(SimCall::kWrite), 0);
  commit_until_space_is_wanted(100);
  EXPECT_GT(calls_of_a_step(SimCall::kWrite), 0);
  EXPECT_EQ(prepared_, Store::Prepared::kMore);
}

TEST_F(LongFramesStore, ReservesLessOnADiskThatHasNoRoomForAll) {
  commit_until_space_is_wanted(3 * kKiB);
  disk_.fail_next(SimCall::kAllocate, SimFault::kNoSpace);
  EXPECT_EQ(calls_of_a_step(SimCall::kAllocate), 2);
  EXPECT_EQ(prepared_, Store::Prepared::kMore);
  EXPECT_EQ(region_.region().header().disk_full.load(), 0u);
}

// So that whoever drains can look whether the sync before has ended.
TEST_F(LongFramesStore, DrainStopsBeforeTheRingIsEmpty) {
  constexpr uint32_t kPuts = 12;
  for (uint32_t i = 0; i < kPuts; ++i) {
    ASSERT_TRUE(
        client_->put(next_cookie_++, as_bytes("key"), as_bytes(std::string(kKiB, 'v')), 0).is_ok());
  }
  EXPECT_EQ(store_.store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store_.store().open_requests(), 2u);
  EXPECT_FALSE(store_.store().has_enough());
  EXPECT_EQ(store_.store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store_.store().open_requests(), 4u);
  EXPECT_TRUE(store_.store().has_enough());
  // The next batch grows while the first is in sync.
  Batch& first = store_.store().seal();
  EXPECT_EQ(store_.store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store_.store().open_requests(), 2u);
  store_.store().finish(first);
  store_.settle();
  EXPECT_EQ(store_.store().drain(), Committer::Drained::kAll);
  take_answers();
  EXPECT_EQ(answers_, kPuts);
}

}  // namespace
}  // namespace small_db
