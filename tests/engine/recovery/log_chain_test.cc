// Several log files in a row: SEAL and START, HEAL, generations.
#include "engine/checkpoint/format.h"
#include "engine/recovery/data_directory.h"
#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::flip;
using recovery_test::open_store;
using recovery_test::Opened;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

// logfile.0: revisions 1-2, SEAL; logfile.1: START, 3-4, SEAL; logfile.2: START, 5.
class LogChain : public ::testing::Test {
 protected:
  void SetUp() override {
    store_ = std::make_unique<TestStore>(disk_);
    ASSERT_TRUE(store_->open().is_ok());
    ASSERT_TRUE(store_->commit(history_, 2).is_ok());
    ASSERT_TRUE(store_->switch_log().is_ok());
    ASSERT_TRUE(store_->commit(history_, 2).is_ok());
    ASSERT_TRUE(store_->switch_log().is_ok());
    ASSERT_TRUE(store_->commit(history_).is_ok());
  }
  Opened reopen(const RecoveryOptions& options = test_options()) {
    directory_ = disk_.mount();
    return open_store(*directory_, options);
  }

  SimDisk disk_;
  WrittenHistory history_;
  std::unique_ptr<TestStore> store_;
  std::unique_ptr<Directory> directory_;
};

TEST_F(LogChain, IsReadInOrder) {
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.state, history_.at(5));
  EXPECT_EQ(opened.sink.frames, (std::vector<uint64_t>{1, 3, 5}));
  EXPECT_EQ(opened.recovered.frames, 7u);
  EXPECT_EQ(opened.recovered.log.position.generation, 2u);
}

TEST_F(LogChain, AMissingFileIsRefused) {
  disk_.erase("logfile.1");
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "logfile.1");
}

TEST_F(LogChain, AMissingOrDamagedSealIsRefused) {
  flip(disk_, "logfile.0", 4608 + 10);
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "logfile.0");
  EXPECT_EQ(opened.refusal.offset, 4608u);
}

TEST_F(LogChain, StartProvesTheLastFrameOfTheLogBefore) {
  disk_.poke("logfile.0", 4096, as_bytes(std::string(2048, '\0')));  // zeros, as at a clean end
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.first_revision, 1u);
  EXPECT_EQ(opened.refusal.last_revision, 2u);
}

TEST_F(LogChain, ADamagedStartWithFramesBehindItIsRefused) {
  flip(disk_, "logfile.2", 4096 + 10);
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "logfile.2");
}

TEST_F(LogChain, ATornStartIsMadeAgain) {
  disk_.poke("logfile.2", 4608, as_bytes(std::string(512, '\0')));
  flip(disk_, "logfile.2", 4096 + 100);
  TestStore store(disk_);
  ASSERT_TRUE(store.open().is_ok()) << store.opened.refusal.text();
  EXPECT_EQ(store.opened.recovered.last_revision, 4u);
  EXPECT_TRUE(store.opened.recovered.log.sealed);
  history_.forget_after(4);
  ASSERT_TRUE(store.commit(history_).is_ok());
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_EQ(opened.sink.state, history_.at(5));
}

TEST_F(LogChain, ALogOfAnotherStoreIsRefused) {
  SimDisk other_disk;
  TestStore other(other_disk);
  // Other random numbers than the first store's.
  RecoveryOptions options = test_options();
  options.log.random = [](MutableBytes bytes) { bytes[0] = std::byte{0x77}; };
  auto directory = other_disk.mount();
  ASSERT_TRUE(open_store(*directory, options).status.is_ok());
  WrittenHistory history;
  ASSERT_TRUE(other.open().is_ok());
  ASSERT_TRUE(other.switch_log().is_ok());
  ASSERT_TRUE(other.switch_log().is_ok());
  disk_.set_contents("logfile.2", as_bytes(other_disk.contents("logfile.2")));
  const Opened opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_NE(opened.refusal.reason.find("another store"), std::string::npos);
}

TEST_F(LogChain, AStartThatDoesNotFitTheLogBeforeIsRefused) {
  ASSERT_TRUE(store_->mark(kFrameSeal).is_ok());
  LogEnd sealed;
  sealed.header = store_->log().header();
  sealed.position = store_->log().position();
  sealed.last_revision = 5;
  sealed.epoch = 1;
  sealed.sealed = true;
  LogEnd other_chain = sealed;
  other_chain.position.chain ^= 1;
  LogEnd other_revision = sealed;
  other_revision.last_revision = 4;
  for (const LogEnd& end : {sealed, other_chain, other_revision}) {
    ASSERT_TRUE(LogWriter::open(store_->directory(), end, 1, 1, store_->options().log).is_ok());
    const Opened opened = reopen();
    const bool fits = end.position.chain == sealed.position.chain && end.last_revision == 5;
    EXPECT_EQ(opened.status.is_ok(), fits) << opened.refusal.text();
    if (!fits) {
      EXPECT_EQ(opened.refusal.file, "logfile.3");
    }
  }
}

TEST_F(LogChain, ALogThatIsOnlyPreparedIsNotInUse) {
  NewLog ahead;
  ahead.cluster_id = store_->log().header().cluster_id;
  ahead.generation = 3;
  auto made = create_log(store_->directory(), ahead, test_options().log);
  ASSERT_TRUE(made.is_ok());
  const Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.recovered.log.position.generation, 2u);
  EXPECT_EQ(opened.sink.state, history_.at(5));
}

TEST_F(LogChain, ASealedLogHasNothingBehindIt) {
  ASSERT_TRUE(store_->mark(kFrameSeal).is_ok());
  Opened opened = reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_TRUE(opened.recovered.log.sealed);
  FrameHeader header;
  header.offset = 5632;
  header.first_revision = 6;
  header.flags = kFrameIdle;
  header.prepared_end = 6144;
  std::array<std::byte, kFrameHeaderBytes> bytes;
  encode_frame_header(header, store_->log().seed(), bytes.data());
  disk_.poke("logfile.2", 5632, bytes);
  opened = reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
}

TEST_F(LogChain, TheTailIsReadAcrossFiles) {
  SimDisk disk;
  TestStore store(disk);
  WrittenHistory history;
  ASSERT_TRUE(store.open().is_ok());
  ASSERT_TRUE(store.commit(history).is_ok());
  const TailStart from = store.tail_start();
  ASSERT_TRUE(store.commit(history).is_ok());
  ASSERT_TRUE(store.switch_log().is_ok());
  ASSERT_TRUE(store.commit(history).is_ok());
  disk.kill_process();
  auto directory = disk.mount();
  Opened opened;
  opened.status =
      read_tail(*directory, from, opened.sink, test_options(), &opened.recovered, &opened.refusal);
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.sink.frames, (std::vector<uint64_t>{2, 3}));
  EXPECT_EQ(opened.recovered.log.position.generation, 1u);
}

TEST_F(LogChain, WhatFollowsTheFrameThatHealNamesIsVoid) {
  store_->remember_position();
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  WrittenHistory void_history;
  EXPECT_FALSE(store_->commit(void_history).is_ok());  // revision 6, outcome unknown
  ASSERT_TRUE(store_->switch_log(true).is_ok());
  ASSERT_TRUE(store_->commit(history_, 1, 33).is_ok());  // another revision 6
  for (const bool damaged : {false, true}) {
    if (damaged) flip(disk_, "logfile.2", 5120 + 100);
    const Opened opened = reopen();
    ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
    EXPECT_EQ(opened.sink.state, history_.at(6));
    EXPECT_EQ(opened.recovered.log.position.generation, 3u);
  }
  flip(disk_, "logfile.2", 4608 + 100);  // but not what it counts on
  EXPECT_EQ(reopen().status.code(), Code::kCorruption);
}

// A checkpoint of the history at a revision.
class FakeCheckpoints : public CheckpointLoader {
 public:
  FakeCheckpoints(const SimDisk& disk, const WrittenHistory& history) : history_(history) {
    loaded.cluster_id = decode_log_header(as_bytes(disk.contents("logfile.2"))).value().cluster_id;
    loaded.start_revision = loaded.end_revision = 4;
  }
  Result<LoadedCheckpoint> load(Directory& directory, uint64_t generation,
                                RecoverySink& sink) override {
    const auto file = directory.open(checkpoint_file_name(generation), OpenMode::kRead);
    if (!file.is_ok()) return file.status();
    for (const auto& [key, value] : history_.at(loaded.end_revision)) {
      SMALL_DB_RETURN_IF_ERROR(sink.apply(log_test::put_record(1, key, value)));
    }
    return loaded;
  }
  LoadedCheckpoint loaded;

 private:
  const WrittenHistory& history_;
};

TEST_F(LogChain, AGenerationIsItsCheckpointAndEveryLogSince) {
  disk_.set_contents("version", as_bytes("2\n"));
  disk_.set_contents("checkpoint.2", {});
  disk_.erase("logfile.0");
  FakeCheckpoints checkpoints(disk_, history_);
  RecoveryOptions options = test_options();
  options.checkpoints = &checkpoints;
  Opened opened = reopen(options);
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(opened.recovered.generation, 2u);
  EXPECT_EQ(opened.sink.frames, (std::vector<uint64_t>{5}));
  EXPECT_EQ(opened.sink.state, history_.at(5));

  checkpoints.loaded.end_revision = 6;  // proves what the log does not have
  EXPECT_EQ(reopen(options).status.code(), Code::kCorruption);
  checkpoints.loaded.end_revision = checkpoints.loaded.start_revision = 3;  // 4 is in neither
  EXPECT_EQ(reopen(options).status.code(), Code::kCorruption);
  checkpoints.loaded.end_revision = checkpoints.loaded.start_revision = 4;
  checkpoints.loaded.cluster_id = Uid{};
  EXPECT_EQ(reopen(options).status.code(), Code::kCorruption);
  disk_.erase("checkpoint.2");
  opened = reopen(options);
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "checkpoint.2");
}

TEST_F(LogChain, AGenerationWithoutALoaderIsRefused) {
  disk_.set_contents("version", as_bytes("2\n"));
  EXPECT_EQ(reopen().status.code(), Code::kWrongFormat);
}

// Defect of the ancestor: an error after newVersion was durable left the process logging to one
// file while recovery picked the other.
TEST_F(LogChain, BothVersionsOfAnInterruptedSwitchGiveTheSameState) {
  disk_.set_contents("checkpoint.2", {});
  disk_.set_contents("newVersion", as_bytes("2\n"));
  ASSERT_TRUE(store_->commit(history_, 3).is_ok());  // the process went on after the error
  FakeCheckpoints checkpoints(disk_, history_);
  RecoveryOptions options = test_options();
  options.checkpoints = &checkpoints;
  SimDisk without_new_version = disk_;
  without_new_version.erase("newVersion");
  auto directory = without_new_version.mount();
  const Opened old_way = open_store(*directory, options);
  ASSERT_TRUE(old_way.status.is_ok()) << old_way.refusal.text();
  EXPECT_EQ(old_way.recovered.generation, 0u);
  EXPECT_EQ(old_way.sink.state, history_.at(8));

  const Opened new_way = reopen(options);
  ASSERT_TRUE(new_way.status.is_ok()) << new_way.refusal.text();
  EXPECT_EQ(new_way.recovered.generation, 2u);
  EXPECT_EQ(new_way.sink.state, old_way.sink.state);
  EXPECT_EQ(new_way.recovered.log.position, old_way.recovered.log.position);
  EXPECT_EQ(disk_.contents("version"), "2\n");
}

}  // namespace
}  // namespace small_db
