// Replication between storage workers with their real threads. Runs under ThreadSanitizer, too.
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <string_view>
#include <thread>

#include "engine/base/kill_point.h"
#include "engine/shm/doorbell.h"
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

  static AckState ack_state(Node& node) {
    return static_cast<AckState>(node.region().replication().ack_state.load());
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

#ifdef SMALL_DB_KILL_POINTS

// What threads of the test's nodes meet at marked points (engine/base/kill_point.h).
struct Marks {
  static constexpr int kNever = -1;
  static inline std::atomic<bool> is_held{false};
  static inline std::atomic<bool> waits_to_connect{false};
  static inline std::atomic<bool> may_connect{false};
  static inline std::atomic<bool> bootstrap_ready{false};
  static inline std::atomic<int> distrust_when_installed{kNever};
  static inline Node* backup = nullptr;

  // Holds owners that are about to sleep until the receiver waits to connect.
  static void delay_sleep_until_asked(const char* name) noexcept {
    const std::string_view mark(name);
    if (mark == "receiver: waits to connect") waits_to_connect.store(true);
    if (mark == "owner: about to sleep") {
      is_held.store(true);
      EXPECT_TRUE(eventually([] { return waits_to_connect.load(); }));
    }
  }
  // Holds owners that are about to sleep, when the receiver may be at work, until the bootstrap is
  // ready.
  static void delay_sleep(const char* name) noexcept {
    const std::string_view mark(name);
    if (mark == "receiver: bootstrap ready") bootstrap_ready.store(true);
    if (mark == "owner: log may be asked for") may_connect.store(true);
    if (mark == "owner: about to sleep" && may_connect.load()) {
      EXPECT_TRUE(eventually([] { return bootstrap_ready.load(); }));
    }
  }
  static void look_at_install(const char* name) noexcept {
    if (std::string_view(name) != "install: bootstrap in force") return;
    distrust_when_installed.store(static_cast<int>(backup->region().header().distrust.load()));
  }
};

class MarkedReplication : public ReplicationThreads {
 protected:
  ~MarkedReplication() override {
    a_.stop();
    b_.stop();
    kill_point_hook = nullptr;
  }
};

// The receiver says so when the commit thread has looked for work and not yet said that it sleeps.
TEST_F(MarkedReplication, ABootstrapThatIsReadyJustBeforeItsOwnerSleepsIsPutInForce) {
  a_.start();
  put_many(a_, 0, 10);
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  kill_point_hook = Marks::delay_sleep;
  b_.start();
  ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
  EXPECT_TRUE(Marks::bootstrap_ready.load());
}

TEST_F(MarkedReplication, AReceiverThatAsksJustBeforeItsOwnerSleepsMayConnect) {
  constexpr uint64_t kNeverUs = 3'600'000'000;
  a_.options.idle_frame_after_us = kNeverUs;  // nothing else wakes the owners
  b_.options.idle_frame_after_us = kNeverUs;
  start_both();
  kill_point_hook = Marks::delay_sleep_until_asked;
  ring_doorbell(b_.region());
  ASSERT_TRUE(eventually([] { return Marks::is_held.load(); }));
  a_.set_reachable(false);
  ASSERT_TRUE(eventually([] { return Marks::waits_to_connect.load(); }));
  a_.set_reachable(true);
  put_many(a_, 100, 10);
  ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
}

// Whoever comes next must load the primary's checkpoint, and not go on with the memory of the old
// state, if this process is killed there.
TEST_F(MarkedReplication, MemoryIsDistrustedWhenABootstrapIsInForce) {
  Marks::backup = &b_;
  kill_point_hook = Marks::look_at_install;
  start_both();
  EXPECT_EQ(Marks::distrust_when_installed.load(), 1);
}

#endif

TEST_F(ReplicationThreads, ABackupThatHasNotSeenItsPrimaryServesNothing) {
  a_.set_reachable(false);
  a_.start();
  put_many(a_, 0, 10);
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.launch();
  ASSERT_TRUE(eventually([&] { return !b_.region().reason().empty(); }));
  EXPECT_FALSE(b_.serves());
  EXPECT_EQ(b_.content(), "no state");
  EXPECT_NE(b_.promote().code, Code::kOk);
  a_.set_reachable(true);
  ASSERT_TRUE(catches_up(b_, a_)) << b_.log();
  EXPECT_EQ(b_.content(), a_.content());
}

TEST_F(ReplicationThreads, ABackupThatIsToFollowNobodyTakesNoWritesUntilItIsPromoted) {
  start_both();
  b_.stop();
  b_.follow(nullptr);
  b_.restart();
  EXPECT_EQ(b_.role(), Role::kFenced);
  EXPECT_EQ(b_.put("key", "value").code, Code::kNotPrimary);
  ASSERT_EQ(b_.promote().code, Code::kOk);
  EXPECT_EQ(b_.epoch(), 2u);
  EXPECT_EQ(b_.put("key", "value").code, Code::kOk);
}

// A write that waits for backups in vain does not keep a primary from being fenced.
TEST_F(ReplicationThreads, APrimaryThatWaitsForBackupsIsFenced) {
  a_.options.replication.acks_required = 1;
  a_.options.replication.ack_timeout_us = 50'000;
  a_.start();
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  ASSERT_EQ(a_.put("key", "first").code, Code::kOk);
  ASSERT_TRUE(catches_up(b_, a_));
  a_.set_reachable(false);
  const uint64_t waiting = a_.submit_put("key", "second");
  ASSERT_TRUE(eventually([&] { return ack_state(a_) == AckState::kMissing; }));
  ASSERT_EQ(b_.promote().code, Code::kOk);
  a_.set_reachable(true);
  ASSERT_TRUE(has_role(a_, Role::kFenced)) << a_.log();
  EXPECT_EQ(a_.await(waiting).code, Code::kOutcomeUnknown);
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
  EXPECT_EQ(a_.promote().code, Code::kNotPrimary);
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
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  ASSERT_EQ(a_.put("first", "value").code, Code::kOk) << a_.log() << b_.log();
  EXPECT_EQ(b_.region().replication().durable_revision.load(), a_.revision());
}

TEST_F(ReplicationThreads, ABackupWhoseContentIsNotItsPrimarysStops) {
  start_both();
  ReplicationState& state = b_.region().replication();
  a_.set_lies(true);
  put_many(a_, 100, 20);
  ASSERT_TRUE(eventually([&] {
    return state.follow_phase.load() == static_cast<uint32_t>(FollowPhase::kStopped);
  })) << b_.log();
  EXPECT_NE(state.follow_problem.get().find("content"), std::string::npos);
  const uint64_t revision = b_.revision();
  a_.set_lies(false);
  put_many(a_, 200, 20);
  EXPECT_EQ(b_.revision(), revision);
  EXPECT_TRUE(b_.serves());
}

// What was acknowledged is on the backup when the primary's disk is lost.
TEST_F(ReplicationThreads, NoAcknowledgedWriteIsLostWithThePrimary) {
  a_.options.replication.acks_required = 1;
  a_.start();
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  put_many(a_, 0, 40);
  const std::string acknowledged = a_.content();
  a_.stop();
  ASSERT_EQ(b_.promote().code, Code::kOk);
  EXPECT_EQ(b_.content(), acknowledged);
}

// Its answer holds an epoch, and no revision that others must have.
TEST_F(ReplicationThreads, APromotionIsAnsweredWithoutBackups) {
  b_.options.replication.acks_required = 1;
  b_.options.replication.ack_timeout_us = 50'000;
  start_both();
  a_.stop();
  const uint64_t promotion = b_.submit_promote();
  // The first write comes as soon as it is taken, and waits for a backup.
  while (b_.role() != Role::kPrimary) std::this_thread::yield();
  const uint64_t write = b_.submit_put("key", "value");
  EXPECT_EQ(b_.await(promotion).code, Code::kOk) << b_.log();
  EXPECT_TRUE(eventually([&] { return ack_state(b_) == AckState::kMissing; }));
  EXPECT_FALSE(b_.has_outcome(write));
}

// A backup begins with a checkpoint; none could be made while a write waits for it.
TEST_F(ReplicationThreads, AFirstWriteMayWaitForABackupThatIsStillEmpty) {
  a_.options.replication.acks_required = 1;
  a_.start();
  const uint64_t waiting = a_.submit_put("key", "first");
  b_.start();
  EXPECT_EQ(a_.await(waiting).code, Code::kOk) << a_.log() << b_.log();
  EXPECT_EQ(b_.get("key"), "first");
}

// What waits in vain and what came behind it are both answered.
TEST_F(ReplicationThreads, AllThatAPrimaryHasTakenIsAnsweredWhenItIsFenced) {
  a_.options.replication.acks_required = 1;
  a_.start();
  b_.start();
  ASSERT_EQ(a_.put("key", "first").code, Code::kOk);
  ASSERT_TRUE(catches_up(b_, a_));
  a_.set_reachable(false);
  const uint64_t waiting = a_.submit_put("key", "second");
  ASSERT_TRUE(eventually(
      [&] { return a_.region().replication().durable_revision.load() > a_.revision(); }));
  const uint64_t behind = a_.submit_put("key", "third");
  ASSERT_EQ(b_.promote().code, Code::kOk);
  a_.set_reachable(true);
  ASSERT_TRUE(has_role(a_, Role::kFenced)) << a_.log();
  EXPECT_EQ(a_.await(waiting).code, Code::kOutcomeUnknown);
  EXPECT_EQ(a_.await(behind).code, Code::kNotPrimary);
}

TEST_F(ReplicationThreads, WritesAreRefusedWhileTooFewBackupsAnswer) {
  a_.options.replication.acks_required = 1;
  a_.options.replication.ack_timeout_us = 50'000;
  a_.start();
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  ASSERT_EQ(a_.put("key", "first").code, Code::kOk);
  const uint64_t visible = a_.revision();
  a_.set_reachable(false);
  const uint64_t waiting = a_.submit_put("key", "second");
  ASSERT_TRUE(eventually([&] { return ack_state(a_) == AckState::kMissing; }));
  EXPECT_EQ(a_.put("other", "value").code, Code::kNotReplicated);
  EXPECT_EQ(a_.revision(), visible);
  EXPECT_EQ(a_.get("key"), "first");
  a_.set_reachable(true);
  EXPECT_EQ(a_.await(waiting).code, Code::kOk);
  ASSERT_TRUE(eventually([&] { return a_.put("other", "value").code == Code::kOk; }));
  EXPECT_NE(a_.log().find("writes are refused until enough do"), std::string::npos);
  EXPECT_NE(a_.log().find("enough backups acknowledge writes again"), std::string::npos);
}

TEST_F(ReplicationThreads, ADegradedPrimaryGoesOnAlone) {
  a_.options.replication.acks_required = 1;
  a_.options.replication.ack_timeout_us = 50'000;
  a_.options.replication.degrade = true;
  a_.start();
  EXPECT_EQ(a_.put("key", "alone").code, Code::kOk);
  EXPECT_EQ(ack_state(a_), AckState::kDegraded);
  EXPECT_NE(a_.log().find("writes are acknowledged without them"), std::string::npos);
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  ASSERT_TRUE(eventually([&] {
    a_.put("key", "together");
    return ack_state(a_) == AckState::kComplete;
  })) << b_.log();
}

// The next owner finds what the former one left: visible then, answered when the backup has it.
TEST_F(ReplicationThreads, AWriteThatWaitsOutlivesItsOwner) {
  a_.options.replication.acks_required = 1;
  a_.options.replication.ack_timeout_us = 50'000;
  a_.start();
  ASSERT_EQ(a_.checkpoint().code, Code::kOk);
  b_.start();
  ASSERT_EQ(a_.put("key", "first").code, Code::kOk);
  a_.set_reachable(false);
  const uint64_t waiting = a_.submit_put("key", "second");
  ASSERT_TRUE(eventually([&] { return ack_state(a_) == AckState::kMissing; }));
  EXPECT_EQ(a_.put("other", "value").code, Code::kNotReplicated);
  a_.replace_owner();
  EXPECT_FALSE(a_.has_outcome(waiting));
  a_.set_reachable(true);
  EXPECT_EQ(a_.await(waiting).code, Code::kOk);
  EXPECT_EQ(a_.get("key"), "second");
  ASSERT_TRUE(catches_up(b_, a_));
  EXPECT_EQ(b_.content(), a_.content());
}

}  // namespace
}  // namespace small_db::testing
