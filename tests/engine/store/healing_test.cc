// A log that can't be written any more is given up for a new generation.
#include <gtest/gtest.h>

#include "engine/checkpoint/format.h"
#include "engine/store/store.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class HealingTest : public ::testing::Test {
 protected:
  HealingTest()
      : disk_(1), store_(std::make_unique<SteppedStore>(disk_, region_.region(), options())) {
    EXPECT_TRUE(store_->open().is_ok());
    client_ = attach_client(region_.region());
    EXPECT_EQ(put("kept", "1").code, Code::kOk);
    store_->settle();
  }

  static StoreOptions options() {
    StoreOptions options = small_store_options();
    options.keep_generations = 0;
    return options;
  }

  WriteOutcome put(std::string_view key, std::string_view value) {
    return store_->put(*client_, key, value);
  }

  Code checkpoint() {
    EXPECT_TRUE(client_->checkpoint(++cookie_).is_ok());
    store_->settle();
    WriteOutcome outcome;
    outcome.code = Code::kInterrupted;
    while (client_->poll(&outcome) && outcome.cookie != cookie_) {
    }
    return outcome.code;
  }

  // As a process that starts anew: nothing is left but the files.
  void reopen() {
    disk_.kill_process();
    client_.reset();
    store_.reset();
    region_ = TestRegion();
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
    ASSERT_TRUE(store_->open().is_ok()) << region_.region().reason();
    client_ = attach_client(region_.region());
  }

  SimDisk disk_;
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
  uint64_t cookie_ = 0;
};

TEST_F(HealingTest, FailedLogIsGivenUpForANewGeneration) {
  for (const SimCall call : {SimCall::kSyncData, SimCall::kWrite}) {
    const uint64_t revision = store_->revision();
    const uint64_t generation = region_.region().header().generation.load();
    disk_.fail_next(call, SimFault::kIoError);
    EXPECT_EQ(put("doubtful", "2").code, Code::kOutcomeUnknown);
    EXPECT_EQ(client_->state(), StoreState::kServing);
    EXPECT_EQ(region_.region().reason(), "");
    EXPECT_EQ(read_value(*client_, "doubtful"), std::nullopt);
    EXPECT_EQ(region_.region().header().generation.load(), generation + 1);
    EXPECT_EQ(disk_.contents("version"), std::to_string(generation + 1) + "\n");
    EXPECT_EQ(put("after", "3").revision, revision + 1);
  }
  EXPECT_EQ(region_.region().header().log_failures.load(), 2u);
  reopen();
  EXPECT_EQ(read_value(*client_, "kept"), "1");
  EXPECT_EQ(read_value(*client_, "doubtful"), std::nullopt);
  EXPECT_EQ(read_value(*client_, "after"), "3");
}

// Its pages are in the kernel's cache, whole and valid, when recovery reads the log that was given
// up.
TEST_F(HealingTest, FrameWhoseSyncFailedIsVoidOnceTheStoreServesAgain) {
  StoreOptions keeping = options();
  keeping.keep_generations = 1;
  client_.reset();
  store_->store().let_go();
  store_ = std::make_unique<SteppedStore>(disk_, region_.region(), keeping);
  ASSERT_TRUE(store_->open().is_ok());
  client_ = attach_client(region_.region());

  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(put("doubtful", "2").code, Code::kOutcomeUnknown);
  EXPECT_EQ(put("after", "3").code, Code::kOk);
  ASSERT_NE(disk_.contents("logfile.0").find("doubtful"), std::string::npos);
  disk_.poke("checkpoint.1", kCheckpointHeaderBytes + 50, as_bytes("rot"));
  reopen();
  EXPECT_EQ(read_value(*client_, "kept"), "1");
  EXPECT_EQ(read_value(*client_, "doubtful"), std::nullopt);
  EXPECT_EQ(read_value(*client_, "after"), "3");
  ASSERT_FALSE(store_->environment().lines.empty());
  EXPECT_NE(store_->environment().lines.front().find("generation 0"), std::string::npos)
      << "read from the log that was given up";
}

TEST_F(HealingTest, StoreStaysReadOnlyWhenTheNewGenerationFailsToo) {
  disk_.fail_every(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(put("doubtful", "2").code, Code::kOutcomeUnknown);
  EXPECT_EQ(client_->state(), StoreState::kReadOnly);
  EXPECT_NE(region_.region().reason().find("POST .../checkpoint"), std::string::npos)
      << region_.region().reason();
  EXPECT_EQ(put("refused", "3").code, Code::kReadOnly);
  EXPECT_EQ(read_value(*client_, "kept"), "1");
  const uint64_t calls = disk_.operations();
  store_->environment().now_us += 3'600'000'000;
  store_->settle();
  EXPECT_EQ(disk_.operations(), calls) << "one attempt, until somebody acts";

  EXPECT_NE(checkpoint(), Code::kOk) << "the disk is as it was";
  EXPECT_EQ(client_->state(), StoreState::kReadOnly);
  disk_.clear_faults();
  EXPECT_EQ(checkpoint(), Code::kOk);
  EXPECT_EQ(client_->state(), StoreState::kServing);
  EXPECT_EQ(put("after", "4").code, Code::kOk);
  reopen();
  EXPECT_EQ(read_value(*client_, "kept"), "1");
  EXPECT_EQ(read_value(*client_, "after"), "4");
}

TEST_F(HealingTest, CheckpointThatBeganBeforeTheFailureDoesNotCountAsHealing) {
  ASSERT_TRUE(client_->checkpoint(++cookie_).is_ok());
  store_->store().drain();
  store_->store().maintain();
  ASSERT_TRUE(store_->store().checkpointer().is_requested());
  // Up to the walk: the logs are switched, generation 1 is not in force yet.
  while (!store_->store().wants_log_switch()) store_->store().checkpoint_step();
  store_->store().switch_log();
  store_->store().checkpoint_step();
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(put("doubtful", "2").code, Code::kOutcomeUnknown);
  store_->settle();
  EXPECT_EQ(client_->state(), StoreState::kServing);
  EXPECT_EQ(disk_.contents("version"), "2\n");
  EXPECT_EQ(put("after", "3").code, Code::kOk);
  reopen();
  EXPECT_EQ(read_value(*client_, "doubtful"), std::nullopt);
  EXPECT_EQ(read_value(*client_, "after"), "3");
}

// Nobody has committed since the switch, and the older log is gone.
TEST_F(HealingTest, NextOwnerTakesTheHealedStateOverFromMemory) {
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(put("doubtful", "2").code, Code::kOutcomeUnknown);
  ASSERT_EQ(client_->state(), StoreState::kServing);
  ASSERT_FALSE(disk_.exists("logfile.0"));
  disk_.kill_process();
  store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options());
  ASSERT_TRUE(store_->open().is_ok());
  EXPECT_TRUE(store_->environment().lines.empty()) << store_->environment().lines.front();
  EXPECT_EQ(read_value(*client_, "kept"), "1");
  EXPECT_EQ(put("after", "3").code, Code::kOk);
}

// A second call fails anywhere on the way, in each way; then the power goes off, or an operator
// acts.
TEST_F(HealingTest, SecondFailureAnywhereLosesNothing) {
  const SimDisk before = disk_;
  uint64_t failed_calls = 0;
  for (const SimFault fault : {SimFault::kIoError, SimFault::kNoSpace, SimFault::kShortWrite}) {
    for (uint64_t second = 1; second < 200; ++second) {
      for (const bool power_fails : {false, true}) {
        disk_ = before;
        reopen();
        store_->settle();
        disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
        ASSERT_TRUE(client_->put(900'000, as_bytes("doubtful"), as_bytes("2"), 0).is_ok());
        store_->store().drain();
        store_->store().finish(store_->store().seal());
        const uint64_t healing_begins = disk_.operations();
        disk_.fail_at(healing_begins + second, fault);
        store_->settle();
        if (disk_.operations() <= healing_begins + second) break;
        ++failed_calls;
        const bool acknowledged = put("second", "3").code == Code::kOk;
        disk_.clear_faults();
        if (power_fails) {
          disk_.crash(second);
        } else {
          ASSERT_EQ(checkpoint(), Code::kOk) << "call " << second;
          ASSERT_EQ(client_->state(), StoreState::kServing) << "call " << second;
          ASSERT_EQ(put("after", "4").code, Code::kOk) << "call " << second;
        }
        reopen();
        EXPECT_EQ(read_value(*client_, "kept"), "1");
        if (acknowledged) {
          EXPECT_EQ(read_value(*client_, "second"), "3") << "call " << second;
        }
        if (!power_fails) {
          EXPECT_EQ(read_value(*client_, "after"), "4") << "call " << second;
        }
      }
    }
  }
  EXPECT_GT(failed_calls, 100u);
}

}  // namespace
}  // namespace small_db
