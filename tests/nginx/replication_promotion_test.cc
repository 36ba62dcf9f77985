// A backup becomes the primary: by a request, durably; and the former primary comes back as its
// backup.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"
#include "tests/nginx/tcp_proxy.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

void expect_promoted(int port, uint64_t epoch) {
  const HttpResponse response = post_to(port, "/v1/promote");
  EXPECT_EQ(response.status, 200) << response.error << response.body;
  EXPECT_EQ(response.body, R"({"ok":true,"epoch":)" + std::to_string(epoch) + "}");
  EXPECT_EQ(role_of_node(port), "primary");
}

bool gets_role(int port, const std::string& role) {
  return poll_until([&] { return role_of_node(port) == role; });
}

std::vector<std::string> saved_files(const NginxServer& server) {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(server.data_directory())) {
    const std::string name = entry.path().filename().string();
    if (name.rfind("diverged.", 0) == 0) names.push_back(name);
  }
  return names;
}

void put_many(int port, const std::string& prefix, int count) {
  HttpClient client(port);
  for (int i = 0; i < count; ++i) {
    expect_ok(client.put("/v1/kv/" + prefix + std::to_string(i) + "?raw", prefix + "'s"));
  }
}

TEST(ReplicationPromotion, ThePromotedTakesWritesAndTheOldPrimaryIsFenced) {
  ReplicaPair pair;
  pair.start();
  put_many(pair.primary().port(), "before", 30);
  ASSERT_TRUE(pair.backup_catches_up());
  const int port = pair.backup().port();
  expect_promoted(port, 2);
  put_many(port, "after", 30);
  EXPECT_EQ(content_of_node(port).size(), 60u);
  ASSERT_TRUE(gets_role(pair.primary().port(), "fenced")) << pair.logs();
  expect_problem(pair.client().put("/v1/kv/k?raw", "v"), 403, "not-primary", "fenced");
  expect_problem(pair.client().del("/v1/kv/before1"), 403, "not-primary", "fenced");
  EXPECT_EQ(pair.client().get("/v1/kv/before1?raw").body, "before's");
  EXPECT_EQ(pair.primary_status()["role"], "fenced");
  // It does not forget that.
  ASSERT_TRUE(poll_until([&] {
    return pair.primary().error_log().find("fenced: another node was promoted") !=
           std::string::npos;
  }));
  pair.backup().stop();
  pair.primary().kill_everything();
  pair.primary().start();
  EXPECT_EQ(role_of_node(pair.primary().port()), "fenced");
  expect_problem(post_to(pair.primary().port(), "/v1/promote"), 409, "not-primary", "fenced");
}

TEST(ReplicationPromotion, OnceMoreOrAtAPrimaryChangesNothing) {
  ReplicaPair pair;
  pair.start();
  pair.put("key", "value");
  expect_promoted(pair.primary().port(), 1);
  ASSERT_TRUE(pair.backup_catches_up());
  expect_promoted(pair.backup().port(), 2);
  expect_promoted(pair.backup().port(), 2);
  expect_promoted(pair.backup().port(), 2);
  EXPECT_EQ(pair.backup_status()["replication"]["epoch"], 2);
}

TEST(ReplicationPromotion, APromotedNodeStaysThePrimary) {
  ReplicaPair pair;
  pair.start();
  put_many(pair.primary().port(), "before", 10);
  ASSERT_TRUE(pair.backup_catches_up());
  const int port = pair.backup().port();
  expect_promoted(port, 2);
  pair.backup().reload();
  EXPECT_EQ(role_of_node(port), "primary");
  put_many(port, "reloaded", 10);
  pair.backup().allow_log("exited on signal 9");
  kill_storage(pair.backup());
  ASSERT_TRUE(poll_until(
      [&] { return HttpClient(port).put("/v1/kv/replaced?raw", "value").status == 200; }));
  EXPECT_EQ(role_of_node(port), "primary");
  pair.backup().kill_everything();
  pair.backup().start();
  EXPECT_EQ(role_of_node(port), "primary");
  pair.backup().stop();
  pair.backup().start();
  EXPECT_EQ(role_of_node(port), "primary");
  EXPECT_EQ(pair.backup_status()["replication"]["epoch"], 2);
  put_many(port, "restarted", 10);
  EXPECT_EQ(content_of_node(port).size(), 31u);
}

// The old primary goes on for a while without knowing: what it took then nobody else has.
TEST(ReplicationPromotion, AnOldPrimaryRejoinsAndWhatItAloneHadIsSaved) {
  ReplicaPair pair;
  pair.start_primary();
  TcpProxy proxy(pair.primary().port());
  pair.start_backup(proxy.port());
  ASSERT_TRUE(pair.backup_streams());
  const int old_port = pair.primary().port();
  const int port = pair.backup().port();
  put_many(old_port, "shared", 30);
  ASSERT_TRUE(pair.backup_catches_up());
  proxy.set_mode(TcpProxy::Mode::kRefuse);
  proxy.cut();
  put_many(old_port, "alone", 20);
  expect_promoted(port, 2);
  put_many(port, "promoted", 25);
  EXPECT_EQ(role_of_node(old_port), "primary");
  proxy.set_mode(TcpProxy::Mode::kPass);
  ASSERT_TRUE(gets_role(old_port, "fenced"));

  pair.primary().reload(pair.primary_options(backup_of_line(port)));
  ASSERT_TRUE(gets_role(old_port, "backup"));
  ASSERT_TRUE(catches_up(old_port, port)) << pair.logs();
  expect_same_answers(old_port, port);
  EXPECT_EQ(HttpClient(old_port).get("/v1/kv/alone1").status, 404);
  EXPECT_EQ(HttpClient(old_port).get("/v1/kv/shared1").status, 200);
  const std::vector<std::string> saved = saved_files(pair.primary());
  ASSERT_GE(saved.size(), 1u);
  EXPECT_NE(pair.primary().error_log().find(saved[0]), std::string::npos);
  std::string bytes;
  for (const std::string& name : saved) {
    bytes += read_file(pair.primary().data_directory() + "/" + name);
  }
  for (const char* value : {"alone0", "alone19"}) {
    EXPECT_NE(bytes.find(value), std::string::npos) << value;
  }
  put_many(port, "later", 25);
  ASSERT_TRUE(catches_up(old_port, port));
  expect_same_content(old_port, port);
  EXPECT_EQ(saved_files(pair.primary()).size(), saved.size());
}

// One that held nothing else has nothing to save, and goes on without a bootstrap.
TEST(ReplicationPromotion, AnOldPrimaryThatHadNothingAloneJustFollows) {
  ReplicaPair pair;
  pair.start();
  const int old_port = pair.primary().port();
  const int port = pair.backup().port();
  put_many(old_port, "shared", 30);
  ASSERT_TRUE(pair.backup_catches_up());
  pair.primary().stop();
  expect_promoted(port, 2);
  put_many(port, "promoted", 30);
  NginxOptions options = pair.primary_options(backup_of_line(port));
  options.data_directory = pair.primary().data_directory();
  NginxServer rejoined(options);
  rejoined.start();
  ASSERT_TRUE(catches_up(rejoined.port(), port)) << rejoined.error_log();
  expect_same_answers(rejoined.port(), port);
  EXPECT_TRUE(saved_files(pair.primary()).empty());
  EXPECT_EQ(status_of_node(rejoined.port())["replication"]["following"]["bootstraps"], 0);
  // And back again, to whom it was in the beginning.
  expect_promoted(rejoined.port(), 3);
  ASSERT_TRUE(gets_role(port, "fenced") || gets_role(port, "backup")) << rejoined.error_log();
  put_many(rejoined.port(), "back", 5);
  expect_problem(HttpClient(port).put("/v1/kv/k?raw", "v"), 403, "not-primary");
}

// Of three, the second is promoted, and then the third, which has followed it by then.
TEST(ReplicationPromotion, AThirdNodeFollowsThePromotedAndIsPromotedItself) {
  ReplicaPair pair;
  pair.start();
  put_many(pair.primary().port(), "first", 20);
  NginxServer third(pair.backup_options(""));
  third.start();
  ASSERT_TRUE(catches_up(third.port(), pair.primary().port()));
  ASSERT_TRUE(pair.backup_catches_up());
  const int second_port = pair.backup().port();
  expect_promoted(second_port, 2);
  put_many(second_port, "second", 20);
  third.reload({.store_lines = "checkpoint off;\n" + backup_of_line(second_port)});
  ASSERT_TRUE(catches_up(third.port(), second_port)) << third.error_log();
  expect_same_content(third.port(), second_port);
  expect_promoted(third.port(), 3);
  put_many(third.port(), "third", 20);
  ASSERT_TRUE(poll_until([&] { return role_of_node(second_port) != "primary"; }));
  EXPECT_EQ(content_of_node(third.port()).size(), 60u);
}

// It knows the term of a writer that it has no write of.
TEST(ReplicationPromotion, ANodeIsPromotedThatLacksWhatWasBeforeTheLastPromotion) {
  ReplicaPair pair;
  pair.start();
  put_many(pair.primary().port(), "shared", 20);
  NginxServer third(pair.backup_options(""));
  third.start();
  ASSERT_TRUE(catches_up(third.port(), pair.primary().port()));
  ASSERT_TRUE(pair.backup_catches_up());
  TcpProxy proxy(pair.backup().port());
  proxy.set_bytes(2000, 2000);
  proxy.set_mode(TcpProxy::Mode::kCut);
  third.reload({.store_lines = "checkpoint off;\n" + backup_of_line(proxy.port())});
  ASSERT_TRUE(gets_role(third.port(), "backup"));
  pair.put("lost", std::string(200'000, 'v'));
  ASSERT_TRUE(pair.backup_catches_up());
  expect_promoted(pair.backup().port(), 2);
  ASSERT_TRUE(poll_until([&] {
    return read_file(third.data_directory() + "/history").find("\nterm 2 ") != std::string::npos;
  })) << third.error_log();
  pair.backup().kill_everything();
  pair.primary().kill_everything();
  expect_promoted(third.port(), 3);
  put_many(third.port(), "later", 20);
  EXPECT_EQ(content_of_node(third.port()).size(), 40u);
  // The second comes back: it follows, and what it alone had is saved.
  pair.backup().start();
  const int port = pair.backup().port();
  pair.backup().reload({.store_lines = "checkpoint off;\n" + backup_of_line(third.port())});
  ASSERT_TRUE(catches_up(port, third.port())) << pair.backup().error_log();
  expect_same_content(port, third.port());
  EXPECT_FALSE(saved_files(pair.backup()).empty());
}

// A node that never found its primary is started without one: others can follow it.
TEST(ReplicationPromotion, AnEmptyBackupBecomesAPrimaryByItsConfiguration) {
  NginxServer node({.store_lines = "checkpoint off;\n" + backup_of_line(1)});
  node.start(Until::kListening);
  ASSERT_TRUE(gets_role(node.port(), "backup"));
  node.reload({.store_lines = "checkpoint off;\n"});
  ASSERT_TRUE(gets_role(node.port(), "primary"));
  put_many(node.port(), "key", 10);
  NginxServer backup({.store_lines = "checkpoint off;\n" + backup_of_line(node.port())});
  backup.start();
  ASSERT_TRUE(catches_up(backup.port(), node.port())) << backup.error_log();
  expect_same_content(backup.port(), node.port());
}

TEST(ReplicationPromotion, UnderLoadLosesNothingThatTheBackupHad) {
  ReplicaPair pair({.workers = 2}, {.workers = 2});
  pair.start();
  LoadClients load(pair.primary().port(), {.writers = 3, .failures_allowed = true});
  load.start();
  ASSERT_TRUE(poll_until([&] { return load.acknowledged() > 500; }));
  const uint64_t before = pair.backup_status().value("revision", uint64_t{0});
  const int port = pair.backup().port();
  expect_promoted(port, 2);
  ASSERT_TRUE(gets_role(pair.primary().port(), "fenced"));
  load.stop();
  EXPECT_GE(status_of_node(port).value("revision", uint64_t{0}), before);
  put_many(port, "after", 10);
  pair.primary().reload(pair.primary_options(backup_of_line(port)));
  ASSERT_TRUE(gets_role(pair.primary().port(), "backup"));
  ASSERT_TRUE(catches_up(pair.primary().port(), port)) << pair.logs();
  expect_same_content(pair.primary().port(), port);
}

}  // namespace
}  // namespace small_db::testing
