#include "engine/store/store.h"

#include "engine/checkpoint/format.h"

#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

TEST(Store, OpensAnEmptyDirectoryAndServes) {
  SimDisk disk(1);
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  std::unique_ptr<Client> client = attach_client(region.region());
  EXPECT_EQ(client->state(), StoreState::kServing);
  EXPECT_EQ(read_value(*client, "a"), std::nullopt);
  EXPECT_EQ(store.put(*client, "a", "1").code, Code::kOk);
  EXPECT_EQ(read_value(*client, "a"), "1");
  EXPECT_TRUE(disk.exists("version"));
  EXPECT_TRUE(disk.exists("logfile.0"));
}

TEST(Store, FreshRegionLoadsWhatTheDirectoryHolds) {
  SimDisk disk(1);
  {
    TestRegion region;
    SteppedStore store(disk, region.region());
    ASSERT_TRUE(store.open().is_ok());
    std::unique_ptr<Client> client = attach_client(region.region());
    EXPECT_EQ(store.put(*client, "a", "1").code, Code::kOk);
    EXPECT_EQ(store.put(*client, "b", std::string(100'000, 'b')).code, Code::kOk);
    EXPECT_EQ(store.erase(*client, "a").code, Code::kOk);
  }
  disk.kill_process();
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  std::unique_ptr<Client> client = attach_client(region.region());
  EXPECT_EQ(read_value(*client, "a"), std::nullopt);
  EXPECT_EQ(read_value(*client, "b"), std::string(100'000, 'b'));
  EXPECT_EQ(store.revision(), 3u);
  EXPECT_EQ(store.put(*client, "c", "3").revision, 4u) << "revisions never repeat";
}

TEST(Store, NextOwnerTakesACleanRegionOverAsItStands) {
  SimDisk disk(1);
  TestRegion region;
  std::unique_ptr<Client> client;
  {
    SteppedStore first(disk, region.region());
    ASSERT_TRUE(first.open().is_ok());
    client = attach_client(region.region());
    ASSERT_EQ(first.put(*client, "a", "1").code, Code::kOk);
    first.store().let_go();
  }
  Result<Snapshot> held = client->snapshot();
  ASSERT_TRUE(held.is_ok());
  const uint64_t reads_before = disk.operations();
  SteppedStore second(disk, region.region());
  ASSERT_TRUE(second.open().is_ok());
  EXPECT_GT(disk.operations(), reads_before);
  EXPECT_TRUE(second.environment().lines.empty()) << second.environment().lines.front();
  EXPECT_EQ(read_value(*client, "a"), "1");
  EXPECT_EQ(second.put(*client, "a", "2").code, Code::kOk);
  EXPECT_EQ(read_value(*client, "a"), "2");
  EXPECT_TRUE(held.value().find(as_bytes("a")).is_ok());
}

TEST(Store, RequestsThatWaitInTheRingsAreServedByTheNextOwner) {
  SimDisk disk(1);
  TestRegion region;
  std::unique_ptr<Client> client;
  {
    SteppedStore first(disk, region.region());
    ASSERT_TRUE(first.open().is_ok());
    client = attach_client(region.region());
    first.settle();
    first.store().let_go();
  }
  ASSERT_TRUE(client->put(1, as_bytes("a"), as_bytes("1"), 0).is_ok());
  SteppedStore second(disk, region.region());
  ASSERT_TRUE(second.open().is_ok());
  second.settle();
  WriteOutcome outcome;
  ASSERT_TRUE(client->poll(&outcome));
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(read_value(*client, "a"), "1");
}

TEST(Store, CommitWhoseAnswerWasLostIsAnsweredFromTheLogAndNotRepeated) {
  SimDisk disk(1);
  TestRegion region;
  std::unique_ptr<Client> client;
  {
    SteppedStore first(disk, region.region());
    ASSERT_TRUE(first.open().is_ok());
    client = attach_client(region.region());
    first.settle();
    ASSERT_EQ(first.put(*client, "a", "1").revision, 1u);
    // The ring is given back last: as if the owner had died just before.
    Slot& slot = region.region().slot(client->slot());
    const uint64_t head = slot.submission_head.load();
    ASSERT_TRUE(client->put(7, as_bytes("a"), as_bytes("2"), 0).is_ok());
    first.settle();
    slot.submission_head.store(head);
    first.store().let_go();
  }
  SteppedStore second(disk, region.region());
  ASSERT_TRUE(second.open().is_ok());
  second.settle();
  EXPECT_EQ(second.revision(), 2u) << "executed again";
  WriteOutcome outcome;
  ASSERT_TRUE(client->poll(&outcome));
  EXPECT_EQ(outcome.cookie, 7u);
  EXPECT_EQ(outcome.revision, 2u);
  EXPECT_FALSE(client->poll(&outcome)) << "answered twice";
}

TEST(Store, RefusesDamagedFilesAndSaysWhy) {
  SimDisk disk(1);
  {
    TestRegion region;
    SteppedStore store(disk, region.region());
    ASSERT_TRUE(store.open().is_ok());
    std::unique_ptr<Client> client = attach_client(region.region());
    for (int i = 0; i < 5; ++i) ASSERT_EQ(store.put(*client, "a", "1").code, Code::kOk);
  }
  disk.kill_process();
  disk.poke("logfile.0", kLogHeaderBytes + 100, as_bytes("rot"));
  TestRegion region;
  SteppedStore store(disk, region.region());
  EXPECT_EQ(store.open().code(), Code::kCorruption);
  std::unique_ptr<Client> client = attach_client(region.region());
  EXPECT_EQ(client->state(), StoreState::kRefused);
  EXPECT_NE(region.region().reason().find("logfile.0"), std::string::npos)
      << region.region().reason();
  EXPECT_EQ(client->put(1, as_bytes("a"), as_bytes("1"), 0).code(), Code::kUnavailable);
  EXPECT_EQ(client->snapshot().status().code(), Code::kUnavailable);
}

// Two generations with checkpoints, and a commit in the log of each.
void make_two_checkpoints(SimDisk& disk) {
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  std::unique_ptr<Client> client = attach_client(region.region());
  for (uint64_t round = 1; round <= 3; ++round) {
    ASSERT_EQ(store.put(*client, "key" + std::to_string(round), "value").code, Code::kOk);
    if (round == 3) break;
    ASSERT_TRUE(client->checkpoint(round).is_ok());
    store.settle();
    WriteOutcome outcome;
    ASSERT_TRUE(client->poll(&outcome));
    ASSERT_EQ(outcome.code, Code::kOk);
  }
}

TEST(Store, DamagedCheckpointIsReplacedByTheGenerationBefore) {
  for (const char* damaged : {"checkpoint.2", "both"}) {
    SimDisk disk(1);
    make_two_checkpoints(disk);
    disk.kill_process();
    ASSERT_TRUE(disk.exists("checkpoint.2"));
    disk.poke("checkpoint.2", kCheckpointHeaderBytes + 50, as_bytes("rot"));
    TestRegion region;
    SteppedStore store(disk, region.region());
    if (damaged == std::string("both")) {
      disk.poke("checkpoint.1", kCheckpointHeaderBytes + 50, as_bytes("rot"));
      EXPECT_EQ(store.open().code(), Code::kCorruption)
          << "logfile.0 is gone: nothing to go back to";
      EXPECT_NE(region.region().reason().find("checkpoint.2"), std::string::npos)
          << region.region().reason();
      continue;
    }
    ASSERT_TRUE(store.open().is_ok());
    std::unique_ptr<Client> client = attach_client(region.region());
    for (const char* key : {"key1", "key2", "key3"})
      EXPECT_EQ(read_value(*client, key), "value") << key;
    EXPECT_EQ(store.revision(), 3u);
    ASSERT_FALSE(store.environment().lines.empty());
    EXPECT_NE(store.environment().lines.front().find("checkpoint.2"), std::string::npos);
    // The next checkpoint is whole again.
    ASSERT_TRUE(client->checkpoint(9).is_ok());
    store.settle();
    WriteOutcome outcome;
    ASSERT_TRUE(client->poll(&outcome));
    EXPECT_EQ(outcome.code, Code::kOk);
    EXPECT_TRUE(disk.exists("checkpoint.3"));
  }
}

TEST(Store, RefusesDataThatDoesNotFitIntoMemory) {
  SimDisk disk(1);
  {
    TestRegion large(4 * kRegionBytesMin);
    SteppedStore store(disk, large.region());
    ASSERT_TRUE(store.open().is_ok());
    std::unique_ptr<Client> client = attach_client(large.region());
    const std::string value(100'000, 'v');
    for (int i = 0; i < 80; ++i)
      ASSERT_EQ(store.put(*client, "k" + std::to_string(i), value).code, Code::kOk);
  }
  disk.kill_process();
  TestRegion small;
  SteppedStore store(disk, small.region());
  EXPECT_EQ(store.open().code(), Code::kNoMemory);
  EXPECT_NE(small.region().reason().find("memory"), std::string::npos);
}

TEST(Store, IdleFrameIsWrittenOnceAfterTheLastCommit) {
  SimDisk disk(1);
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  std::unique_ptr<Client> client = attach_client(region.region());
  EXPECT_FALSE(store.store().wants_idle_frame());
  store.put(*client, "a", "1");
  EXPECT_TRUE(store.store().wants_idle_frame());
  store.store().write_idle_frame();
  EXPECT_FALSE(store.store().wants_idle_frame());
  const uint64_t calls = disk.operations();
  store.store().write_idle_frame();
  EXPECT_EQ(disk.operations(), calls);
  EXPECT_EQ(store.put(*client, "b", "2").code, Code::kOk);
}

TEST(Store, FailedPreparationEndsWritingBeforeTheLogIsTouchedAgain) {
  SimDisk disk(1);
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  std::unique_ptr<Client> client = attach_client(region.region());
  store.settle();
  disk.fail_every(SimCall::kSyncData, SimFault::kIoError);
  while (!store.store().wants_preparation()) {
    if (store.put(*client, "key", std::string(900, 'v')).code != Code::kOk) break;
    disk.clear_faults();
  }
  disk.fail_every(SimCall::kSyncData, SimFault::kIoError);
  (void)store.store().prepare();
  store.settle();
  EXPECT_EQ(client->state(), StoreState::kReadOnly);
  EXPECT_EQ(store.put(*client, "key", "v").code, Code::kReadOnly);
}

}  // namespace
}  // namespace small_db
