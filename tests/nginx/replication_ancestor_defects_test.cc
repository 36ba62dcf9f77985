// The ancestor's replication had no handshake, no position, no epoch and no resume, and a backup
// that went away failed writes that were durable already. One test for each of these, between whole
// nginx; the rules behind them have tests of their own (tests/engine/replication).
#include <gtest/gtest.h>

#include <atomic>
#include <filesystem>
#include <map>
#include <mutex>
#include <thread>
#include <vector>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"
#include "tests/nginx/tcp_proxy.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

void put_many(int port, const std::string& prefix, int count) {
  HttpClient client(port);
  for (int i = 0; i < count; ++i) {
    expect_ok(client.put("/v1/kv/" + prefix + std::to_string(i) + "?raw", prefix + "'s"));
  }
}

bool has_problem(int port, const std::string& text) {
  return poll_until([&] {
    const Json status = status_of_node(port);
    if (status.empty() || !status["replication"].contains("following")) return false;
    return status["replication"]["following"].value("problem", "").find(text) != std::string::npos;
  });
}

// No handshake: whoever connected was sent what came next, and took it.
TEST(AncestorDefects, ANodeWithOtherDataIsNotFedAndLosesNothing) {
  ReplicaPair pair;
  pair.start_primary();
  put_many(pair.primary().port(), "primary", 20);
  NginxServer other({.store_lines = "checkpoint off;\n"});
  other.start();
  put_many(other.port(), "other", 20);
  other.reload({.store_lines = "checkpoint off;\n" + backup_of_line(pair.primary().port())});
  ASSERT_TRUE(has_problem(other.port(), "other-cluster")) << other.error_log();
  put_many(pair.primary().port(), "later", 20);
  const std::map<std::string, std::string> content = content_of_node(other.port());
  EXPECT_EQ(content.size(), 20u);
  EXPECT_EQ(content.count("other0"), 1u);
}

// No position, no resume: what was written while a backup was away never reached it, or all of it
// had to be copied again.
TEST(AncestorDefects, ABackupThatWasAwayGetsWhatItLacksAndNothingElse) {
  ReplicaPair pair;
  pair.start();
  put_many(pair.primary().port(), "before", 20);
  ASSERT_TRUE(pair.backup_catches_up());
  for (const bool killed : {true, false}) {
    if (killed) {
      pair.backup().kill_everything();
    } else {
      pair.backup().stop();
    }
    put_many(pair.primary().port(), killed ? "killed" : "stopped", 30);
    pair.backup().start();
    ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
    pair.expect_same();
    EXPECT_EQ(pair.backup_status()["replication"]["following"]["bootstraps"], 0);
  }
}

// No epoch: a primary that had been set aside went on feeding whoever asked it.
TEST(AncestorDefects, ASetAsidePrimaryFeedsNobodyWhoKnowsTheNewOne) {
  ReplicaPair pair;
  pair.start_primary();
  TcpProxy proxy(pair.primary().port());
  pair.start_backup(proxy.port());
  ASSERT_TRUE(pair.backup_streams());
  const int old_port = pair.primary().port();
  const int port = pair.backup().port();
  put_many(old_port, "shared", 20);
  NginxServer third(pair.backup_options(""));
  third.start();
  ASSERT_TRUE(catches_up(third.port(), old_port));
  ASSERT_TRUE(pair.backup_catches_up());
  // The old primary does not hear of the promotion.
  proxy.set_mode(TcpProxy::Mode::kRefuse);
  proxy.cut();
  EXPECT_EQ(post_to(port, "/v1/promote").status, 200);
  third.reload({.store_lines = "checkpoint off;\n" + backup_of_line(port)});
  put_many(port, "promoted", 20);
  ASSERT_TRUE(catches_up(third.port(), port)) << third.error_log();
  third.reload({.store_lines = "checkpoint off;\n" + backup_of_line(old_port)});
  put_many(old_port, "old", 20);
  ASSERT_TRUE(has_problem(third.port(), "fenced")) << third.error_log();
  expect_same_content(third.port(), port);
  EXPECT_EQ(HttpClient(third.port()).get("/v1/kv/old0").status, 404);
}

// A backup that went away failed writes that were durable. However it goes, no write fails.
TEST(AncestorDefects, ABackupThatGoesAwayFailsNoWrite) {
  ReplicaPair pair({.workers = 2});
  pair.start_primary();
  TcpProxy proxy(pair.primary().port());
  pair.start_backup(proxy.port());
  ASSERT_TRUE(pair.backup_streams());
  pair.backup().allow_log("exited on signal 9");
  LoadClients load(pair.primary().port(), {.writers = 4, .readers = 1});
  load.start();
  const auto go_on = [&] {
    const uint64_t target = load.acknowledged() + 300;
    return poll_until([&] { return load.acknowledged() >= target; });
  };
  ASSERT_TRUE(go_on());
  kill_storage(pair.backup());
  ASSERT_TRUE(go_on());
  proxy.cut();
  ASSERT_TRUE(go_on());
  proxy.set_mode(TcpProxy::Mode::kStall);
  ASSERT_TRUE(go_on());
  proxy.set_mode(TcpProxy::Mode::kPass);
  pair.backup().kill_everything();
  ASSERT_TRUE(go_on());
  pair.backup().start();
  ASSERT_TRUE(go_on());
  load.stop();
  load.verify(pair.client());
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  pair.expect_same();
}

// What a write that waits for the backup was told, by key.
class Answers {
 public:
  void note(const std::string& key, const HttpResponse& response) {
    const std::lock_guard<std::mutex> lock(mutex_);
    answers_[key] = response;
  }
  size_t size() {
    const std::lock_guard<std::mutex> lock(mutex_);
    return answers_.size();
  }
  // Done means there, refused means not there; nothing else but "unknown" is ever said.
  void expect_true_of(int port) {
    size_t done = 0;
    size_t refused = 0;
    HttpClient client(port);
    for (const auto& [key, response] : answers_) {
      const long found = client.get("/v1/kv/" + key).status;
      if (response.status == 200) {
        EXPECT_EQ(found, 200) << key;
        ++done;
      } else if (response.status == 503 &&
                 response.body.find("not-replicated") != std::string::npos) {
        EXPECT_EQ(found, 404) << key;
        ++refused;
      } else {
        EXPECT_TRUE(response.status == 503 &&
                    response.body.find("outcome-unknown") != std::string::npos)
            << key << " " << response.status << response.error << response.body;
      }
    }
    EXPECT_GT(done, 0u);
    EXPECT_GT(refused, 0u);
  }

 private:
  std::map<std::string, HttpResponse> answers_;
  std::mutex mutex_;
};

// The same where writes wait for it: what is durable here is not called failed. It waits, and is
// answered when the backup is back.
TEST(AncestorDefects, AWriteThatIsDurableIsNotCalledFailedWhenItsBackupGoesAway) {
  const std::string ack = "checkpoint off;\nreplication_ack 1 timeout=300ms on_timeout=refuse;\n";
  ReplicaPair pair({.workers = 2, .store_lines = ack});
  pair.start();
  const int port = pair.primary().port();
  Answers answers;
  std::atomic<bool> stopping = false;
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      HttpClient client(port);
      for (int i = 0; !stopping.load(); ++i) {
        const std::string key = std::to_string(writer) + "-" + std::to_string(i);
        answers.note(key, client.put("/v1/kv/" + key + "?raw", "value"));
      }
    });
  }
  EXPECT_TRUE(poll_until([&] { return answers.size() > 200; }));
  pair.backup().kill_everything();
  const auto state = [&] { return pair.primary_status()["replication"]["ack"]["state"]; };
  EXPECT_TRUE(poll_until([&] { return state() == "missing"; }));
  answers.note("late", HttpClient(port).put("/v1/kv/late?raw", "value"));
  pair.backup().start();
  EXPECT_TRUE(poll_until([&] { return state() == "complete"; })) << pair.logs();
  stopping.store(true);
  for (std::thread& thread : writers) thread.join();
  answers.expect_true_of(port);
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  pair.expect_same();
}

}  // namespace
}  // namespace small_db::testing
