// Processes of either side die or are replaced under load: after quiet both hold the same, nothing
// that was acknowledged is lost, and the backup never had what the primary did not have.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/mman.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/preload.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

// Looks at both all the time: the backup's revision never goes back, and is never above what is
// durable at the primary.
class RevisionWatcher {
 public:
  RevisionWatcher(int primary_port, int backup_port)
      : thread_([this, primary_port, backup_port] { run(primary_port, backup_port); }) {}
  ~RevisionWatcher() {
    stopping_.store(true);
    thread_.join();
    EXPECT_GT(looks_, 10);
    EXPECT_EQ(failure_, "");
  }
  RevisionWatcher(const RevisionWatcher&) = delete;
  RevisionWatcher& operator=(const RevisionWatcher&) = delete;

 private:
  void run(int primary_port, int backup_port) {
    uint64_t highest = 0;
    while (!stopping_.load() && failure_.empty()) {
      const Json backup = status_of_node(backup_port);
      const Json primary = status_of_node(primary_port);
      if (backup.empty() || backup["state"] != "serving") continue;
      const uint64_t revision = backup["revision"];
      if (revision < highest) {
        failure_ = "the backup went back from " + std::to_string(highest) + " to " +
                   std::to_string(revision);
      }
      highest = revision;
      if (primary.empty() || primary["state"] != "serving") continue;
      const uint64_t durable = primary["replication"]["durable_revision"];
      if (revision > durable) {
        failure_ = "the backup is at " + std::to_string(revision) + ", the primary at " +
                   std::to_string(durable);
      }
      ++looks_;
    }
  }

  std::atomic<bool> stopping_{false};
  int looks_ = 0;
  std::string failure_;
  std::thread thread_;  // the last: it uses the others
};

// Has threads rest at so many of 1000 calls at which they meet, in every process of an nginx that
// is started meanwhile, and counts the rests in memory that it shares with all of them.
class Pauses {
 public:
  explicit Pauses(int permille)
      : file_(memfd_create("pauses", MFD_CLOEXEC)),
        preload_(SMALL_DB_PAUSES_LIBRARY, "SMALL_DB_PAUSES",
                 std::to_string(permille) + " /proc/" + std::to_string(getpid()) + "/fd/" +
                     std::to_string(file_)) {
    EXPECT_EQ(ftruncate(file_, sizeof(uint64_t)), 0);
  }
  ~Pauses() { close(file_); }
  Pauses(const Pauses&) = delete;
  Pauses& operator=(const Pauses&) = delete;

  uint64_t count() const {
    uint64_t count = 0;
    EXPECT_EQ(pread(file_, &count, sizeof(count), 0), static_cast<ssize_t>(sizeof(count)));
    return count;
  }

 private:
  const int file_;
  const Preload preload_;
};

// With and without pauses.
class ReplicationCrash : public ::testing::TestWithParam<int> {
 protected:
  // event: what happens again and again.
  void run(const std::function<void(ReplicaPair&)>& event, int rounds = 4) {
    const std::string lines = "checkpoint log_size=1m;\n";
    ReplicaPair pair({.workers = 2, .memory = "32m", .store_lines = lines},
                     {.workers = 2, .memory = "32m", .store_lines = lines});
    pair.start();
    pair.primary().allow_log("exited on signal 9");
    pair.backup().allow_log("exited on signal 9");
    LoadClients load(pair.primary().port(), {.writers = 3, .readers = 1, .failures_allowed = true});
    {
      const RevisionWatcher watcher(pair.primary().port(), pair.backup().port());
      load.start();
      for (int round = 0; round < rounds; ++round) {
        await_progress(pair, load);
        event(pair);
      }
      await_progress(pair, load);
      load.stop();
      ASSERT_TRUE(pair.backup_catches_up()) << pair.backup_status() << pair.logs();
    }
    pair.expect_same();
    load.verify(pair.client());
    EXPECT_EQ(role_of_node(pair.primary().port()), "primary");
    EXPECT_EQ(role_of_node(pair.backup().port()), "backup");
    const uint64_t pauses_min = GetParam() == 0 ? 0 : 100;
    EXPECT_GE(pauses_.count(), pauses_min);
  }

 private:
  const Pauses pauses_{GetParam()};

  // Writes, and the backup takes some of them.
  static void await_progress(ReplicaPair& pair, const LoadClients& load) {
    const uint64_t target = load.acknowledged() + 200;
    EXPECT_TRUE(poll_until([&] { return load.acknowledged() >= target; })) << pair.logs();
    const uint64_t revision = pair.primary_status().value("revision", uint64_t{0});
    EXPECT_GT(revision, 0u);
    EXPECT_TRUE(poll_until([&] {
      return pair.backup_status().value("revision", uint64_t{0}) >= revision;
    })) << pair.backup_status()
        << pair.logs();
  }
};

TEST_P(ReplicationCrash, ThePrimarysStorageProcessIsKilled) {
  run([](ReplicaPair& pair) { kill_storage(pair.primary()); });
}

TEST_P(ReplicationCrash, TheBackupsStorageProcessIsKilled) {
  run([](ReplicaPair& pair) { kill_storage(pair.backup()); });
}

TEST_P(ReplicationCrash, AWorkerOfThePrimaryIsKilled) {
  run([](ReplicaPair& pair) { kill(pair.primary().workers().at(0), SIGKILL); });
}

TEST_P(ReplicationCrash, AWorkerOfTheBackupIsKilled) {
  run([](ReplicaPair& pair) { kill(pair.backup().workers().at(0), SIGKILL); });
}

TEST_P(ReplicationCrash, AllOfThePrimaryIsKilled) {
  run([](ReplicaPair& pair) {
    pair.primary().kill_everything();
    pair.primary().start();
  });
}

TEST_P(ReplicationCrash, AllOfTheBackupIsKilled) {
  run([](ReplicaPair& pair) {
    pair.backup().kill_everything();
    pair.backup().start();
  });
}

TEST_P(ReplicationCrash, BothAreKilled) {
  run([](ReplicaPair& pair) {
    pair.primary().kill_everything();
    pair.backup().kill_everything();
    pair.backup().start();
    pair.primary().start();
  });
}

TEST_P(ReplicationCrash, ThePrimaryIsReloaded) {
  run([](ReplicaPair& pair) { pair.primary().reload(); });
}

TEST_P(ReplicationCrash, TheBackupIsReloaded) {
  run([](ReplicaPair& pair) { pair.backup().reload(); });
}

TEST_P(ReplicationCrash, TheBackupIsKilledWhileItTakesTheCheckpoint) {
  ReplicaPair pair({.memory = "64m"}, {.memory = "64m"});
  pair.start_primary();
  for (int i = 0; i < 40; ++i) pair.put("k" + std::to_string(i), std::string(800'000, 'v'));
  expect_ok(post_to(pair.primary().port(), "/v1/checkpoint"));
  pair.start_backup();
  pair.backup().allow_log("exited on signal 9");
  for (int i = 0; i < 5; ++i) kill_storage(pair.backup());
  pair.backup().kill_everything();
  pair.backup().start();
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  pair.expect_same();
}

INSTANTIATE_TEST_SUITE_P(Pauses, ReplicationCrash, ::testing::Values(0, 100),
                         [](const auto& info) { return info.param == 0 ? "No" : "Yes"; });

}  // namespace
}  // namespace small_db::testing
