// Records that expire: when they stop to be there, and how they are removed.
#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

StoreOptions options_for_many() {
  StoreOptions options = small_store_options();
  options.batch_bytes_max = kMiB;
  options.batch_requests_max = 4096;
  options.log_ahead_bytes = 4 * kMiB;
  options.log_prepare_step_bytes = 4 * kMiB;
  return options;
}

class Expiry : public ::testing::Test {
 protected:
  Expiry() {
    start_owner();
    client_ = attach_client(region_.region());
    test().settle();
  }

  SteppedStore& test() { return *store_; }
  void start_owner() {
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options_for_many());
    ASSERT_TRUE(test().open().is_ok());
  }
  uint64_t now_ms() { return test().environment().now_us / 1000; }
  void pass_ms(uint64_t ms) { test().environment().now_us += ms * 1000; }
  uint64_t keys() { return region_.region().header().keys.load(); }
  void put(std::string_view key, uint64_t ttl_ms) {
    const uint64_t expires_at_ms = ttl_ms == 0 ? 0 : now_ms() + ttl_ms;
    ASSERT_EQ(test().put(*client_, key, "v", expires_at_ms).code, Code::kOk);
  }

  SimDisk disk_{1};
  TestRegion region_{16 * kMiB};
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
};

TEST_F(Expiry, ExpiredRecordsAreRemovedByALoggedChange) {
  put("stays", 0);
  put("goes", 1000);
  put("goes later", 5000);
  const uint64_t before = test().revision();
  pass_ms(999);
  test().settle();
  EXPECT_EQ(test().revision(), before);
  EXPECT_EQ(test().store().removal_wait_us(), 1000u);
  pass_ms(1);
  EXPECT_EQ(test().store().removal_wait_us(), 0u);
  test().settle();
  EXPECT_EQ(test().revision(), before + 1);
  EXPECT_EQ(keys(), 2u);
  EXPECT_EQ(region_.region().header().expired.load(), 1u);
  EXPECT_EQ(read_value(*client_, "goes"), std::nullopt);
  EXPECT_EQ(test().store().removal_wait_us(), 4'000'000u);
  // What was removed is removed for whoever reads the log, whatever the time there.
  const uint64_t revision = test().revision();
  client_.reset();
  store_.reset();
  disk_.crash(1);
  region_.format();
  start_owner();
  EXPECT_EQ(keys(), 2u);
  EXPECT_EQ(test().revision(), revision);
}

TEST_F(Expiry, NothingToExpireWantsNoWakeUp) {
  put("stays", 0);
  EXPECT_EQ(test().store().removal_wait_us(), UINT64_MAX);
  put("stays", 10);
  EXPECT_NE(test().store().removal_wait_us(), UINT64_MAX);
  put("stays", 0);
  EXPECT_EQ(test().store().removal_wait_us(), UINT64_MAX) << "a put without expiry takes it back";
}

TEST_F(Expiry, ManyAtOnceAreRemovedInSmallParts) {
  for (uint64_t i = 0; i < 3000; ++i) {
    ASSERT_TRUE(client_->put(i + 1, as_bytes("k" + std::to_string(i)), as_bytes("v"), now_ms() + 50)
                    .is_ok());
    WriteOutcome outcome;
    if (i % 100 == 99) {
      test().settle();
      while (client_->poll(&outcome)) {
      }
    }
  }
  test().settle();
  ASSERT_EQ(keys(), 3000u);
  pass_ms(50);
  uint32_t batches = 0;
  while (keys() != 0) {
    const uint64_t before = keys();
    test().store().drain();
    // A write that comes meanwhile waits for one part at most.
    ASSERT_TRUE(test().store().has_work());
    test().store().finish(test().store().seal());
    while (test().store().wants_preparation())
      ASSERT_NE(test().store().prepare(), Store::Prepared::kFailed);
    EXPECT_LE(before - keys(), 512u);
    ++batches;
  }
  EXPECT_EQ(batches, 6u);
}

TEST_F(Expiry, RemovalsGiveWayToARequestThatWantsABatchOfItsOwn) {
  for (int i = 0; i < 1200; ++i) put("k" + std::to_string(i), 50);
  pass_ms(50);
  WriteSetBuilder set;
  for (int i = 0; i < 100; ++i)
    set.put(as_bytes("big" + std::to_string(i)), as_bytes(std::string(12'000, 'v')), 0);
  ASSERT_EQ(test().write(*client_, set).code, Code::kOk);
  EXPECT_EQ(read_value(*client_, "big99"), std::string(12'000, 'v'));
  EXPECT_EQ(keys(), 100u);
}

TEST_F(Expiry, AClockThatIsSetBackBringsNothingBack) {
  put("k", 1000);
  pass_ms(1000);
  test().settle();
  const uint64_t then = now_ms();
  EXPECT_EQ(region_.region().header().expiry_clock_ms.load(), then);
  test().environment().now_us -= 5'000'000;
  ASSERT_EQ(test().put(*client_, "other", "v", then).code, Code::kOk);
  WriteSetBuilder set;
  set.guard(GuardKind::kAbsent, as_bytes("other"));
  set.put(as_bytes("other"), as_bytes("new"), 0);
  EXPECT_EQ(test().write(*client_, set).code, Code::kOk) << "its time had come already";
}

TEST_F(Expiry, ReadOnlyStoreRemovesNothing) {
  put("k", 1000);
  disk_.fail_every(SimCall::kWrite, SimFault::kIoError);
  disk_.fail_every(SimCall::kOpen, SimFault::kIoError);
  EXPECT_EQ(test().put(*client_, "x", "v").code, Code::kOutcomeUnknown);
  pass_ms(2000);
  EXPECT_EQ(test().store().removal_wait_us(), UINT64_MAX);
}

}  // namespace
}  // namespace small_db
