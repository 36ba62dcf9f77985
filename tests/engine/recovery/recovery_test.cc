#include "engine/recovery/recovery.h"

#include "engine/recovery/data_directory.h"
#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::flip;
using recovery_test::MapSink;
using recovery_test::open_store;
using recovery_test::Opened;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

// Three acknowledged frames of revisions 1, 2-3 and 4, at 4096, 4608 and 5120.
class Recovery : public ::testing::Test {
 protected:
  void SetUp() override { start(); }
  void start(uint64_t step_bytes = 2048) {
    disk_ = SimDisk();
    history_ = WrittenHistory();
    store_ = std::make_unique<TestStore>(disk_, step_bytes);
    ASSERT_TRUE(store_->open().is_ok());
    ASSERT_TRUE(store_->commit(history_).is_ok());
    ASSERT_TRUE(store_->commit(history_, 2).is_ok());
    ASSERT_TRUE(store_->commit(history_).is_ok());
  }
  Opened reopen() {
    directory_ = disk_.mount();
    return open_store(*directory_, test_options());
  }

  SimDisk disk_;
  WrittenHistory history_;
  std::unique_ptr<TestStore> store_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(Recovery, GivesBackWhatWasWritten) {
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.state, history_.at(4));
  EXPECT_EQ(opened.sink.frames, (std::vector<uint64_t>{1, 2, 4}));
  EXPECT_EQ(opened.sink.position, store_->log().position());
  EXPECT_EQ(opened.recovered.last_revision, 4u);
  EXPECT_EQ(opened.recovered.frames, 3u);
  EXPECT_EQ(opened.recovered.records, 4u);
  EXPECT_EQ(opened.recovered.epoch, 1u);
  EXPECT_EQ(opened.recovered.log.position, store_->log().position());
  EXPECT_FALSE(opened.recovered.torn_tail);
  ASSERT_EQ(opened.recovered.recent.size(), 2u);
  EXPECT_EQ(opened.recovered.recent[0].first_revision, 2u);
  EXPECT_EQ(opened.recovered.recent[0].runs, (std::vector<RequestRun>{{1, 2, 9, 2}}));
  EXPECT_EQ(opened.recovered.recent[1].first_revision, 4u);
}

TEST_F(Recovery, CutsATailThatWasNeverAcknowledgedAndKeepsACopy) {
  flip(disk_, "logfile.0", 5120 + 100);  // the last frame: nothing proves it
  const std::string torn = disk_.contents("logfile.0").substr(5120);
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.state, history_.at(3));
  ASSERT_TRUE(opened.recovered.torn_tail);
  EXPECT_EQ(opened.recovered.torn_tail->offset, 5120u);
  const std::string saved = disk_.contents(opened.recovered.torn_tail->saved_as);
  EXPECT_EQ(saved, torn.substr(0, saved.size()));
  EXPECT_EQ(saved.size(), opened.recovered.torn_tail->bytes);
  EXPECT_EQ(disk_.contents("logfile.0").substr(5120), std::string(torn.size(), '\0'));
  EXPECT_FALSE(reopen().recovered.torn_tail);
}

TEST_F(Recovery, RefusesDamageThatALaterFrameProvesAcknowledged) {
  flip(disk_, "logfile.0", 4608 + 100);
  const auto before = recovery_test::all_files(disk_);
  for (int again = 0; again < 2; ++again) {
    const Opened opened = reopen();
    EXPECT_EQ(opened.status.code(), Code::kCorruption);
    EXPECT_EQ(opened.refusal.file, "logfile.0");
    EXPECT_EQ(opened.refusal.offset, 4608u);
    EXPECT_EQ(opened.refusal.first_revision, 2u);
    EXPECT_EQ(opened.refusal.last_revision, 3u);
    EXPECT_NE(opened.refusal.text().find("smalldbctl repair"), std::string::npos);
    EXPECT_EQ(recovery_test::all_files(disk_), before);
  }
}

TEST_F(Recovery, AnIdleFrameProvesTheLastCommit) {
  ASSERT_TRUE(store_->mark(kFrameIdle).is_ok());
  flip(disk_, "logfile.0", 5120 + 100);
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.first_revision, 4u);
  EXPECT_EQ(opened.refusal.last_revision, 4u);
}

TEST_F(Recovery, ADamagedIdleFrameCostsNothing) {
  ASSERT_TRUE(store_->mark(kFrameIdle).is_ok());
  flip(disk_, "logfile.0", 5632 + 10);
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.state, history_.at(4));
}

TEST_F(Recovery, ALogThatWasCutOffIsRefused) {
  for (const size_t bytes : {4096, 4608, 5120, 5632, 6143}) {
    start();
    disk_.set_contents("logfile.0", as_bytes(disk_.contents("logfile.0").substr(0, bytes)));
    const Opened opened = reopen();
    EXPECT_EQ(opened.status.code(), Code::kCorruption) << bytes;
    EXPECT_NE(opened.refusal.reason.find("cut off"), std::string::npos) << opened.refusal.text();
  }
}

TEST_F(Recovery, AFileThatVersionNamesMustExist) {
  disk_.erase("logfile.0");
  disk_.set_contents("logfile.1", as_bytes("x"));
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "logfile.0");
}

TEST_F(Recovery, ALogWithADamagedHeaderIsRefused) {
  flip(disk_, "logfile.0", 40);
  EXPECT_EQ(reopen().status.code(), Code::kCorruption);
}

TEST_F(Recovery, ReadErrorsAreRefusedAndPassWithTheDisk) {
  uint64_t failed = 0;
  for (uint64_t at = 0; at < 40; ++at) {
    SimDisk disk = disk_;
    auto directory = disk.mount();
    disk.fail_at(disk.operations() + at, SimFault::kIoError);
    const Opened opened = open_store(*directory, test_options());
    disk.clear_faults();
    failed += !opened.status.is_ok();
    if (opened.status.is_ok()) {
      EXPECT_EQ(opened.sink.state, history_.at(4)) << at;
    } else {
      EXPECT_NE(opened.refusal.reason, "") << at;
    }
    const Opened again = open_store(*directory, test_options());
    ASSERT_TRUE(again.status.is_ok()) << again.refusal.text();
    EXPECT_EQ(again.sink.state, history_.at(4));
  }
  EXPECT_GT(failed, 15u);
}

TEST_F(Recovery, ARefusalOfTheSinkIsPassedOn) {
  directory_ = disk_.mount();
  MapSink sink;
  sink.fail_at_revision = 2;
  Recovered recovered;
  Refusal refusal;
  const Status status = recover(*directory_, sink, test_options(), &recovered, &refusal);
  EXPECT_EQ(status.code(), Code::kNoMemory);
  EXPECT_EQ(refusal.offset, 4608u);
  EXPECT_EQ(refusal.first_revision, 2u);
  EXPECT_EQ(refusal.last_revision, 3u);
}

TEST_F(Recovery, GoesOnWritingWhereItStopped) {
  for (int generation = 0; generation < 5; ++generation) {
    TestStore store(disk_);
    ASSERT_TRUE(store.open(2).is_ok()) << store.opened.refusal.text();
    ASSERT_TRUE(store.commit(history_, 3).is_ok());
  }
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_EQ(opened.recovered.last_revision, 19u);
  EXPECT_EQ(opened.recovered.epoch, 2u);
  EXPECT_EQ(opened.sink.state, history_.at(19));
}

// The last frame was written by a process whose sync failed: it is only in the page cache.
TEST_F(Recovery, WhatItShowsIsDurableEvenAfterAFailedSync) {
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(store_->commit(history_).is_ok());
  disk_.kill_process();
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok());
  ASSERT_EQ(opened.recovered.last_revision, 5u);
  for (uint64_t variant = 0; variant < 50; ++variant) {
    SimDisk disk = disk_;
    disk.crash(variant);
    auto directory = disk.mount();
    EXPECT_EQ(open_store(*directory, test_options()).sink.state, history_.at(5));
  }
}

TEST_F(Recovery, ACopyOfTheLastFrameStandsInForIt) {
  const std::string frame = disk_.contents("logfile.0").substr(5120, 512);
  disk_.set_contents("logfile.0.last", as_bytes(frame));
  flip(disk_, "logfile.0", 5120 + 20);
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.state, history_.at(4));
  EXPECT_EQ(disk_.contents("logfile.0").substr(5120, 512), frame);
  EXPECT_FALSE(disk_.exists("logfile.0.last"));
}

TEST_F(Recovery, ACopyThatCantBeReadIsNotTakenForNone) {
  disk_.set_contents("logfile.0.last", as_bytes(disk_.contents("logfile.0").substr(5120, 512)));
  flip(disk_, "logfile.0", 5120 + 20);
  uint64_t refused = 0;
  for (uint64_t at = 0; at < 20; ++at) {
    SimDisk disk = disk_;
    auto directory = disk.mount();
    disk.fail_at(disk.operations() + at, SimFault::kIoError);
    const Opened opened = open_store(*directory, test_options());
    if (opened.status.is_ok()) {
      EXPECT_EQ(opened.recovered.last_revision, 4u) << at;
    } else {
      ++refused;
    }
  }
  EXPECT_GT(refused, 10u);
}

TEST_F(Recovery, ACopyOfAnotherFrameIsIgnored) {
  disk_.set_contents("logfile.0.last", as_bytes(disk_.contents("logfile.0").substr(4608, 512)));
  flip(disk_, "logfile.0", 5120 + 20);
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_EQ(opened.recovered.last_revision, 3u);
}

TEST_F(Recovery, AFullDiskDoesNotKeepTheStoreFromOpening) {
  flip(disk_, "logfile.0", 5120 + 100);
  disk_.fail_every(SimCall::kAllocate, SimFault::kNoSpace);
  disk_.fail_next(SimCall::kWrite, SimFault::kNoSpace);
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.recovered.torn_tail->saved_as, "");
}

TEST_F(Recovery, ReportsProgressUpToTheEnd) {
  directory_ = disk_.mount();
  RecoveryOptions options = test_options();
  std::vector<RecoveryProgress> reports;
  options.progress = [&](const RecoveryProgress& progress) { reports.push_back(progress); };
  ASSERT_TRUE(open_store(*directory_, options).status.is_ok());
  ASSERT_FALSE(reports.empty());
  EXPECT_EQ(reports.back().bytes_done, 6144u);
  EXPECT_EQ(reports.back().bytes_total, 6144u);
}

TEST_F(Recovery, ReadsTheTailBehindAKnownPlace) {
  const TailStart from = store_->tail_start();
  ASSERT_TRUE(store_->commit(history_).is_ok());
  ASSERT_TRUE(store_->commit(history_).is_ok());
  disk_.kill_process();
  directory_ = disk_.mount();
  Opened opened;
  opened.status =
      read_tail(*directory_, from, opened.sink, test_options(), &opened.recovered, &opened.refusal);
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.frames, (std::vector<uint64_t>{5, 6}));
  EXPECT_EQ(opened.recovered.last_revision, 6u);

  const uint64_t operations = disk_.operations();
  TailStart wrong = from;
  wrong.revision = 3;
  opened.status = read_tail(*directory_, wrong, opened.sink, test_options(), &opened.recovered,
                            &opened.refusal);
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_GT(disk_.operations(), operations);
}

TEST_F(Recovery, ATailWithoutNewFramesIsNotWrittenAgain) {
  const TailStart from = store_->tail_start();
  disk_.kill_process();
  directory_ = disk_.mount();
  Opened opened;
  ASSERT_TRUE(
      read_tail(*directory_, from, opened.sink, test_options(), &opened.recovered, &opened.refusal)
          .is_ok());
  for (const SimCall call : disk_.calls()) EXPECT_NE(call, SimCall::kWrite);
  EXPECT_EQ(opened.recovered.last_revision, 4u);
  EXPECT_EQ(opened.recovered.log.position, from.position);
}

TEST_F(Recovery, ATornTailBehindAKnownPlaceIsCut) {
  const TailStart from = store_->tail_start();
  ASSERT_TRUE(store_->commit(history_).is_ok());
  flip(disk_, "logfile.0", 5632 + 100);
  disk_.kill_process();
  directory_ = disk_.mount();
  Opened opened;
  ASSERT_TRUE(
      read_tail(*directory_, from, opened.sink, test_options(), &opened.recovered, &opened.refusal)
          .is_ok());
  EXPECT_TRUE(opened.recovered.torn_tail);
  EXPECT_EQ(opened.recovered.last_revision, 4u);
}

}  // namespace
}  // namespace small_db
