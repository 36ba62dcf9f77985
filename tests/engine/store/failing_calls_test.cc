// Calls of a store that fail, and memory that another process has spoilt: it says so, and goes on
// with what is left.
#include <gtest/gtest.h>

#include <algorithm>

#include "engine/replication/history.h"
#include "engine/shm/slot.h"
#include "engine/store/store.h"
#include "engine/wal/format.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class StoreFailingCalls : public ::testing::Test {
 protected:
  StoreFailingCalls() : disk_(1) { EXPECT_TRUE(new_owner().is_ok()); }

  static StoreOptions options() {
    StoreOptions options = small_store_options();
    options.keep_generations = 0;
    return options;
  }

  // One that finds the region as it is. Returns what open() returns.
  Status new_owner() {
    disk_.kill_process();
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
    const Status status = store_->open();
    if (!status.is_ok()) return status;
    if (client_ == nullptr) client_ = attach_client(region_.region());
    store_->settle();
    return status;
  }

  Code checkpoint() {
    WriteOutcome outcome;
    outcome.code = Code::kInterrupted;
    EXPECT_TRUE(client_->checkpoint(++cookie_).is_ok());
    for (int round = 0; round < 5; ++round) {
      store_->settle();
      while (client_->poll(&outcome)) {
        if (outcome.cookie == cookie_) return outcome.code;
      }
    }
    return Code::kInterrupted;
  }

  bool told(const std::string& what) const {
    const std::vector<std::string>& lines = store_->environment().lines;
    return std::any_of(lines.begin(), lines.end(), [&](const std::string& line) {
      return line.find(what) != std::string::npos;
    });
  }

  SimDisk disk_;
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
  uint64_t cookie_ = 1000;
};

TEST_F(StoreFailingCalls, ACheckpointThatFailsAnywhereIsToldOrIsInForce) {
  const std::string value(300'000, 'v');  // more than a block of a checkpoint
  ASSERT_EQ(store_->put(*client_, "key", value).code, Code::kOk);
  const SimDisk before = disk_;
  uint64_t failed = 0;
  for (uint64_t call = 0;; ++call) {
    client_.reset();
    store_.reset();
    region_ = TestRegion();
    disk_ = before;
    ASSERT_TRUE(new_owner().is_ok());
    const uint64_t fails = disk_.operations() + call;
    disk_.fail_at(fails, SimFault::kIoError);
    const Code code = checkpoint();
    if (disk_.operations() <= fails) break;
    if (code == Code::kOk) {
      EXPECT_NE(disk_.contents("version"), "0\n") << "call " << call;
      // What is left over is told.
      const bool tidy =
          !disk_.exists("logfile.0") && disk_.calls()[fails] != SimCall::kSyncDirectory;
      EXPECT_TRUE(tidy || told("could not be removed") || told("writes are taken again"))
          << "call " << call;
    } else {
      ++failed;
    }
    SimDisk files = disk_;
    files.kill_process();
    TestRegion region;
    SteppedStore next(files, region.region(), options());
    ASSERT_TRUE(next.open().is_ok()) << "call " << call << ": " << region.region().reason();
    EXPECT_EQ(read_value(*attach_client(region.region()), "key"), value) << "call " << call;
  }
  EXPECT_GT(failed, 20u);
}

TEST_F(StoreFailingCalls, WhatCouldNotBeRemovedIsTold) {
  for (const char* file : {"logfile.0", "checkpoint.2"}) {
    ASSERT_EQ(store_->put(*client_, "key", "value").code, Code::kOk);
    disk_.fail_next(SimCall::kRemove, SimFault::kIoError);
    EXPECT_EQ(checkpoint(), Code::kOk);
    EXPECT_TRUE(disk_.exists(file));
    EXPECT_TRUE(told("could not be removed"));
    store_->environment().lines.clear();
    EXPECT_EQ(checkpoint(), Code::kOk);
    EXPECT_FALSE(told("could not be removed"));
    EXPECT_FALSE(disk_.exists(file));
  }
}

TEST_F(StoreFailingCalls, ACheckpointNeedsASlot) {
  std::vector<std::unique_ptr<Client>> clients;
  for (;;) {
    Result<std::unique_ptr<Client>> client = Client::attach(region_.region());
    if (!client.is_ok()) break;
    clients.push_back(std::move(client).value());
  }
  EXPECT_EQ(checkpoint(), Code::kOverloaded);
  clients.clear();
  store_->settle();
  EXPECT_EQ(checkpoint(), Code::kOk);
}

TEST_F(StoreFailingCalls, AStateThatMakesNoSenseIsLoadedFromDisk) {
  ASSERT_EQ(store_->put(*client_, "key", "value").code, Code::kOk);
  client_.reset();
  region_.region().header().published_root.store(0x123456789);
  ASSERT_TRUE(new_owner().is_ok());
  EXPECT_EQ(read_value(*client_, "key"), "value");
}

// Whatever fails while the next owner comes, it serves all, or refuses; and the one after it
// serves.
TEST_F(StoreFailingCalls, ATakeOverThatFailsAnywhereLosesNothing) {
  ASSERT_EQ(store_->put(*client_, "key", "value").code, Code::kOk);
  for (uint64_t call = 0;; ++call) {
    disk_.kill_process();
    disk_.fail_at(call, SimFault::kIoError);
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
    const bool serves = store_->open().is_ok();
    if (disk_.operations() <= call) break;
    if (serves) {
      EXPECT_EQ(read_value(*client_, "key"), "value") << "call " << call;
    }
    ASSERT_TRUE(new_owner().is_ok()) << "call " << call;
    EXPECT_EQ(read_value(*client_, "key"), "value") << "call " << call;
  }
}

// Also an empty store is not taken over without its log.
TEST_F(StoreFailingCalls, ALogThatIsDamagedUnderALiveRegionIsRefused) {
  client_.reset();
  disk_.poke("logfile.0", 100, as_bytes("rot"));
  EXPECT_FALSE(new_owner().is_ok());
  EXPECT_EQ(region_.region().reason().find("logfile.0"), 0u) << region_.region().reason();
}

TEST_F(StoreFailingCalls, ARingThatMakesNoSenseHarmsNobodyElse) {
  const std::unique_ptr<Client> other = attach_client(region_.region());
  ASSERT_TRUE(other->put(1, as_bytes("lost"), as_bytes("value"), 0).is_ok());
  const MutableBytes ring = region_.region().submissions(other->slot());
  std::fill(ring.begin(), ring.end(), std::byte{0xff});
  for (int i = 0; i < 3; ++i)
    EXPECT_EQ(store_->put(*client_, "key", std::to_string(i)).code, Code::kOk);
  EXPECT_EQ(read_value(*client_, "key"), "2");
}

TEST(FirstStart, FailsWhenAnyStepOfItDoes) {
  uint64_t failed = 0;
  for (uint64_t call = 0;; ++call) {
    SimDisk disk(1);
    disk.fail_at(call, SimFault::kIoError);
    TestRegion region;
    SteppedStore store(disk, region.region());
    const bool opened = store.open().is_ok();
    if (disk.operations() <= call) break;
    failed += opened ? 0 : 1;
    EXPECT_FALSE(opened) << "call " << call << ", " << call_name(disk.calls()[call]);
  }
  EXPECT_GT(failed, 15u);
}

// Of one that has followed and is to follow nobody any more.
TEST_F(StoreFailingCalls, APromotionThatCannotBeWrittenDownIsNone) {
  disk_.kill_process();
  {
    const std::unique_ptr<Directory> directory = disk_.mount();
    Result<NodeHistory> history = read_history(*directory);
    ASSERT_TRUE(history.is_ok());
    history.value().follows = true;
    ASSERT_TRUE(write_history(*directory, history.value()).is_ok());
  }
  ASSERT_TRUE(new_owner().is_ok());
  const auto promote = [&] {
    EXPECT_TRUE(client_->promote(++cookie_).is_ok());
    store_->settle();
    WriteOutcome outcome;
    EXPECT_TRUE(client_->poll(&outcome));
    return outcome.code;
  };
  ASSERT_EQ(store_->store().role(), Role::kFenced);
  disk_.fail_next(SimCall::kRename, SimFault::kIoError);
  EXPECT_EQ(promote(), Code::kIoError);
  EXPECT_EQ(store_->store().role(), Role::kFenced);
  EXPECT_EQ(store_->put(*client_, "key", "value").code, Code::kNotPrimary);
  EXPECT_EQ(promote(), Code::kOk);
  EXPECT_EQ(store_->store().role(), Role::kPrimary);
  EXPECT_EQ(store_->put(*client_, "key", "value").code, Code::kOk);
}

}  // namespace
}  // namespace small_db
