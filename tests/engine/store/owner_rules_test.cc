// What an owner must notice of the files and processes around it.
#include <gtest/gtest.h>

#include <algorithm>
#include <set>

#include "engine/shm/slot.h"
#include "engine/store/store.h"
#include "engine/wal/format.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class OwnerRules : public ::testing::Test {
 protected:
  OwnerRules()
      : disk_(1), store_(std::make_unique<SteppedStore>(disk_, region_.region(), options())) {
    EXPECT_TRUE(store_->open().is_ok());
    client_ = attach_client(region_.region());
    store_->settle();
  }

  static StoreOptions options() {
    StoreOptions options = small_store_options();
    options.keep_generations = 2;
    return options;
  }

  void put(const std::string& key) {
    ASSERT_EQ(store_->put(*client_, key, "value").code, Code::kOk);
  }

  // Another owner of the same region.
  void replace_owner() {
    disk_.kill_process();
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
    ASSERT_TRUE(store_->open().is_ok());
  }

  // Why a store is refused that has nothing but the files.
  std::string refusal() const {
    SimDisk disk = disk_;
    disk.kill_process();
    TestRegion region;
    SteppedStore store(disk, region.region(), options());
    return store.open().is_ok() ? "" : region.region().reason();
  }

  SimDisk disk_;
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
};

// The region shows a write whose frame is not in the log any more: the log counts, and this is
// told.
TEST_F(OwnerRules, ARegionThatIsAheadOfTheLogIsNotTakenOver) {
  put("first");
  put("lost");
  const std::string zeros(kSectorBytes, '\0');
  disk_.poke("logfile.0", kLogHeaderBytes + kSectorBytes, as_bytes(zeros));
  client_.reset();
  replace_owner();
  ASSERT_FALSE(store_->environment().lines.empty());
  EXPECT_NE(store_->environment().lines.front().find("can't be taken over"), std::string::npos)
      << store_->environment().lines.front();
  EXPECT_EQ(store_->revision(), 1u);
}

// Not even by the owner after one that ended before it had let go of that state.
TEST_F(OwnerRules, AStateThatIsNotTrustedIsNeverTakenOver) {
  put("key");
  client_.reset();
  std::atomic<uint32_t>& distrust = region_.region().header().distrust;
  distrust.store(1);
  disk_.kill_process();
  disk_.fail_next(SimCall::kOpen, SimFault::kIoError);
  store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
  ASSERT_FALSE(store_->open().is_ok());
  EXPECT_EQ(distrust.load(), 1u);
  replace_owner();
  EXPECT_EQ(distrust.load(), 0u);
  const std::vector<std::string>& lines = store_->environment().lines;
  EXPECT_TRUE(std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
    return line.rfind("loaded the store", 0) == 0;
  }));
  EXPECT_EQ(store_->revision(), 1u);
}

TEST_F(OwnerRules, LoadingShowsHowFarItIs) {
  for (int i = 0; i < 40; ++i) {
    ASSERT_EQ(store_->put(*client_, "key" + std::to_string(i), std::string(20'000, 'v')).code,
              Code::kOk);
  }
  store_->store().request_checkpoint();
  store_->settle();
  client_.reset();
  disk_.kill_process();
  region_.format();
  std::vector<uint32_t> shown;
  disk_.observe([&](SimCall, SimMoment) {
    shown.push_back(region_.region().header().progress_permille.load());
    return std::nullopt;
  });
  store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
  ASSERT_TRUE(store_->open().is_ok());
  disk_.observe({});
  EXPECT_TRUE(std::is_sorted(shown.begin(), shown.end()));
  EXPECT_GE(std::set<uint32_t>(shown.begin(), shown.end()).size(), 4u) << shown.size();
  EXPECT_EQ(region_.region().header().progress_permille.load(), 1000u);
}

TEST_F(OwnerRules, ASlotIsNotFreedWhileTheOpenBatchNamesIt) {
  const uint32_t slot = client_->slot();
  ASSERT_TRUE(client_->put(1, as_bytes("key"), as_bytes("value"), 0).is_ok());
  store_->store().drain();
  client_.reset();
  store_->store().maintain();
  EXPECT_NE(attach_client(region_.region())->slot(), slot);
  store_->settle();
  EXPECT_EQ(attach_client(region_.region())->slot(), slot);
}

TEST_F(OwnerRules, SpaceThatCouldNotBePreparedIsNotAskedForAgain) {
  put("key");
  Store& store = store_->store();
  for (uint64_t cookie = 1; !store.wants_preparation(); ++cookie) {
    ASSERT_TRUE(client_->put(cookie, as_bytes("more"), as_bytes("value"), 0).is_ok());
    store.drain();
    store.finish(store.seal());
    for (WriteOutcome outcome; client_->poll(&outcome);) {
    }
  }
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(store.prepare(), Store::Prepared::kFailed);
  EXPECT_FALSE(store.wants_preparation());
}

// An older generation is of no use when a log between it and the one in force is missing. What is
// reported is the checkpoint.
TEST_F(OwnerRules, NoGenerationIsUsedWhoseLogsHaveAGap) {
  for (int generation = 1; generation <= 2; ++generation) {
    put("key");
    store_->store().request_checkpoint();
    store_->settle();
  }
  ASSERT_EQ(disk_.contents("version"), "2\n");
  disk_.poke("checkpoint.2", kLogHeaderBytes + 50, as_bytes("rot"));
  EXPECT_EQ(refusal(), "");
  disk_.erase("logfile.1");
  EXPECT_EQ(refusal().find("checkpoint.2"), 0u) << refusal();
  disk_.erase("logfile.0");
  disk_.erase("logfile.2");
  EXPECT_EQ(refusal().find("checkpoint.2"), 0u) << refusal();
}

// The new log had failed as well before the checkpoint ended.
TEST_F(OwnerRules, ServesAgainOnlyWhenTheLogInUseIsWhole) {
  store_->store().request_checkpoint();
  while (!store_->store().wants_log_switch()) store_->store().checkpoint_step();
  store_->store().switch_log();
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(store_->put(*client_, "doubtful", "value").code, Code::kOutcomeUnknown);
  store_->settle();
  EXPECT_EQ(client_->state(), StoreState::kServing);
  int again = 0;
  for (const std::string& line : store_->environment().lines)
    again += line.find("writes are taken again") != std::string::npos ? 1 : 0;
  EXPECT_EQ(again, 1);
}

}  // namespace
}  // namespace small_db
