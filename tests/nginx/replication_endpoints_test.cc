// What a node serves to those that follow it: the log as a stream, the checkpoint, reports of what
// was done with them.
#include <gtest/gtest.h>

#include <chrono>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <thread>

#include "engine/checkpoint/reader.h"
#include "engine/platform/posix_file_system.h"
#include "tests/nginx/log_follower.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

class Replication : public ::testing::Test {
 protected:
  void start(NginxOptions options = {}) {
    if (options.store_lines.empty()) options.store_lines = "checkpoint off;\n";
    server_ = std::make_unique<NginxServer>(std::move(options));
    server_->start();
    client_ = std::make_unique<HttpClient>(server_->port());
    node_ = ask_node(server_->port());
  }
  void put(int number, const std::string& value = "value") {
    expect_ok(client_->put("/v1/kv/k" + std::to_string(number) + "?raw", value));
  }
  void put_range(int from, int to, const std::string& value = "value") {
    for (int i = from; i < to; ++i) put(i, value);
  }
  HttpResponse post_checkpoint() {
    return client_->send({.method = "POST", .target = "/v1/checkpoint", .body = ""});
  }
  HttpResponse post_ack(const std::string& query) {
    return client_->send({.method = "POST",
                          .target = "/v1/replication/ack?cluster=" + node_.cluster + "&" + query,
                          .body = ""});
  }
  std::string target(uint64_t from, const std::string& follower = kFollowerId) {
    return log_target(node_, from, follower);
  }
  std::unique_ptr<LogFollower> follow(uint64_t from) {
    return std::make_unique<LogFollower>(server_->port(), target(from));
  }
  Json status() { return Json::parse(client_->get("/v1/status").body); }
  uint64_t revision() { return status()["revision"].get<uint64_t>(); }

  void expect_no_writes() {
    const struct {
      const char* method;
      const char* target;
      const char* body;
    } writes[] = {
        {"PUT", "/v1/kv/k?raw", "v"},
        {"DELETE", "/v1/kv/k1", ""},
        {"PATCH", "/v1/kv/k1", R"({"ttl":1})"},
        {"POST", "/v1/kv/n?incr=1", ""},
        {"POST", "/v1/kv", R"({"key":"k","value":""})"},
        {"PUT", "/v1/kv?prefix=p/&replace=true", R"({"key":"p/k","value":""})"},
        {"DELETE", "/v1/kv?prefix=k", ""},
        {"POST", "/v1/txn", R"({"then":[{"op":"delete","key":"k1"}]})"},
    };
    for (const auto& write : writes) {
      expect_problem(
          client_->send({.method = write.method, .target = write.target, .body = write.body}), 403,
          "not-primary", "fenced");
    }
  }

  std::unique_ptr<NginxServer> server_;
  std::unique_ptr<HttpClient> client_;
  NodeHeaders node_;
};

std::string follower_id(int number) {
  std::string id = kFollowerId;
  id[0] = static_cast<char>('0' + number / 10);
  id[1] = static_cast<char>('0' + number % 10);
  return id;
}

TEST_F(Replication, EveryAnswerSaysWhichNodeItComesFrom) {
  start();
  EXPECT_EQ(node_.cluster.size(), 32u);
  EXPECT_EQ(node_.node.size(), 32u);
  EXPECT_EQ(node_.epoch, "1");
  EXPECT_EQ(node_.role, "primary");
  EXPECT_EQ(node_.term.size(), 32u);
  const std::string follower = std::string("node=") + kFollowerId;
  const HttpResponse answers[] = {
      client_->get("/v1/replication/checkpoint?" + follower),
      client_->send({.method = "HEAD", .target = "/v1/replication/checkpoint?" + follower}),
      client_->send({.method = "HEAD", .target = target(0)}),
      post_ack(follower + "&epoch=1&received=0&flushed=0&applied=0"),
      client_->send({.method = "POST", .target = "/v1/promote", .body = ""}),
  };
  for (const HttpResponse& answer : answers) {
    EXPECT_EQ(answer.status, 200) << answer.body;
    EXPECT_EQ(node_headers(answer).node, node_.node);
    EXPECT_EQ(node_headers(answer).term, node_.term);
  }
}

TEST_F(Replication, TheLogIsSentFromAnyRevisionAndThenAsItIsWritten) {
  start();
  put_range(1, 21);
  const uint64_t last = revision();
  for (uint64_t from = 0; from <= last; from += 5) {
    const auto follower = follow(from);
    ASSERT_TRUE(from == last || follower->read_to(last)) << from << follower->error;
    put(static_cast<int>(100 + from), "new");
    ASSERT_TRUE(follower->read_to(revision())) << from << follower->error;
    EXPECT_EQ(follower->first_revision, from + 1);
    EXPECT_EQ(follower->records.at("k" + std::to_string(100 + from)), "new");
  }
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(revision()));
  expect_ok(client_->del("/v1/kv/k7"));
  ASSERT_TRUE(follower->read_to(revision()));
  EXPECT_EQ(follower->records.size(), status()["keys"].get<size_t>());
  EXPECT_EQ(follower->records.count("k7"), 0u);
}

TEST_F(Replication, ACommitIsSentAtOnce) {
  start();
  const auto follower = follow(0);
  put(1);
  ASSERT_TRUE(follower->read_to(1));
  const auto begin = std::chrono::steady_clock::now();
  for (int i = 2; i <= 51; ++i) {
    put(i);
    ASSERT_TRUE(follower->read_to(static_cast<uint64_t>(i)));
  }
  // A timer's tick each would be more than ten seconds.
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(5));
}

TEST_F(Replication, AnIdleStreamSaysThatItIsAlive) {
  start();
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_until([&] { return follower->alives >= 3; }));
  EXPECT_EQ(follower->bytes_behind, 0u);
  EXPECT_EQ(follower->frames, 0u);
  put(1);
  ASSERT_TRUE(follower->read_to(1));
}

TEST_F(Replication, AStreamGoesOnThroughCheckpoints) {
  start();
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_until([&] { return follower->alives > 0; }));
  for (int i = 0; i < 4; ++i) {
    put_range(100 * i, 100 * i + 20);
    ASSERT_EQ(post_checkpoint().status, 200);
  }
  ASSERT_TRUE(follower->read_to(revision())) << follower->error;
  EXPECT_EQ(follower->records.size(), 80u);
}

TEST_F(Replication, ALongLogIsSentInPieces) {
  start({.memory = "64m"});
  const std::string value(100'000, 'v');
  put_range(0, 200, value);
  put(200, std::string(1'000'000, 'w'));
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(revision())) << follower->error;
  EXPECT_EQ(follower->records.size(), 201u);
  EXPECT_EQ(follower->records.at("k200").size(), 1'000'000u);
}

TEST_F(Replication, TheStreamWorksOverHttp2) {
  start();
  put_range(0, 50, std::string(20'000, 'v'));
  LogFollower follower(server_->http2_port(), target(0), true);
  ASSERT_TRUE(follower.read_to(revision())) << follower.error;
  put(100, "new");
  ASSERT_TRUE(follower.read_to(revision()));
  EXPECT_EQ(follower.records.size(), 51u);
}

TEST_F(Replication, WhoHasNoClusterOrIsTooFarBehindIsToldToBeginWithACheckpoint) {
  start({.store_lines = "checkpoint off;\nkeep_generations 1;\nreplication_log_size 1m;\n"});
  NodeHeaders fresh = node_;
  fresh.cluster = kNoUid;
  const HttpResponse first = client_->get(log_target(fresh, 0));
  expect_problem(first, 410, "bootstrap-needed", "no cluster");
  EXPECT_EQ(client_->send({.method = "HEAD", .target = log_target(fresh, 0)}).status, 410);
  EXPECT_EQ(node_headers(first).cluster, node_.cluster);
  for (int i = 0; i < 3; ++i) {
    put_range(0, 10);
    ASSERT_EQ(post_checkpoint().status, 200);
  }
  expect_problem(client_->get(target(1)), 410, "bootstrap-needed", "revision 1 ");
  put(1);
  const auto follower = follow(30);
  ASSERT_TRUE(follower->read_to(31));
}

TEST_F(Replication, OthersAreRefused) {
  start();
  put_range(1, 11);
  NodeHeaders other = node_;
  other.cluster = kFollowerId;
  expect_problem(client_->get(log_target(other, 5)), 409, "other-cluster", node_.cluster);
  other = node_;
  other.term = kFollowerId;
  const HttpResponse diverged = client_->get(log_target(other, 5));
  expect_problem(diverged, 409, "diverged");
  EXPECT_EQ(diverged.header("Small-Db-Common"), "0");
  const HttpResponse ahead = client_->get(target(12));
  expect_problem(ahead, 409, "diverged");
  EXPECT_EQ(ahead.header("Small-Db-Common"), "10");
  other = node_;
  other.epoch = "9";
  expect_problem(client_->get(log_target(other, 5)), 409, "fenced", "epoch 9");
  EXPECT_EQ(ask_node(server_->port()).role, "primary");
  put(11);
}

TEST_F(Replication, ParametersAreChecked) {
  start();
  const std::string good = target(0);
  const std::string bad[] = {
      "/v1/replication/log",
      good + "&from=1",
      good + "&x=1",
      "/v1/replication/log?from=-1" + good.substr(good.find("&cluster")),
      "/v1/replication/log?from=18446744073709551616" + good.substr(good.find("&cluster")),
      good.substr(0, good.size() - 1),
      good.substr(0, good.size() - 1) + "G",
      log_target(node_, 0, kNoUid),
      "/v1/replication/checkpoint",
      "/v1/replication/checkpoint?node=12",
      "/v1/replication/checkpoint?node=" + std::string(kFollowerId) + "&epoch=1",
  };
  for (const std::string& each : bad) {
    expect_problem(client_->get(each), 400, "invalid-query");
    EXPECT_EQ(client_->send({.method = "HEAD", .target = each}).status, 400);
  }
  const std::string node = std::string("node=") + kFollowerId;
  for (const std::string& each :
       {std::string(), node, node + "&epoch=1&received=1&flushed=2&applied=1",
        node + "&epoch=x&received=1&flushed=1&applied=1"}) {
    expect_problem(post_ack(each), 400, "invalid-query");
  }
  expect_problem(client_->send({.method = "POST", .target = good, .body = ""}), 405,
                 "method-not-allowed");
  expect_problem(client_->get("/v1/replication/ack"), 405, "method-not-allowed");
  expect_problem(client_->get("/v1/promote"), 405, "method-not-allowed");
  expect_problem(client_->send({.method = "POST", .target = "/v1/promote?x", .body = ""}), 400,
                 "invalid-query");
}

TEST_F(Replication, TheCheckpointIsMadeWhenThereIsNoneAndCanBeGoneOnWith) {
  start();
  put_range(0, 200, std::string(5'000, 'v'));
  const std::string path = std::string("/v1/replication/checkpoint?node=") + kFollowerId;
  const HttpResponse whole = client_->get(path);
  ASSERT_EQ(whole.status, 200) << whole.body;
  EXPECT_EQ(whole.header("Small-Db-Generation"), "1");
  EXPECT_TRUE(whole.body == read_file(server_->data_directory() + "/checkpoint.1"));
  const size_t half = whole.body.size() / 2;
  const HttpResponse rest = client_->send({.target = path,
                                           .headers = {"Range: bytes=" + std::to_string(half) + "-",
                                                       "If-Range: " + whole.header("ETag")}});
  EXPECT_EQ(rest.status, 206);
  EXPECT_EQ(rest.header("Small-Db-Generation"), "1");
  EXPECT_EQ(node_headers(rest).node, node_.node);
  EXPECT_TRUE(whole.body.substr(0, half) + rest.body == whole.body);

  TempDirectory copy;
  write_file(copy.path() + "/checkpoint.1", whole.body.substr(0, half) + rest.body);
  auto directory = PosixDirectory::open(copy.path());
  ASSERT_TRUE(directory.is_ok());
  auto reader = CheckpointReader::open(*directory.value(), 1, nullptr);
  ASSERT_TRUE(reader.is_ok()) << reader.status().text();
  CheckpointBlock block;
  uint64_t records = 0;
  for (;;) {
    const Result<bool> more = reader.value()->next(block);
    ASSERT_TRUE(more.is_ok()) << more.status().text();
    if (!more.value()) break;
    records += block.header().records;
  }
  EXPECT_EQ(records, 200u);

  const auto follower = follow(reader.value()->header().start_revision);
  put(1000);
  ASSERT_TRUE(follower->read_to(revision()));
}

// A log that a follower still has to read is kept for it.
TEST_F(Replication, TheLogBehindADownloadedCheckpointIsKept) {
  start({.store_lines = "checkpoint off;\nkeep_generations 1;\n"});
  put_range(0, 10);
  const HttpResponse whole =
      client_->get(std::string("/v1/replication/checkpoint?node=") + kFollowerId);
  ASSERT_EQ(whole.header("Small-Db-Generation"), "1");
  for (int i = 0; i < 3; ++i) {
    put_range(0, 10);
    ASSERT_EQ(post_checkpoint().status, 200);
  }
  const auto follower = follow(10);
  ASSERT_TRUE(follower->read_to(40)) << follower->status();
}

TEST_F(Replication, AReportOfAHigherEpochFencesThePrimary) {
  start();
  put(1);
  const std::string node = std::string("node=") + kFollowerId;
  expect_ok(post_ack(node + "&epoch=1&received=1&flushed=1&applied=1"));
  expect_problem(post_ack(node + "&epoch=0&received=1&flushed=1&applied=1"), 409, "stale-epoch");
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(1));
  const HttpResponse fenced = post_ack(node + "&epoch=2&received=1&flushed=1&applied=1");
  expect_problem(fenced, 409, "fenced", "epoch 2");
  EXPECT_EQ(node_headers(fenced).role, "fenced");
  EXPECT_FALSE(follower->read_until([] { return false; }));
  EXPECT_TRUE(follower->has_ended());
  expect_no_writes();
  EXPECT_EQ(client_->get("/v1/kv/k1?raw").body, "value");
  EXPECT_EQ(client_->get("/v1/role").body, R"({"role":"fenced"})");
  expect_problem(client_->get(target(0)), 409, "not-primary");
  EXPECT_EQ(client_->send({.method = "HEAD", .target = target(0)}).status, 409);
  const std::string checkpoint = "/v1/replication/checkpoint?" + node;
  expect_problem(client_->get(checkpoint), 409, "not-primary");
  EXPECT_EQ(client_->send({.method = "HEAD", .target = checkpoint}).status, 409);
  server_->stop();
  server_->start();
  client_ = std::make_unique<HttpClient>(server_->port());
  EXPECT_EQ(client_->get("/v1/role").body, R"({"role":"fenced"})");
  expect_problem(client_->send({.method = "POST", .target = "/v1/promote", .body = ""}), 409,
                 "not-primary", "fenced");
}

TEST_F(Replication, WhatFollowersReportIsSeenInTheStatus) {
  start();
  put_range(1, 11);
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(10));
  expect_ok(
      post_ack(std::string("node=") + kFollowerId + "&epoch=1&received=9&flushed=8&applied=7"));
  const Json replication = status()["replication"];
  EXPECT_EQ(replication["node"], node_.node);
  EXPECT_EQ(replication["cluster"], node_.cluster);
  EXPECT_EQ(replication["role"], "primary");
  EXPECT_EQ(replication["epoch"], 1);
  ASSERT_EQ(replication["followers"].size(), 1u);
  const Json& entry = replication["followers"][0];
  EXPECT_EQ(entry["node"], kFollowerId);
  EXPECT_EQ(entry["received"], 9);
  EXPECT_EQ(entry["flushed"], 8);
  EXPECT_EQ(entry["applied"], 7);
  EXPECT_EQ(entry["behind"], 2);
  EXPECT_EQ(entry["connected"], true);
  EXPECT_NE(client_->get("/v1/metrics").body.find("small_db_follower_flushed_revision{"),
            std::string::npos);
}

TEST_F(Replication, ManyFollowAtTheSameTimeAndOneMoreIsRefused) {
  start({.workers = 2});
  std::vector<std::unique_ptr<LogFollower>> followers;
  for (int i = 0; i < 16; ++i) {
    followers.push_back(std::make_unique<LogFollower>(server_->port(), target(0, follower_id(i))));
  }
  put_range(1, 51);
  for (const auto& follower : followers) {
    ASSERT_TRUE(follower->read_to(50)) << follower->error;
    EXPECT_EQ(follower->records.size(), 50u);
  }
  expect_problem(client_->get(target(0, follower_id(16))), 503, "overloaded", "followers");
}

TEST_F(Replication, ARefusedStoreServesNoFollower) {
  start();
  put(1);
  ASSERT_EQ(client_->get(std::string("/v1/replication/checkpoint?node=") + kFollowerId).status,
            200);
  expect_problem(client_->get(std::string("/v1/replication/checkpoint?node=") + kFollowerId + "&x"),
                 400, "invalid-query");
  const HttpResponse beyond =
      client_->send({.target = std::string("/v1/replication/checkpoint?node=") + kFollowerId,
                     .headers = {"Range: bytes=100000000-"}});
  expect_problem(beyond, 416, "range-not-satisfiable");
  server_->stop();
  write_file(server_->data_directory() + "/version", "no number");
  server_->start(Until::kListening);
  client_ = std::make_unique<HttpClient>(server_->port());
  while (client_->get("/v1/health").body.find("refused") == std::string::npos) {
    ASSERT_EQ(client_->get("/v1/health").status, 503);
  }
  const std::string node = std::string("node=") + kFollowerId;
  for (const std::string& each : {target(0), "/v1/replication/checkpoint?" + node}) {
    expect_problem(client_->get(each), 503, "unavailable", "refused");
    EXPECT_EQ(client_->send({.method = "HEAD", .target = each}).status, 503);
  }
  expect_problem(post_ack(node + "&epoch=1&received=0&flushed=0&applied=0"), 503, "unavailable");
  expect_problem(client_->send({.method = "POST", .target = "/v1/promote", .body = ""}), 503,
                 "unavailable");
}

uint64_t resident_bytes(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  const size_t at = text.find("VmRSS:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 6, nullptr, 10) * 1024;
}

TEST_F(Replication, AFollowerThatDoesNotReadDisturbsNobody) {
  start({.memory = "128m"});
  put(0);
  const auto stuck = follow(0);
  ASSERT_TRUE(stuck->read_to(1));
  put_range(1, 30);
  const auto reading = follow(0);
  ASSERT_TRUE(reading->read_to(30));
  const uint64_t shared_bytes = 100 * 400'000;
  const uint64_t before = resident_bytes(server_->workers().at(0));
  put_range(100, 200, std::string(400'000, 'v'));
  ASSERT_TRUE(reading->read_to(revision()));
  // The region's pages count as they are touched, the stream's would come on top.
  EXPECT_LT(resident_bytes(server_->workers().at(0)), before + shared_bytes + 16 * kMiB);
  ASSERT_TRUE(stuck->read_to(revision())) << stuck->error;
  EXPECT_EQ(stuck->records, reading->records);
}

TEST_F(Replication, AFollowerThatNeverReadsIsLetGo) {
  start({.memory = "128m", .server_lines = "send_timeout 1s;\n"});
  const auto stuck = follow(0);
  ASSERT_TRUE(stuck->read_until([&] { return stuck->alives > 0; }));
  put_range(0, 40, std::string(900'000, 'v'));
  const auto logged = [&] {
    return server_->error_log().find("client timed out") != std::string::npos ||
           server_->error_log().find("does not read its log") != std::string::npos;
  };
  for (int i = 0; i < 200 && !logged(); ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_TRUE(logged());
  put(100);
}

TEST_F(Replication, AReloadEndsStreamsSoThatOldWorkersCanGo) {
  start();
  put(1);
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(1));
  const std::vector<pid_t> before = server_->workers();
  server_->reload();
  EXPECT_FALSE(follower->read_until([] { return false; }, 5'000));
  EXPECT_TRUE(follower->has_ended());
  for (int i = 0; i < 100 && ::kill(before.at(0), 0) == 0; ++i) {
    std::this_thread::sleep_for(std::chrono::milliseconds(50));
  }
  EXPECT_NE(::kill(before.at(0), 0), 0);
  put(2);
  const auto again = follow(1);
  ASSERT_TRUE(again->read_to(2));
}

TEST_F(Replication, AStreamGoesOnWhenTheStorageProcessIsReplaced) {
  start();
  put(1);
  const auto follower = follow(0);
  ASSERT_TRUE(follower->read_to(1));
  server_->allow_log("exited on signal 9");
  ASSERT_EQ(::kill(server_->storage_process(), SIGKILL), 0);
  for (int i = 2; i < 10; ++i) {
    while (client_->put("/v1/kv/k" + std::to_string(i) + "?raw", "v").status != 200) {
    }
  }
  ASSERT_TRUE(follower->read_to(revision())) << follower->error;
  EXPECT_EQ(follower->records.size(), 9u);
}

}  // namespace
}  // namespace small_db::testing
