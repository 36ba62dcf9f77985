#include "engine/committer/committer.h"

#include <gtest/gtest.h>

#include "engine/shm/completion_ring.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class CommitterTest : public ::testing::Test {
 protected:
  CommitterTest() : test_(disk_, region_.region()) {
    EXPECT_TRUE(test_.open().is_ok());
    client_ = attach_client(region_.region());
    test_.settle();
  }

  Client& client() { return *client_; }
  uint64_t commits() { return region_.region().header().commits.load(); }

  // Submits puts of key0, key1 … and returns the first cookie.
  void submit(uint32_t count) {
    for (uint32_t i = 0; i < count; ++i) {
      const std::string key = "key" + std::to_string(i);
      ASSERT_TRUE(client().put(i + 1, as_bytes(key), as_bytes("value"), 0).is_ok());
    }
  }

  std::vector<WriteOutcome> outcomes() {
    std::vector<WriteOutcome> all;
    WriteOutcome outcome;
    while (client().poll(&outcome)) all.push_back(outcome);
    return all;
  }

  SimDisk disk_{1};
  TestRegion region_;
  SteppedStore test_;
  std::unique_ptr<Client> client_;
};

TEST_F(CommitterTest, OneSyncCommitsAllThatWaited) {
  submit(5);
  const uint64_t before = commits();
  test_.settle();
  EXPECT_EQ(commits(), before + 1);
  const std::vector<WriteOutcome> all = outcomes();
  ASSERT_EQ(all.size(), 5u);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_EQ(all[i].code, Code::kOk);
    EXPECT_EQ(all[i].cookie, i + 1);
    EXPECT_EQ(all[i].revision, i + 1);
  }
}

TEST_F(CommitterTest, BatchIsBoundedByRequests) {
  submit(13);
  const uint64_t before = commits();
  test_.settle();
  EXPECT_EQ(commits(), before + 3);  // 6 + 6 + 1
  EXPECT_EQ(outcomes().size(), 13u);
}

TEST_F(CommitterTest, NothingIsVisibleOrAnsweredBeforeTheSync) {
  submit(1);
  test_.store().drain();
  Batch& batch = test_.store().seal();
  EXPECT_EQ(read_value(client(), "key0"), std::nullopt);
  EXPECT_TRUE(outcomes().empty());
  test_.store().finish(batch);
  EXPECT_EQ(read_value(client(), "key0"), "value");
  EXPECT_EQ(outcomes().size(), 1u);
}

TEST_F(CommitterTest, NextBatchIsBuiltWhileOneIsInSync) {
  submit(2);
  test_.store().drain();
  Batch& first = test_.store().seal();
  ASSERT_TRUE(client().put(10, as_bytes("key0"), as_bytes("newer"), 0).is_ok());
  test_.store().drain();
  EXPECT_TRUE(test_.store().has_work());
  EXPECT_EQ(read_value(client(), "key0"), std::nullopt);
  test_.store().finish(first);
  EXPECT_EQ(read_value(client(), "key0"), "value");
  test_.store().finish(test_.store().seal());
  EXPECT_EQ(read_value(client(), "key0"), "newer");
}

TEST_F(CommitterTest, OneBellRingsForABatch) {
  EXPECT_TRUE(client().prepare_sleep());
  submit(5);
  const uint32_t before = test_.environment().bells;
  test_.settle();
  EXPECT_EQ(test_.environment().bells, before + 1);
}

TEST_F(CommitterTest, ABatchRingsTheBellsOfThoseWhoWatchTheLog) {
  const auto others = attach_client(region_.region());
  const auto bells_of_a_batch = [&] {
    const uint32_t before = test_.environment().bells;
    submit(2);
    test_.settle();
    outcomes();
    return test_.environment().bells - before;
  };
  EXPECT_EQ(bells_of_a_batch(), 0u);
  others->watch_log(true);
  EXPECT_EQ(bells_of_a_batch(), 1u);
  EXPECT_EQ(bells_of_a_batch(), 1u);
  others->watch_log(false);
  EXPECT_EQ(bells_of_a_batch(), 0u);
}

TEST_F(CommitterTest, RemovalOfAMissingKeyIsACommit) {
  const WriteOutcome outcome = test_.erase(client(), "never there");
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.revision, 1u);
}

TEST_F(CommitterTest, MalformedRecordIsRefusedAndChangesNothing) {
  SubmissionProducer producer(region_.region(), client().slot());
  std::byte* payload = producer.reserve(40);
  std::fill_n(payload, 40, std::byte{0xee});
  producer.publish(SubmissionKind::kOperation, 1, 77);
  const uint64_t before = commits();
  test_.settle();
  EXPECT_EQ(commits(), before);
  const std::optional<Completion> completion = take_completion(region_.region(), client().slot());
  ASSERT_TRUE(completion.has_value());
  EXPECT_EQ(completion->cookie, 77u);
  EXPECT_EQ(completion->code, static_cast<uint32_t>(Code::kInvalidArgument));
}

// The ancestor's defect: after a failed write the log went on behind a partial record, and part of
// the batch never got an answer.
TEST_F(CommitterTest, FailedWriteAnswersEveryRequestAndEndsWriting) {
  test_.put(client(), "kept", "1");
  submit(3);
  disk_.fail_every(SimCall::kWrite, SimFault::kShortWrite);
  test_.settle();
  const std::vector<WriteOutcome> all = outcomes();
  ASSERT_EQ(all.size(), 3u);
  for (const WriteOutcome& outcome : all) EXPECT_EQ(outcome.code, Code::kOutcomeUnknown);
  EXPECT_EQ(client().state(), StoreState::kReadOnly);
  EXPECT_EQ(read_value(client(), "kept"), "1");
  EXPECT_EQ(read_value(client(), "key0"), std::nullopt);
  EXPECT_EQ(test_.put(client(), "later", "2").code, Code::kReadOnly);
}

// The ancestor's defect: after a failed fsync the next batch simply went on.
TEST_F(CommitterTest, FailedSyncIsStickyAlsoForTheBatchBuiltMeanwhile) {
  submit(1);
  test_.store().drain();
  Batch& first = test_.store().seal();
  ASSERT_TRUE(client().put(10, as_bytes("meanwhile"), as_bytes("x"), 0).is_ok());
  test_.store().drain();
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  test_.store().finish(first);
  const std::string log = disk_.contents("logfile.0");
  test_.settle();
  EXPECT_EQ(disk_.contents("logfile.0"), log) << "a failed log is never touched again";
  const std::vector<WriteOutcome> all = outcomes();
  ASSERT_EQ(all.size(), 2u);
  EXPECT_EQ(all[0].code, Code::kOutcomeUnknown);
  EXPECT_EQ(all[1].code, Code::kReadOnly);
  EXPECT_EQ(read_value(client(), "meanwhile"), std::nullopt);
}

TEST_F(CommitterTest, RequestsInTheRingAreAnsweredAfterAFailure) {
  const std::string long_value(100'000, 'x');
  submit(1);
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  test_.store().drain();
  ASSERT_TRUE(client().put(10, as_bytes("a"), as_bytes("x"), 0).is_ok());
  ASSERT_TRUE(client().put(11, as_bytes("b"), as_bytes(long_value), 0).is_ok());
  test_.settle();
  for (int round = 0; round < 100 && client().in_flight() != 0; ++round) {
    (void)outcomes();
    test_.settle();
  }
  EXPECT_EQ(client().in_flight(), 0u);
}

TEST_F(CommitterTest, LongValueIsStreamedAndCommittedWhole) {
  const std::string value(300'000, 'v');
  EXPECT_EQ(test_.put(client(), "long", value).code, Code::kOk);
  EXPECT_EQ(read_value(client(), "long"), value);
}

TEST_F(CommitterTest, CancelledStreamLeavesNothing) {
  const std::string value(300'000, 'v');
  ASSERT_TRUE(client().put(1, as_bytes("long"), as_bytes(value), 0).is_ok());
  test_.settle();
  const uint64_t before = region_.region().header().revision.load();
  client().cancel(1);
  for (int round = 0; round < 100 && client().in_flight() != 0; ++round) {
    EXPECT_TRUE(outcomes().empty());
    test_.settle();
  }
  EXPECT_EQ(client().in_flight(), 0u);
  EXPECT_EQ(read_value(client(), "long"), std::nullopt);
  EXPECT_EQ(region_.region().header().revision.load(), before);
}

TEST_F(CommitterTest, ShortRequestsPassBetweenTheChunksOfALongOne) {
  const std::string value(3'000'000, 'v');
  ASSERT_TRUE(client().put(1, as_bytes("long"), as_bytes(value), 0).is_ok());
  test_.settle();
  EXPECT_EQ(test_.put(client(), "short", "s").code, Code::kOk);
}

TEST_F(CommitterTest, StreamOfAHolderThatLeftIsDropped) {
  std::unique_ptr<Client> leaver = attach_client(region_.region());
  test_.settle();
  const uint64_t free_before = region_.region().header().arena_free_bytes.load();
  const std::string value(200'000, 'v');
  ASSERT_TRUE(leaver->put(1, as_bytes("half"), as_bytes(value), 0).is_ok());
  test_.settle();
  leaver.reset();
  test_.settle();
  test_.put(client(), "after", "1");
  test_.erase(client(), "after");
  test_.put(client(), "after", "1");
  EXPECT_EQ(read_value(client(), "half"), std::nullopt);
  EXPECT_GE(region_.region().header().arena_free_bytes.load() + 64 * kKiB, free_before);
}

TEST_F(CommitterTest, FullMemoryRefusesPutsAndRemovalsMakeRoom) {
  const std::string value(20'000, 'v');
  uint32_t stored = 0;
  WriteOutcome outcome;
  while ((outcome = test_.put(client(), "key" + std::to_string(stored), value)).code == Code::kOk)
    ++stored;
  ASSERT_EQ(outcome.code, Code::kNoMemory);
  ASSERT_GT(stored, 20u);
  EXPECT_EQ(test_.put(client(), "another", value).code, Code::kNoMemory);
  EXPECT_EQ(read_value(client(), "another"), std::nullopt);
  EXPECT_EQ(test_.erase(client(), "key0").code, Code::kOk);
  EXPECT_EQ(test_.erase(client(), "key1").code, Code::kOk);
  EXPECT_EQ(test_.put(client(), "another", value).code, Code::kOk);
  EXPECT_EQ(read_value(client(), "another"), value);
}

TEST_F(CommitterTest, FullDiskRefusesPutsKeepsRemovalsAndResumes) {
  ASSERT_EQ(test_.put(client(), "victim", "v").code, Code::kOk);
  disk_.fail_every(SimCall::kAllocate, SimFault::kNoSpace);
  WriteOutcome outcome;
  uint32_t stored = 0;
  const std::string value(1000, 'v');
  while ((outcome = test_.put(client(), "key" + std::to_string(stored), value)).code == Code::kOk)
    ++stored;
  EXPECT_EQ(outcome.code, Code::kNoDiskSpace);
  EXPECT_GT(stored, 5u);
  EXPECT_EQ(test_.erase(client(), "victim").code, Code::kOk);
  EXPECT_EQ(client().state(), StoreState::kServing);
  disk_.clear_faults();
  (void)test_.store().prepare();
  EXPECT_EQ(test_.put(client(), "again", value).code, Code::kOk);
}

TEST_F(CommitterTest, ClientThatFillsItsRingIsToldSo) {
  Status status;
  uint64_t cookie = 1;
  while ((status = client().put(cookie, as_bytes("key"), as_bytes("value"), 0)).is_ok()) ++cookie;
  EXPECT_EQ(status.code(), Code::kOverloaded);
  test_.settle();
  EXPECT_EQ(outcomes().size(), cookie - 1);
  EXPECT_TRUE(client().put(cookie, as_bytes("key"), as_bytes("value"), 0).is_ok());
}

// Frames, and the zeros that are written before them.
TEST(CommitterLog, GoesAroundThePageCacheUnlessSomeoneWatchesIt) {
  SimDisk disk(1);
  TestRegion region;
  SteppedStore store(disk, region.region(), small_store_options());
  ASSERT_TRUE(store.open().is_ok());
  const std::unique_ptr<Client> client = attach_client(region.region());
  const uint64_t prepared = disk.contents("logfile.0").size();
  struct Written {
    uint64_t through_cache;
    uint64_t past_cache;
  };
  const auto write_1_mib = [&] {
    const Written before{disk.bytes_through_cache(), disk.bytes_past_cache()};
    for (int i = 0; i < 64; ++i) store.put(*client, "key", std::string(16 * kKiB, 'v'));
    return Written{disk.bytes_through_cache() - before.through_cache,
                   disk.bytes_past_cache() - before.past_cache};
  };
  const Written alone = write_1_mib();
  EXPECT_GE(alone.past_cache, kMiB);
  EXPECT_EQ(alone.through_cache, 0u);
  EXPECT_GT(disk.contents("logfile.0").size(), prepared);
  client->watch_log(true);
  const Written watched = write_1_mib();
  EXPECT_GE(watched.through_cache, kMiB);
  EXPECT_EQ(watched.past_cache, 0u);
  client->watch_log(false);
  EXPECT_EQ(write_1_mib().through_cache, 0u);
}

}  // namespace
}  // namespace small_db
