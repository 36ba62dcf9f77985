#include "engine/replication/bootstrap.h"

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/sim/sim_fs.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

constexpr uint64_t kVariants = 20;
constexpr int kOldWrites = 9;
constexpr int kNewWrites = 5;

// Puts so many keys, with a checkpoint before the last.
void fill(SimDisk& disk, int writes) {
  TestRegion region;
  SteppedStore store(disk, region.region());
  ASSERT_TRUE(store.open().is_ok());
  const std::unique_ptr<Client> client = attach_client(region.region());
  for (int i = 1; i < writes; ++i) {
    ASSERT_EQ(store.put(*client, "key" + std::to_string(i), "value").code, Code::kOk);
  }
  store.store().request_checkpoint();
  store.settle();
  ASSERT_EQ(store.put(*client, "last", "value").code, Code::kOk);
  store.store().let_go();
}

// The revision that a store opens with; nothing when it refuses.
std::optional<uint64_t> open_revision(SimDisk& disk) {
  TestRegion region;
  SteppedStore store(disk, region.region());
  if (!store.open().is_ok()) return std::nullopt;
  return store.revision();
}

class BootstrapTest : public ::testing::Test {
 protected:
  BootstrapTest() {
    SimDisk primary(1);
    fill(primary, kNewWrites);
    fill(disk_, kOldWrites);
    disk_.set_contents(kBootstrapFile, as_bytes(primary.contents("checkpoint.1")));
    bootstrap_.generation = 1;
    bootstrap_.history.node_id[0] = std::byte{1};
    bootstrap_.history.terms = {{1, bootstrap_.history.node_id, 0}};
    bootstrap_.history.follows = true;
  }

  std::vector<std::string> saved_names() {
    std::vector<std::string> names = disk_.names();
    std::erase_if(names, [](const std::string& name) { return name.rfind("diverged.", 0) != 0; });
    return names;
  }

  SimDisk disk_{2};
  Bootstrap bootstrap_;
};

TEST_F(BootstrapTest, ACrashAnywhereLeavesTheOldStateOrTheNewOne) {
  bool seen_old = false;
  bool seen_new = false;
  for (uint64_t call = 0;; ++call) {
    SimDisk cut = disk_;
    const uint64_t before = cut.operations();
    cut.crash_at(before + call);
    std::string saved_as;
    (void)install_bootstrap(*cut.mount(), bootstrap_, 1, &saved_as);
    if (!cut.powered_off()) break;
    for (uint64_t variant = 0; variant < kVariants; ++variant) {
      SimDisk left(call * kVariants + variant);
      left.become_crash_of(cut, variant);
      const std::optional<uint64_t> revision = open_revision(left);
      ASSERT_TRUE(revision) << "call " << call << ", variant " << variant;
      ASSERT_TRUE(*revision == kOldWrites || *revision == kNewWrites - 1) << *revision;
      (*revision == kOldWrites ? seen_old : seen_new) = true;
      const Result<NodeHistory> history = read_history(*left.mount());
      ASSERT_TRUE(history.is_ok()) << history.status().text();
      ASSERT_EQ(history.value() == bootstrap_.history, *revision != kOldWrites)
          << "call " << call << ", variant " << variant;
      for (const std::string& name : left.names()) {
        ASSERT_TRUE(name.rfind("history.", 0) != 0 || name == "history.tmp") << name;
      }
    }
  }
  EXPECT_TRUE(seen_old);
  EXPECT_TRUE(seen_new);
}

TEST_F(BootstrapTest, ACallThatFailsLeavesTheOldStateOrTheNewOne) {
  int failed = 0;
  for (uint64_t call = 0;; ++call) {
    SimDisk disk = disk_;
    const uint64_t fails = disk.operations() + call;
    disk.fail_at(fails, SimFault::kIoError);
    std::string saved_as;
    const Status status = install_bootstrap(*disk.mount(), bootstrap_, 1, &saved_as);
    if (disk.operations() <= fails) break;
    if (!status.is_ok()) ++failed;
    disk.kill_process();
    const std::optional<uint64_t> revision = open_revision(disk);
    ASSERT_TRUE(revision) << "call " << call;
    ASSERT_TRUE(*revision == kNewWrites - 1 || (*revision == kOldWrites && !status.is_ok()))
        << "call " << call << ": " << *revision;
    const Result<NodeHistory> history = read_history(*disk.mount());
    ASSERT_TRUE(history.is_ok()) << history.status().text();
    ASSERT_EQ(history.value() == bootstrap_.history, *revision != kOldWrites) << "call " << call;
  }
  EXPECT_GT(failed, 10);
}

// The last write is in logfile.1, those before it in logfile.0.
TEST_F(BootstrapTest, SavesTheLogsThatMayHoldWhatDiverged) {
  bootstrap_.diverged = true;
  bootstrap_.common_revision = kOldWrites - 1;
  std::string saved_as;
  ASSERT_TRUE(install_bootstrap(*disk_.mount(), bootstrap_, 1, &saved_as).is_ok());
  EXPECT_EQ(saved_as, "diverged.9.logfile.1");
  EXPECT_EQ(saved_names(), std::vector<std::string>{"diverged.9.logfile.1"});
}

TEST_F(BootstrapTest, SavesTheCheckpointWhereTheLogsBeginLater) {
  disk_.erase("logfile.0");
  bootstrap_.diverged = true;
  bootstrap_.common_revision = 3;
  std::string saved_as;
  ASSERT_TRUE(install_bootstrap(*disk_.mount(), bootstrap_, 1, &saved_as).is_ok());
  EXPECT_EQ(saved_as, "diverged.4.checkpoint.1, diverged.4.logfile.1");
}

// Commits go on in the old log while the next one is made: that one's header tells an earlier
// revision than the one that it begins behind.
TEST_F(BootstrapTest, AsksALogsStartForWhereTheOneBeforeEnds) {
  SimDisk disk(3);
  TestRegion region;
  {
    SteppedStore store(disk, region.region());
    ASSERT_TRUE(store.open().is_ok());
    const std::unique_ptr<Client> client = attach_client(region.region());
    ASSERT_EQ(store.put(*client, "first", "value").code, Code::kOk);
    store.store().request_checkpoint();
    while (!store.store().wants_log_switch()) (void)store.store().checkpoint_step();
    ASSERT_TRUE(client->put(1, as_bytes("second"), as_bytes("value"), 0).is_ok());
    (void)store.store().drain();
    store.store().finish(store.store().seal());
    store.settle();
    store.store().let_go();
  }
  disk.set_contents(kBootstrapFile, as_bytes(disk_.contents(kBootstrapFile)));
  bootstrap_.diverged = true;
  bootstrap_.common_revision = 1;
  std::string saved_as;
  ASSERT_TRUE(install_bootstrap(*disk.mount(), bootstrap_, 1, &saved_as).is_ok());
  EXPECT_NE(saved_as.find("diverged.2.logfile.0"), std::string::npos) << saved_as;
}

}  // namespace
}  // namespace small_db
