// Batches are made of a part of what the rings hold, where that is much.
#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class LongBatches : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_->open().is_ok());
    store_->settle();
    client_ = attach_client(region_.region());
  }

  static StoreOptions options() {
    StoreOptions options = small_store_options();
    options.batch_bytes_max = 64 * kKiB;
    options.batch_requests_max = 100;
    options.batch_bytes_enough = 4 * kKiB;
    options.drain_bytes = 2 * kKiB;
    return options;
  }

  void submit(uint32_t puts) {
    for (uint32_t i = 0; i < puts; ++i) {
      ASSERT_TRUE(client_->put(next_cookie_++, as_bytes("key"), as_bytes(std::string(kKiB, 'v')), 0)
                      .is_ok());
    }
  }

  uint32_t take_answers() {
    uint32_t answers = 0;
    WriteOutcome outcome;
    while (client_->poll(&outcome)) {
      EXPECT_EQ(outcome.code, Code::kOk);
      ++answers;
    }
    return answers;
  }

  Store& store() { return store_->store(); }

  SimDisk disk_{1};
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_ =
      std::make_unique<SteppedStore>(disk_, region_.region(), options());
  std::unique_ptr<Client> client_;
  uint64_t next_cookie_ = 1;
};

// So that whoever drains can look whether the sync before has ended.
TEST_F(LongBatches, DrainStopsBeforeTheRingIsEmpty) {
  submit(12);
  EXPECT_EQ(store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store().open_requests(), 2u);
  EXPECT_FALSE(store().has_enough());
  EXPECT_EQ(store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store().open_requests(), 4u);
  EXPECT_TRUE(store().has_enough());
  // The next batch grows while the first is in sync.
  Batch& first = store().seal();
  EXPECT_EQ(store().drain(), Committer::Drained::kMore);
  EXPECT_EQ(store().open_requests(), 2u);
  store().finish(first);
  store_->settle();
  EXPECT_EQ(store().drain(), Committer::Drained::kAll);
  EXPECT_EQ(take_answers(), 12u);
}

// Else an owner under load would never be done with what it found.
TEST_F(LongBatches, FirstDrainAfterATakeOverReadsAllThatWasThere) {
  submit(1);
  store_->settle();
  disk_.kill_process();
  store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
  submit(12);
  ASSERT_TRUE(store_->open().is_ok());
  EXPECT_EQ(store().drain(), Committer::Drained::kAll);
  EXPECT_EQ(store().open_requests(), 12u);
  EXPECT_TRUE(store().seal().settles_known);
}

}  // namespace
}  // namespace small_db
