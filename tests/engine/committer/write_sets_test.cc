// Write sets as the committer evaluates them: guards, all or nothing, what a set comes to in the
// log.
#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

StoreOptions options_for_sets() {
  StoreOptions options = small_store_options();
  options.batch_bytes_max = 64 * kKiB;
  options.batch_requests_max = 100;
  options.log_ahead_bytes = 256 * kKiB;
  return options;
}

class WriteSets : public ::testing::Test {
 protected:
  WriteSets() {
    start_owner();
    client_ = attach_client(region_.region());
    test().settle();
  }

  SteppedStore& test() { return *store_; }

  void start_owner() {
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options_for_sets());
    ASSERT_TRUE(test().open().is_ok());
  }

  uint64_t put(std::string_view key, std::string_view value, uint64_t expires_at_ms = 0) {
    const WriteOutcome outcome = test().put(*client_, key, value, expires_at_ms);
    EXPECT_EQ(outcome.code, Code::kOk);
    return outcome.revision;
  }
  WriteOutcome write(const WriteSetBuilder& set) { return test().write(*client_, set); }
  std::optional<std::string> get(std::string_view key) { return read_value(*client_, key); }
  uint64_t keys() { return region_.region().header().keys.load(); }
  uint64_t now_ms() { return test().environment().now_us / 1000; }
  void pass_ms(uint64_t ms) { test().environment().now_us += ms * 1000; }

  // The same store as it is loaded from the disk after the power failed.
  void reopen() {
    const uint64_t now_us = test().environment().now_us;
    client_.reset();
    store_.reset();
    disk_.crash(1);
    region_.format();
    start_owner();
    test().environment().now_us = now_us;
    client_ = attach_client(region_.region());
    test().settle();
  }

  SimDisk disk_{1};
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
  WriteSetBuilder set_;
};

TEST_F(WriteSets, OneIsOneRevisionAndOneCommit) {
  put("a", "1");
  set_.put(as_bytes("b"), as_bytes("2"), 0);
  set_.erase(as_bytes("a"));
  set_.put(as_bytes("c"), as_bytes("3"), 0);
  set_.erase(as_bytes("never there"));
  const uint64_t before = test().revision();
  const WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.revision, before + 1);
  EXPECT_EQ(outcome.records, 3u);
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_EQ(get("b"), "2");
  EXPECT_EQ(client_->snapshot().value().find(as_bytes("b")).value().revision, before + 1);
  EXPECT_EQ(client_->snapshot().value().find(as_bytes("c")).value().revision, before + 1);
  reopen();
  EXPECT_EQ(test().revision(), before + 1);
  EXPECT_EQ(get("a"), std::nullopt);
  EXPECT_EQ(get("c"), "3");
}

TEST_F(WriteSets, OperationsSeeThoseBefore) {
  set_.put(as_bytes("k"), as_bytes("1"), 0);
  set_.put(as_bytes("k"), as_bytes("2"), 0);
  set_.add(as_bytes("k"), 40, 0, 0);
  set_.put(as_bytes("gone"), as_bytes("x"), 0);
  set_.erase_range(as_bytes("g"), as_bytes("h"));
  EXPECT_EQ(write(set_).code, Code::kOk);
  EXPECT_EQ(get("k"), "42");
  EXPECT_EQ(get("gone"), std::nullopt);
  reopen();
  EXPECT_EQ(get("k"), "42");
  EXPECT_EQ(keys(), 1u);
}

TEST_F(WriteSets, GuardThatDoesNotHoldTellsTheRevision) {
  const uint64_t revision = put("k", "1");
  const uint64_t other = revision + 7;
  set_.guard(GuardKind::kRevisionIn, as_bytes("k"), {&other, 1});
  set_.put(as_bytes("k"), as_bytes("2"), 0);
  set_.put(as_bytes("l"), as_bytes("2"), 0);
  const WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kConditionFailed);
  EXPECT_EQ(outcome.revision, revision);
  EXPECT_EQ(get("k"), "1");
  EXPECT_EQ(get("l"), std::nullopt);
  EXPECT_EQ(test().revision(), revision) << "a refusal is no commit";
}

// Both were submitted before either was evaluated, and lie in one batch.
TEST_F(WriteSets, OfTwoWritersWithOneRevisionOneWins) {
  const uint64_t revision = put("k", "1");
  WriteSetBuilder sets[2];
  for (int i = 0; i < 2; ++i) {
    sets[i].guard(GuardKind::kRevisionIn, as_bytes("k"), {&revision, 1});
    sets[i].put(as_bytes("k"), as_bytes(std::to_string(i)), 0);
    ASSERT_TRUE(client_->write(static_cast<uint64_t>(i) + 1, sets[i].bytes()).is_ok());
  }
  test().settle();
  WriteOutcome first;
  WriteOutcome second;
  ASSERT_TRUE(client_->poll(&first) && client_->poll(&second));
  EXPECT_EQ(first.code, Code::kOk);
  EXPECT_EQ(second.code, Code::kConditionFailed);
  EXPECT_EQ(second.revision, first.revision);
  EXPECT_EQ(get("k"), "0");
}

TEST_F(WriteSets, NothingOfOneIsDoneWhenAnOperationFails) {
  put("text", "no number");
  put("old", "1");
  const uint64_t before = test().revision();
  set_.put(as_bytes("old"), as_bytes("2"), 0);
  set_.put(as_bytes("new"), as_bytes("2"), 0);
  set_.erase_range(as_bytes("t"), as_bytes("t"));
  set_.add(as_bytes("text"), 1, 0, 0);
  EXPECT_EQ(write(set_).code, Code::kNotANumber);
  EXPECT_EQ(get("old"), "1");
  EXPECT_EQ(get("new"), std::nullopt);
  EXPECT_EQ(test().revision(), before);
  EXPECT_EQ(keys(), 2u);
  put("later", "3");
  reopen();
  EXPECT_EQ(get("old"), "1");
  EXPECT_EQ(get("later"), "3");
  EXPECT_EQ(keys(), 3u);
}

TEST_F(WriteSets, OneThatFindsNoMemoryLeavesNothing) {
  put("a", "1");
  const std::string value(20'000, 'v');
  for (int i = 0; i < 400; ++i) set_.put(as_bytes("k" + std::to_string(i)), as_bytes(value), 0);
  const uint64_t before = test().revision();
  EXPECT_EQ(write(set_).code, Code::kNoMemory);
  EXPECT_EQ(test().revision(), before);
  EXPECT_EQ(keys(), 1u);
  EXPECT_EQ(put("b", "2"), before + 1);
  EXPECT_EQ(get("k0"), std::nullopt);
}

TEST_F(WriteSets, ReplacementThatFindsNoMemoryLeavesTheRange) {
  put("k/old", "1");
  const std::string value(20'000, 'v');
  set_.replace_range(as_bytes("k/"), end_of_prefix(as_bytes("k/")));
  for (int i = 100; i < 500; ++i) {
    set_.put(as_bytes("k/" + std::to_string(i)), as_bytes(value), 0);
  }
  const uint64_t before = test().revision();
  EXPECT_EQ(write(set_).code, Code::kNoMemory);
  EXPECT_EQ(test().revision(), before);
  EXPECT_EQ(keys(), 1u);
  EXPECT_EQ(get("k/old"), "1");
  EXPECT_EQ(get("k/100"), std::nullopt);
}

TEST_F(WriteSets, LongOneTravelsInChunks) {
  for (int i = 0; i < 5000; ++i) {
    set_.put(as_bytes("key" + std::to_string(i)), as_bytes("value" + std::to_string(i)), 0);
  }
  const uint64_t before = test().revision();
  const WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.revision, before + 1);
  EXPECT_EQ(outcome.records, 5000u);
  reopen();
  EXPECT_EQ(keys(), 5000u);
  EXPECT_EQ(get("key4999"), "value4999");
}

TEST_F(WriteSets, CountersCount) {
  set_.add(as_bytes("n"), 5, 100, now_ms() + 10'000);
  WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.number, 105);
  set_.clear();
  set_.add(as_bytes("n"), -6, 0, 0);
  outcome = write(set_);
  EXPECT_EQ(outcome.number, 99);
  EXPECT_EQ(get("n"), "99");
  EXPECT_EQ(client_->snapshot().value().find(as_bytes("n")).value().expires_at_ms,
            now_ms() + 10'000)
      << "a counter that exists keeps its expiry";
  set_.clear();
  set_.add(as_bytes("n"), INT64_MAX, 0, 0);
  EXPECT_EQ(write(set_).code, Code::kOutOfRange);
  EXPECT_EQ(get("n"), "99");
  put("digits", std::string(4096, '1'));
  set_.clear();
  set_.add(as_bytes("digits"), 1, 0, 0);
  EXPECT_EQ(write(set_).code, Code::kNotANumber);
}

// More than a batch takes: what finds it full is done once, in the next one.
TEST_F(WriteSets, EachStepOfACounterIsDoneOnce) {
  std::vector<WriteSetBuilder> sets(250);
  for (size_t i = 0; i < sets.size(); ++i) {
    sets[i].add(as_bytes("n"), 1, 0, 0);
    if (client_->in_flight() >= 150) {
      test().settle();
      WriteOutcome outcome;
      while (client_->poll(&outcome)) EXPECT_EQ(outcome.code, Code::kOk);
    }
    ASSERT_TRUE(client_->write(i + 1, sets[i].bytes()).is_ok()) << i;
  }
  test().settle();
  EXPECT_EQ(get("n"), "250");
  EXPECT_EQ(test().revision(), 250u);
}

TEST_F(WriteSets, ExpiryChangesAlone) {
  put("k", std::string(100'000, 'v'));
  set_.set_expiry(as_bytes("k"), now_ms() + 5000);
  EXPECT_EQ(write(set_).code, Code::kOk);
  EXPECT_EQ(get("k"), std::string(100'000, 'v'));
  EXPECT_EQ(client_->snapshot().value().find(as_bytes("k")).value().expires_at_ms, now_ms() + 5000);
  set_.clear();
  set_.set_expiry(as_bytes("none"), 5);
  EXPECT_EQ(write(set_).code, Code::kNotFound);
}

TEST_F(WriteSets, RangesAreErasedUpToTheirEnd) {
  for (const char* key : {"a", "p", "p1", "p2", "q"}) put(key, "v");
  set_.erase_range(as_bytes("p"), end_of_prefix(as_bytes("p")));
  const WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.records, 3u);
  EXPECT_EQ(keys(), 2u);
  EXPECT_EQ(get("q"), "v");
  const WriteOutcome again = write(set_);
  EXPECT_EQ(again.code, Code::kOk);
  EXPECT_EQ(again.records, 0u);
  EXPECT_EQ(again.revision, outcome.revision) << "nothing to do is no commit";
}

TEST_F(WriteSets, ReplacementLeavesWhatIsAlike) {
  const uint64_t kept = put("p/same", "v");
  put("p/changed", "old");
  put("p/gone", "v");
  put("p/longer", "v");
  put("p/time", "v");
  put("q", "v");
  set_.replace_range(as_bytes("p/"), end_of_prefix(as_bytes("p/")));
  set_.put(as_bytes("p/changed"), as_bytes("new"), 0);
  set_.put(as_bytes("p/fresh"), as_bytes("v"), 0);
  set_.put(as_bytes("p/longer"), as_bytes("v and more"), 0);
  set_.put(as_bytes("p/same"), as_bytes("v"), 0);
  set_.put(as_bytes("p/time"), as_bytes("v"), now_ms() + 9000);
  const WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.records, 5u);
  EXPECT_EQ(get("p/changed"), "new");
  EXPECT_EQ(get("p/longer"), "v and more");
  EXPECT_EQ(get("p/gone"), std::nullopt);
  EXPECT_EQ(get("p/fresh"), "v");
  EXPECT_EQ(get("q"), "v");
  EXPECT_EQ(client_->snapshot().value().find(as_bytes("p/same")).value().revision, kept);
  EXPECT_EQ(keys(), 6u);
  EXPECT_EQ(write(set_).records, 0u);
}

TEST_F(WriteSets, ReplacementOutOfOrderOrRangeIsRefused) {
  put("p/1", "v");
  const auto code_of = [&](std::initializer_list<const char*> keys) {
    set_.clear();
    set_.replace_range(as_bytes("p/"), end_of_prefix(as_bytes("p/")));
    for (const char* key : keys) set_.put(as_bytes(key), as_bytes("x"), 0);
    return write(set_).code;
  };
  EXPECT_EQ(code_of({"p/2", "p/1"}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({"p/1", "p/1"}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({"o"}), Code::kInvalidArgument);
  EXPECT_EQ(code_of({"p0"}), Code::kInvalidArgument);
  EXPECT_EQ(get("p/1"), "v");
  EXPECT_EQ(code_of({}), Code::kOk);
  EXPECT_EQ(keys(), 0u);
}

// The owner dies when the log holds the sets and their client has no answer yet.
TEST_F(WriteSets, OneThatEndsTooEarlyIsRefusedWhole) {
  put("g", "1");
  put("p/old", "1");
  set_.guard(GuardKind::kPresent, as_bytes("g"));
  set_.put(as_bytes("first"), as_bytes("1"), 0);
  set_.replace_range(as_bytes("p/"), end_of_prefix(as_bytes("p/")));
  set_.put(as_bytes("p/new"), as_bytes("1"), 0);
  const uint64_t before = test().revision();
  const Bytes whole = set_.bytes();
  for (size_t bytes = kWriteSetHeaderBytes; bytes < whole.size(); ++bytes) {
    ASSERT_TRUE(client_->write(bytes, whole.first(bytes)).is_ok());
    test().settle();
    WriteOutcome outcome;
    ASSERT_TRUE(client_->poll(&outcome));
    EXPECT_EQ(outcome.code, Code::kInvalidArgument) << bytes;
  }
  EXPECT_EQ(test().revision(), before);
  EXPECT_EQ(keys(), 2u);
  EXPECT_EQ(write(set_).code, Code::kOk);
  EXPECT_EQ(get("p/old"), std::nullopt);
}

TEST_F(WriteSets, NextOwnerGivesTheAnswerOfTheLog) {
  put("n", "41");
  set_.add(as_bytes("n"), 1, 0, 0);
  WriteSetBuilder two;
  two.put(as_bytes("r1"), as_bytes("v"), 0);
  two.put(as_bytes("r2"), as_bytes("v"), 0);
  ASSERT_TRUE(client_->write(1, set_.bytes()).is_ok());
  ASSERT_TRUE(client_->write(2, two.bytes()).is_ok());
  test().store().drain();
  Batch& batch = test().store().seal();
  // The frame gets onto the disk, the answers do not get into the ring.
  batch.answers.clear();
  batch.releases.clear();
  test().store().finish(batch);
  disk_.kill_process();
  const uint64_t revision = test().revision();
  start_owner();
  test().settle();
  EXPECT_EQ(test().revision(), revision) << "nothing is done twice";
  WriteOutcome first;
  WriteOutcome second;
  ASSERT_TRUE(client_->poll(&first) && client_->poll(&second));
  EXPECT_EQ(first.code, Code::kOk);
  EXPECT_EQ(first.number, 42);
  EXPECT_EQ(first.records, 1u);
  EXPECT_EQ(second.records, 2u);
  EXPECT_EQ(second.revision, first.revision + 1);
  EXPECT_EQ(get("n"), "42");
}

TEST_F(WriteSets, RefusalThatStandsOnALostStateIsNoVerdict) {
  ASSERT_TRUE(client_->put(1, as_bytes("k"), as_bytes("lost"), 0).is_ok());
  set_.guard(GuardKind::kAbsent, as_bytes("k"));
  set_.put(as_bytes("k"), as_bytes("v"), 0);
  ASSERT_TRUE(client_->write(2, set_.bytes()).is_ok());
  disk_.fail_every(SimCall::kWrite, SimFault::kShortWrite);
  test().settle();
  WriteOutcome first;
  WriteOutcome second;
  ASSERT_TRUE(client_->poll(&first) && client_->poll(&second));
  EXPECT_EQ(first.code, Code::kOutcomeUnknown);
  EXPECT_EQ(second.code, Code::kUnavailable) << "the key is not there, and was not written";
}

TEST_F(WriteSets, ExpiredRecordsAreAbsentForGuardsAndOperations) {
  put("k", "5", now_ms() + 1000);
  put("p/1", "v", now_ms() + 1000);
  pass_ms(1000);
  set_.guard(GuardKind::kAbsent, as_bytes("k"));
  set_.add(as_bytes("k"), 1, 0, 0);
  WriteOutcome outcome = write(set_);
  EXPECT_EQ(outcome.code, Code::kOk);
  EXPECT_EQ(outcome.number, 1);
  set_.clear();
  set_.erase_range(as_bytes("p/"), as_bytes("q"));
  EXPECT_EQ(write(set_).records, 0u);
  set_.clear();
  set_.set_expiry(as_bytes("p/1"), now_ms() + 9000);
  EXPECT_EQ(write(set_).code, Code::kNotFound);
}

}  // namespace
}  // namespace small_db
