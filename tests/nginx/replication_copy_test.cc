// A backup follows its primary: what it holds, how it answers, and what both say about it.
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>

#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

constexpr size_t kMib = 1024 * 1024;

std::string value_of(size_t bytes) {
  std::string value(bytes, 'x');
  for (size_t i = 0; i < bytes; ++i) value[i] = static_cast<char>(i * 131 + i / 251);
  return value;
}

// One of each kind of write.
void write_all_kinds(HttpClient& client, const std::string& prefix) {
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{100}, size_t{70'000}, kMib}) {
    expect_ok(
        client.put("/v1/kv/" + prefix + "/" + std::to_string(bytes) + "?raw", value_of(bytes)));
  }
  expect_ok(client.put("/v1/kv?raw&key=" + percent_encoded(prefix + "\xff"), "no text"));
  expect_ok(client.put("/v1/kv/" + prefix + "/gone?raw", "value"));
  expect_ok(client.del("/v1/kv/" + prefix + "/gone"));
  expect_ok(client.del("/v1/kv/" + prefix + "/never-there"));
  expect_ok(client.put("/v1/kv/" + prefix + "/timed?raw&ttl=1h", "value"));
  const std::string line = R"({"key":")" + prefix + "/batch/";
  const HttpResponse batch = client.send({.method = "POST",
                                          .target = "/v1/kv",
                                          .body = line + R"(1","value":"QQ=="})" + "\n" + line +
                                                  R"(2","value":"QUE=","ttl":"2h"})" + "\n",
                                          .headers = {"Content-Type: application/x-ndjson"}});
  EXPECT_EQ(batch.status, 200) << batch.body;
  const std::string operation = R"({"op":"put","value":"QQ==","key":")" + prefix;
  const HttpResponse transaction =
      client.send({.method = "POST",
                   .target = "/v1/txn",
                   .body = R"({"then":[)" + operation + R"(/txn/1"},)" + operation +
                           R"(/txn/2"},{"op":"delete","key":")" + prefix + R"(/batch/1"}]})"});
  EXPECT_EQ(transaction.status, 200) << transaction.body;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(
        client
            .send({.method = "POST", .target = "/v1/kv/" + prefix + "/counter?incr=7", .body = ""})
            .status,
        200);
  }
  for (int i = 0; i < 20; ++i) {
    expect_ok(client.put("/v1/kv/" + prefix + "/many/" + std::to_string(i) + "?raw", "value"));
  }
  EXPECT_EQ(client.del("/v1/kv?prefix=" + prefix + "/many/1").status, 200);
}

TEST(ReplicationCopy, AnEmptyBackupBecomesACopyAndFollows) {
  ReplicaPair pair({.memory = "64m"}, {.memory = "64m"});
  pair.start_primary();
  write_all_kinds(pair.client(), "first");
  expect_ok(post_to(pair.primary().port(), "/v1/checkpoint"));
  write_all_kinds(pair.client(), "second");
  pair.start_backup();
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  expect_same_answers(pair.backup().port(), pair.primary().port());
  write_all_kinds(pair.client(), "third");
  expect_ok(post_to(pair.primary().port(), "/v1/checkpoint"));
  write_all_kinds(pair.client(), "first");  // over what is there
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  expect_same_answers(pair.backup().port(), pair.primary().port());
  EXPECT_GE(content_of_node(pair.backup().port()).size(), 60u);
  EXPECT_EQ(pair.backup_status()["replication"]["following"]["bootstraps"], 1);
}

TEST(ReplicationCopy, AValueIsNeverShownAfterItsTimeAndGoesOnBoth) {
  ReplicaPair pair;
  pair.start();
  pair.put("stays", "value");
  const auto begin = std::chrono::steady_clock::now();
  expect_ok(pair.client().put("/v1/kv/goes?raw&ttl=2s", "value"));
  ASSERT_TRUE(pair.backup_catches_up());
  HttpClient backup(pair.backup().port());
  const HttpResponse shown = backup.get("/v1/kv/goes?raw");
  EXPECT_EQ(shown.status, 200);
  EXPECT_NE(shown.header("Expires-At"), "");
  ASSERT_TRUE(poll_until([&] { return backup.get("/v1/kv/goes?raw").status == 404; }));
  EXPECT_LT(std::chrono::steady_clock::now() - begin, std::chrono::seconds(4));
  // The primary logs its removal.
  ASSERT_TRUE(poll_until([&] { return pair.primary_status()["keys"] == 1; }));
  ASSERT_TRUE(pair.backup_catches_up());
  EXPECT_EQ(pair.backup_status()["keys"], 1);
  pair.expect_same();
}

TEST(ReplicationCopy, ABackupServesReadsAndNamesThePrimaryToThoseWhoWrite) {
  ReplicaPair pair;
  pair.start();
  pair.put("key", "value");
  ASSERT_TRUE(pair.backup_catches_up());
  const int port = pair.backup().port();
  HttpClient client(port);
  const std::string primary = "http://127.0.0.1:" + std::to_string(pair.primary().port()) + "/v1/";
  expect_problem(client.put("/v1/kv/key?raw", "other"), 403, "not-primary", primary);
  expect_problem(client.del("/v1/kv/key"), 403, "not-primary", primary);
  expect_problem(post_to(port, "/v1/checkpoint"), 403, "not-primary", primary);
  expect_problem(post_to(port, "/v1/kv/n?incr=1"), 403, "not-primary", primary);
  expect_problem(client.send({.method = "POST",
                              .target = "/v1/txn",
                              .body = R"({"then":[{"op":"delete","key":"key"}]})"}),
                 403, "not-primary", primary);
  expect_problem(client.put("/v1/kv/big?raw", value_of(kMib)), 403, "not-primary", primary);
  EXPECT_EQ(client.get("/v1/kv/key?raw").body, "value");
  EXPECT_EQ(client.get("/v1/kv?count").body, pair.client().get("/v1/kv?count").body);
  EXPECT_EQ(client.get("/v1/health").status, 200);
  EXPECT_EQ(client.get("/v1/role").body, R"({"role":"backup"})");
  EXPECT_EQ(pair.client().get("/v1/role").body, R"({"role":"primary"})");
}

std::string metric(int port, const std::string& name) {
  const std::string text = HttpClient(port).get("/v1/metrics").body;
  const size_t at = text.find("\n" + name + "{");
  if (at == std::string::npos) return "";
  const size_t value = text.find("} ", at) + 2;
  return text.substr(value, text.find('\n', value) - value);
}

TEST(ReplicationCopy, BothTellHowFarTheBackupIsBehindAndThatItIsNot) {
  ReplicaPair pair;
  pair.start();
  pair.put("key", "value");
  ASSERT_TRUE(pair.backup_catches_up());
  const int primary = pair.primary().port();
  const int backup = pair.backup().port();
  const auto follower = [&] { return pair.primary_status()["replication"]["followers"][0]; };
  ASSERT_TRUE(poll_until([&] { return follower()["behind"] == 0; }));
  EXPECT_EQ(follower()["node"], pair.backup_status()["replication"]["node"]);
  EXPECT_EQ(follower()["connected"], true);
  EXPECT_EQ(pair.primary_status()["role"], "primary");
  EXPECT_EQ(pair.backup_status()["role"], "backup");

  ASSERT_TRUE(freeze(pair.backup().storage_process()));
  for (int i = 0; i < 200; ++i) pair.put("key" + std::to_string(i), value_of(1000));
  EXPECT_GE(follower()["behind"].get<uint64_t>(), 200u);
  EXPECT_GE(std::stoull("0" + metric(primary, "small_db_follower_behind_revisions")), 200u);
  kill(pair.backup().storage_process(), SIGCONT);
  ASSERT_TRUE(pair.backup_catches_up());
  ASSERT_TRUE(poll_until([&] { return follower()["behind"] == 0; }));
  EXPECT_EQ(metric(primary, "small_db_follower_behind_revisions"), "0");
  const auto following = [&] { return pair.backup_status()["replication"]["following"]; };
  EXPECT_TRUE(poll_until([&] {
    const Json behind = following()["behind"];
    return behind["revisions"] == 0 && behind["bytes"] == 0 && behind["seconds"] == 0.0;
  })) << following();
  EXPECT_EQ(following()["primary"], "http://127.0.0.1:" + std::to_string(primary) + "/v1/");
  EXPECT_LT(following()["contact_seconds_ago"].get<double>(), 5.0);
  EXPECT_EQ(metric(backup, "small_db_behind_revisions"), "0");
  EXPECT_TRUE(
      poll_until([&] { return std::stod("0" + metric(backup, "small_db_behind_seconds")) == 0; }));
  EXPECT_NE(HttpClient(backup).get("/v1/metrics").body.find(R"(role="backup"} 1)"),
            std::string::npos);
}

TEST(ReplicationCopy, TwoBackupsFollowOnePrimary) {
  ReplicaPair pair({.workers = 2});
  pair.start();
  NginxServer second(pair.backup_options(""));
  second.start();
  for (int i = 0; i < 300; ++i) pair.put("key" + std::to_string(i % 40), std::to_string(i));
  ASSERT_TRUE(pair.backup_catches_up());
  ASSERT_TRUE(catches_up(second.port(), pair.primary().port()));
  pair.expect_same();
  expect_same_content(second.port(), pair.primary().port());
  EXPECT_EQ(pair.primary_status()["replication"]["followers"].size(), 2u);
}

}  // namespace
}  // namespace small_db::testing
