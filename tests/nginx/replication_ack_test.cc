// Writes that wait for a backup: what is acknowledged is on its disk, and nothing hangs while it is
// away.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <chrono>
#include <filesystem>
#include <set>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"

namespace small_db::testing {
namespace {

using Clock = std::chrono::steady_clock;

// A write that is under way when the backup goes has 30 s for its outcome.
constexpr auto kOutcomeLimit = std::chrono::seconds(34);

// None of these is for a person to wait for.
constexpr auto kSoon = std::chrono::seconds(3);
constexpr auto kQuitLimit = std::chrono::seconds(10);

NginxOptions waiting(const std::string& more, int workers = 1) {
  return {.workers = workers, .store_lines = "checkpoint off;\nreplication_ack 1 " + more + ";\n"};
}

class ReplicationAck : public ::testing::Test {
 protected:
  // With a backup that follows, and a write that it has acknowledged.
  void start(NginxOptions primary) {
    pair_ = std::make_unique<ReplicaPair>(std::move(primary));
    pair_->start();
    port_ = pair_->primary().port();
    ASSERT_TRUE(writes_go_on()) << pair_->logs();
  }
  bool writes_go_on() {
    return poll_until([&] { return put("probe").status == 200; }, 30'000);
  }
  HttpResponse put(const std::string& key) {
    return HttpClient(port_).send({.method = "PUT",
                                   .target = "/v1/kv/" + key + "?raw",
                                   .body = "value",
                                   .timeout_ms = 40'000});
  }
  nlohmann::json ack() { return pair_->primary_status()["replication"]["ack"]; }
  void stop_backup() { pair_->backup().kill_everything(); }
  // A write that is begun now has no outcome while the backup is away; its client does not wait.
  void expect_refused_soon() {
    const HttpResponse first = HttpClient(port_).send(
        {.method = "PUT", .target = "/v1/kv/unclear?raw", .body = "value", .timeout_ms = 1'000});
    EXPECT_EQ(first.status, 0) << first.body;
    ASSERT_TRUE(poll_until([&] { return ack()["state"] == "missing"; }));
    expect_refused_now();
  }
  void expect_refused_now() {
    const auto begin = Clock::now();
    expect_problem(put("refused"), 503, "not-replicated", "nothing was changed");
    EXPECT_LT(Clock::now() - begin, kSoon);
  }

  std::unique_ptr<ReplicaPair> pair_;
  int port_ = 0;
};

TEST_F(ReplicationAck, WithoutTheBackupWritesAreRefusedAndReadsGoOn) {
  start(waiting("timeout=300ms on_timeout=refuse"));
  EXPECT_EQ(ack()["state"], "complete");
  stop_backup();
  expect_refused_soon();
  EXPECT_EQ(ack()["state"], "missing");
  EXPECT_EQ(ack()["required"], 1);
  EXPECT_GE(ack()["timeouts"].get<int>(), 1);
  HttpClient client(port_);
  EXPECT_EQ(client.get("/v1/kv/probe?raw").body, "value");
  EXPECT_EQ(client.get("/v1/kv/unclear").status,
            404);  // nobody has acknowledged it
  EXPECT_EQ(client.get("/v1/kv?count").status, 200);
  EXPECT_EQ(client.get("/v1/health").status, 200);
  expect_problem(client.del("/v1/kv/probe"), 503, "not-replicated");
  pair_->backup().start();
  ASSERT_TRUE(writes_go_on()) << pair_->logs();
  EXPECT_EQ(ack()["state"], "complete");
  EXPECT_EQ(client.get("/v1/kv/unclear").status, 200);
  EXPECT_EQ(client.get("/v1/kv/refused").status, 404);
  ASSERT_TRUE(pair_->backup_catches_up());
  pair_->expect_same();
}

TEST_F(ReplicationAck, AReloadAndAQuitWorkWithoutTheBackup) {
  start(waiting("timeout=300ms on_timeout=refuse"));
  stop_backup();
  expect_refused_soon();
  const auto begin = Clock::now();
  pair_->primary().reload();
  ASSERT_TRUE(poll_until([&] { return pair_->primary().is_serving(); }));
  EXPECT_EQ(HttpClient(port_).get("/v1/kv/probe?raw").body, "value");
  EXPECT_LT(Clock::now() - begin, kQuitLimit);
  // The new owner, which does not know yet that the backup is away. It will refuse, too.
  ASSERT_TRUE(poll_until([&] { return ack()["state"] == "complete"; }));
  expect_refused_soon();
  const auto quit = Clock::now();
  pair_->primary().stop();
  EXPECT_LT(Clock::now() - quit, kQuitLimit);
  pair_->primary().start();
  EXPECT_EQ(HttpClient(port_).get("/v1/kv/probe?raw").body, "value");
  pair_->backup().start();
  ASSERT_TRUE(writes_go_on()) << pair_->logs();
  ASSERT_TRUE(pair_->backup_catches_up());
  pair_->expect_same();
}

TEST_F(ReplicationAck, AWriteThatWaitsInVainIsAnsweredInTheEnd) {
  start(waiting("timeout=300ms on_timeout=refuse"));
  stop_backup();
  const auto begin = Clock::now();
  expect_problem(put("unclear"), 503, "outcome-unknown");
  EXPECT_LT(Clock::now() - begin, kOutcomeLimit);
  expect_refused_now();
}

std::set<std::string> files_of(const NginxServer& server) {
  std::set<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(server.data_directory())) {
    names.insert(entry.path().filename().string());
  }
  return names;
}

// A checkpoint is due, and wants the log to be changed, while a write waits.
TEST_F(ReplicationAck, ACheckpointThatFallsDueMeanwhileHoldsNothingUp) {
  NginxOptions options = waiting("timeout=300ms on_timeout=refuse");
  options.store_lines += "checkpoint interval=2s;\n";
  options.store_lines.erase(0, options.store_lines.find('\n') + 1);
  start(options);
  stop_backup();
  const std::set<std::string> before = files_of(pair_->primary());
  expect_refused_soon();
  EXPECT_TRUE(poll_until([&] { return files_of(pair_->primary()) != before; }));
  expect_refused_now();
  EXPECT_EQ(HttpClient(port_).get("/v1/kv/probe?raw").body, "value");
  const auto quit = Clock::now();
  pair_->primary().stop();
  EXPECT_LT(Clock::now() - quit, kQuitLimit);
  pair_->primary().start();
  pair_->backup().start();
  ASSERT_TRUE(writes_go_on()) << pair_->logs();
  expect_ok(post_to(port_, "/v1/checkpoint"));
  ASSERT_TRUE(pair_->backup_catches_up());
  pair_->expect_same();
}

TEST_F(ReplicationAck, WhatWasAcknowledgedIsThereWhenThePrimaryIsLost) {
  start(waiting("timeout=5s on_timeout=refuse", 2));
  LoadClients load(port_, {.writers = 4, .readers = 1, .failures_allowed = true});
  load.start();
  ASSERT_TRUE(poll_until([&] { return load.acknowledged() > 300; }));
  pair_->primary().kill_everything();
  stop_backup();
  load.stop();
  std::filesystem::remove_all(pair_->primary().data_directory());
  pair_->backup().start();
  EXPECT_EQ(post_to(pair_->backup().port(), "/v1/promote").status, 200);
  HttpClient client(pair_->backup().port());
  load.verify(client);
}

TEST_F(ReplicationAck, NothingAcknowledgedIsLostWhileEitherSideIsKilled) {
  start(waiting("timeout=1s on_timeout=refuse", 2));
  for (NginxServer* server : {&pair_->primary(), &pair_->backup()}) {
    server->allow_log("exited on signal 9");
  }
  LoadClients load(port_, {.writers = 3, .readers = 1, .failures_allowed = true});
  load.start();
  const auto progress = [&] {
    const uint64_t target = load.acknowledged() + 50;
    return poll_until([&] { return load.acknowledged() >= target; }, 30'000);
  };
  for (int round = 0; round < 3; ++round) {
    ASSERT_TRUE(progress()) << round << pair_->logs();
    kill_storage(pair_->primary());
    ASSERT_TRUE(progress()) << round << pair_->logs();
    kill_storage(pair_->backup());
    ASSERT_TRUE(progress()) << round << pair_->logs();
    pair_->primary().reload();
    ASSERT_TRUE(progress()) << round << pair_->logs();
    pair_->backup().reload();
  }
  ASSERT_TRUE(progress()) << pair_->logs();
  pair_->primary().kill_everything();
  load.stop();
  EXPECT_EQ(post_to(pair_->backup().port(), "/v1/promote").status, 200);
  HttpClient client(pair_->backup().port());
  load.verify(client);
}

TEST_F(ReplicationAck, DegradedWritesGoOnAndThatIsTold) {
  start(waiting("timeout=300ms on_timeout=degrade"));
  stop_backup();
  const auto begin = Clock::now();
  EXPECT_EQ(put("first").status, 200);
  EXPECT_LT(Clock::now() - begin, kSoon);
  EXPECT_EQ(ack()["state"], "degraded");
  const auto second = Clock::now();
  for (int i = 0; i < 20; ++i) EXPECT_EQ(put("more" + std::to_string(i)).status, 200);
  EXPECT_LT(Clock::now() - second,
            std::chrono::seconds(3));  // they do not wait any more
  EXPECT_TRUE(poll_until([&] {
    return pair_->primary().error_log().find("writes are acknowledged without them") !=
           std::string::npos;
  })) << "the log does not tell";
  EXPECT_NE(HttpClient(port_).get("/v1/metrics").body.find(R"(state="degraded"} 1)"),
            std::string::npos);
  pair_->backup().start();
  ASSERT_TRUE(pair_->backup_catches_up());
  EXPECT_TRUE(poll_until([&] {
    return put("probe").status == 200 && ack()["state"] == "complete";
  })) << ack();
  ASSERT_TRUE(pair_->backup_catches_up());
  pair_->expect_same();
}

// The waiting write is one that the promoted node does not have: it must not be acknowledged.
TEST_F(ReplicationAck, APrimaryThatIsFencedWhileAWriteWaitsAnswersItAndIsFenced) {
  start(waiting("timeout=300ms on_timeout=refuse"));
  ASSERT_TRUE(pair_->backup_catches_up());
  const nlohmann::json backup = pair_->backup_status()["replication"];
  stop_backup();
  std::atomic<long> status = 0;
  std::thread waiter([&] { status = put("unclear").status; });
  ASSERT_TRUE(poll_until([&] { return ack()["state"] == "missing"; }));
  post_to(port_, "/v1/replication/ack?cluster=" + backup["cluster"].get<std::string>() + "&node=" +
                     backup["node"].get<std::string>() + "&epoch=2&received=0&flushed=0&applied=0");
  EXPECT_TRUE(poll_until([&] {
    return pair_->primary().error_log().find("fenced: another node was promoted") !=
           std::string::npos;
  })) << pair_->primary().error_log();
  waiter.join();
  EXPECT_NE(status.load(), 200);
  EXPECT_EQ(role_of_node(port_), "fenced");
  expect_problem(put("refused"), 403, "not-primary");
  pair_->primary().stop();
  pair_->primary().start();
  EXPECT_EQ(role_of_node(port_), "fenced");
}

}  // namespace
}  // namespace small_db::testing
