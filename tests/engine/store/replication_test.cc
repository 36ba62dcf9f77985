// Replication between storage workers with their real threads. Runs under ThreadSanitizer, too.
#include <gtest/gtest.h>

#include <filesystem>

#include "tests/sim/nodes.h"

namespace small_db::testing {
namespace {

void put_many(Node& node, int first, int count) {
  for (int i = first; i < first + count; ++i) {
    ASSERT_EQ(node.put("key" + std::to_string(i % 97), "value" + std::to_string(i)).code,
              Code::kOk);
  }
}

class ReplicationThreads : public ::testing::Test {
 protected:
  ReplicationThreads() { b_.follow(&a_); }

  void start_both() {
    a_.start();
    put_many(a_, 0, 50);
    ASSERT_EQ(a_.checkpoint().code, Code::kOk);
    put_many(a_, 50, 50);
    b_.start();
    ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
  }

  static bool catches_up(Node& backup, Node& primary) {
    return eventually([&] { return backup.serves() && backup.revision() == primary.revision(); });
  }

  static bool has_role(Node& node, Role role) {
    return eventually([&] { return node.role() == role; });
  }

  Node a_{"http://a/", 1};
  Node b_{"http://b/", 2};
};

TEST_F(ReplicationThreads, AnEmptyBackupBecomesACopyAndFollows) {
  start_both();
  EXPECT_EQ(b_.role(), Role::kBackup);
  EXPECT_EQ(b_.content(), a_.content());
  put_many(a_, 100, 300);
  ASSERT_TRUE(catches_up(b_, a_));
  EXPECT_EQ(b_.content(), a_.content());
  EXPECT_EQ(b_.region().replication().bootstraps.load(), 1u);
  EXPECT_TRUE(eventually([&] { return b_.region().replication().behind_since_ms.load() == 0; }));
}

TEST_F(ReplicationThreads, ABackupRefusesWritesAndServesReads) {
  start_both();
  EXPECT_EQ(b_.put("key", "value").code, Code::kNotPrimary);
  EXPECT_EQ(b_.get("key1"), a_.get("key1"));
}

TEST_F(ReplicationThreads, ABackupGoesOnAfterItsOwnRestart) {
  start_both();
  b_.restart();
  EXPECT_EQ(b_.role(), Role::kBackup);
  put_many(a_, 100, 20);
  ASSERT_TRUE(catches_up(b_, a_));
  EXPECT_EQ(b_.content(), a_.content());
  EXPECT_EQ(b_.region().replication().bootstraps.load(), 0u);  // of the new region
}

TEST_F(ReplicationThreads, ABackupGoesOnAfterItsPrimaryWasAway) {
  start_both();
  a_.set_reachable(false);
  put_many(a_, 100, 20);
  a_.restart();
  a_.set_reachable(true);
  ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
  EXPECT_EQ(b_.content(), a_.content());
  EXPECT_EQ(b_.region().replication().bootstraps.load(), 1u);
}

TEST_F(ReplicationThreads, ABackupThatIsTooFarBehindTakesACheckpoint) {
  start_both();
  b_.stop();
  for (int i = 0; i < 4; ++i) {
    put_many(a_, 100 * i, 50);
    ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  }
  b_.restart();
  ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
  EXPECT_EQ(b_.content(), a_.content());
}

TEST_F(ReplicationThreads, APromotedBackupTakesWritesAndFencesTheOldPrimary) {
  start_both();
  const WriteOutcome promoted = b_.promote();
  ASSERT_EQ(promoted.code, Code::kOk);
  EXPECT_EQ(promoted.revision, 2u);
  EXPECT_EQ(b_.role(), Role::kPrimary);
  EXPECT_EQ(b_.put("after", "promotion").code, Code::kOk);
  EXPECT_TRUE(has_role(a_, Role::kFenced));
  EXPECT_EQ(a_.put("key", "value").code, Code::kNotPrimary);
  EXPECT_EQ(b_.promote().revision, 2u);  // once more changes nothing
  b_.restart();
  EXPECT_EQ(b_.role(), Role::kPrimary);
  EXPECT_EQ(b_.epoch(), 2u);
  a_.restart();
  EXPECT_EQ(a_.role(), Role::kFenced);
}

TEST_F(ReplicationThreads, AnOldPrimaryRejoinsAndItsOwnWritesAreSavedAside) {
  start_both();
  a_.set_reachable(false);
  put_many(a_, 1000, 30);  // nobody else has them
  ASSERT_EQ(b_.promote().code, Code::kOk);
  put_many(b_, 2000, 10);
  ASSERT_EQ(b_.checkpoint().code, Code::kOk);
  a_.stop();
  a_.follow(&b_);
  a_.restart();
  ASSERT_TRUE(eventually([&] {
    return a_.role() == Role::kBackup && a_.content() == b_.content();
  })) << a_.log();
  bool saved = false;
  for (const auto& entry : std::filesystem::directory_iterator(a_.path())) {
    saved = saved || entry.path().filename().string().rfind("diverged.", 0) == 0;
  }
  EXPECT_TRUE(saved) << a_.log();
  put_many(b_, 3000, 10);
  ASSERT_TRUE(catches_up(a_, b_));
}

TEST_F(ReplicationThreads, AWriteWaitsForTheBackupThatItIsPromised) {
  a_.options.replication.acks_required = 1;
  a_.options.replication.ack_timeout_us = 200'000;
  a_.start();
  b_.start();
  ASSERT_TRUE(eventually([&] { return a_.checkpoint().code == Code::kOk; }));
  ASSERT_EQ(a_.put("first", "value").code, Code::kOk) << a_.log() << b_.log();
  EXPECT_EQ(b_.region().replication().durable_revision.load(), a_.revision());
}

}  // namespace
}  // namespace small_db::testing
