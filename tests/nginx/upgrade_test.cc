// nginx's upgrade of its binary: USR2 starts a second master with memory of its own, beside the
// first. There is one directory, so that one of the two has the store.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <filesystem>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/slow_requests.h"

namespace small_db::testing {
namespace {

class Upgrade : public ::testing::Test {
 protected:
  // USR2 needs a daemon: nginx takes a master that its starter still watches for a new binary.
  Upgrade() : server_(options()) {}

  static NginxOptions options() {
    NginxOptions options;
    options.workers = 2;
    options.daemon = true;
    options.store_lines = "checkpoint off;\n";
    options.server_lines = "location = /pid { return 200 \"$pid\"; }\n";
    return options;
  }

  void TearDown() override {
    if (new_master_ > 0 && is_running(new_master_)) kill(new_master_, SIGTERM);
    if (old_master_ > 0 && is_running(old_master_) && server_.master() != old_master_) {
      kill(old_master_, SIGTERM);
    }
  }

  // Starts the second master, and waits until it has workers and a storage process.
  void start_new_binary() {
    old_master_ = server_.master();
    ASSERT_EQ(kill(old_master_, SIGUSR2), 0);
    const std::string pid_file = server_.directory() + "/nginx.pid";
    ASSERT_TRUE(poll_until([&] {
      new_master_ = std::atoi(read_file(pid_file).c_str());
      return std::filesystem::exists(pid_file + ".oldbin") && new_master_ > 0 &&
             new_master_ != old_master_ && children_of(new_master_).size() == 3;
    })) << server_.error_log();
  }

  // An answer of a worker of that master: connects until one leads there.
  HttpResponse get_from(pid_t master, const std::string& target) {
    HttpResponse response;
    EXPECT_TRUE(poll_until([&] {
      HttpClient client(server_.port());
      const pid_t worker = std::atoi(client.get("/pid").body.c_str());
      const std::vector<pid_t> children = children_of(master);
      if (std::find(children.begin(), children.end(), worker) == children.end()) return false;
      response = client.get(target);
      return true;
    })) << "no connection leads to a worker of "
        << master;
    return response;
  }
  HttpResponse health_of(pid_t master) { return get_from(master, "/v1/health"); }

  NginxServer server_;
  pid_t old_master_ = -1;
  pid_t new_master_ = -1;
};

TEST_F(Upgrade, TheNewMasterServesWhenTheOldOneHasGoneAndNothingIsLost) {
  server_.start();
  LoadClients load(server_.port(), {.failures_allowed = true});
  load.start();
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() > 200; }));
  SlowPut put(server_.port(), "/v1/kv/slow", "value");
  ASSERT_NO_FATAL_FAILURE(start_new_binary());
  const HttpResponse waiting = health_of(new_master_);
  EXPECT_EQ(waiting.status, 503);
  EXPECT_EQ(waiting.header("Retry-After"), "1");
  expect_ok(health_of(old_master_));
  const uint64_t before = load.acknowledged();
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() > before + 100; }));

  // Its workers drain, the storage process goes; the master stays as long as the slow client.
  kill(old_master_, SIGQUIT);
  EXPECT_TRUE(poll_until([&] { return health_of(new_master_).status == 200; }));
  const std::string slow_answer = put.finish();
  const int slow = raw_status(slow_answer);
  EXPECT_TRUE(slow == 200 || slow == 503) << slow_answer;
  EXPECT_TRUE(poll_until([&] { return !is_running(old_master_); }));
  EXPECT_EQ(server_.follow_pid_file(), new_master_);
  const uint64_t served_by_old = load.acknowledged();
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() > served_by_old + 200; }));
  load.stop();
  HttpClient client(server_.port());
  load.verify(client);
  EXPECT_EQ(client.get("/v1/kv/slow").status, slow == 200 ? 200 : 404);
  server_.stop();
  server_.start();
  load.verify(client);
}

// The way back that nginx's documentation describes: WINCH to the old master, which then has no
// children; HUP to it, which gives it new ones; QUIT to the new one. In between the new one wrote.
class UpgradeAndBack : public Upgrade, public ::testing::WithParamInterface<bool> {};

TEST_P(UpgradeAndBack, LosesNothingThatEitherMasterWrote) {
  server_.start();
  {
    HttpClient client(server_.port());
    expect_ok(client.put("/v1/kv/both", base64_envelope("of the old one")));
    expect_ok(client.put("/v1/kv/old", base64_envelope("value")));
  }
  // A client that stays with one of the old workers, which drains for as long.
  SlowPut stays(server_.port(), "/v1/kv/stays", "value");
  ASSERT_NO_FATAL_FAILURE(start_new_binary());
  kill(old_master_, SIGWINCH);
  ASSERT_TRUE(poll_until([&] { return health_of(new_master_).status == 200; }));
  ASSERT_TRUE(poll_until([&] { return children_of(old_master_).size() <= 2; }));
  {
    HttpClient client(server_.port());
    ASSERT_TRUE(poll_until([&] {
      return client.put("/v1/kv/both", base64_envelope("of the new one")).status == 200;
    }));
    expect_ok(client.put("/v1/kv/new", base64_envelope("value")));
    if (GetParam()) {
      for (int i = 0; i < 3; i++) {
        expect_ok(client.send({.method = "POST", .target = "/v1/checkpoint"}));
        expect_ok(client.put("/v1/kv/new" + std::to_string(i), base64_envelope("value")));
      }
    }
  }
  const int stayed = raw_status(stays.finish());
  ASSERT_EQ(kill(old_master_, SIGHUP), 0);
  // The new master, two workers, the storage process.
  ASSERT_TRUE(poll_until([&] { return children_of(old_master_).size() >= 4; }));
  // Its workers have the old memory, which nobody keeps up to date: no read is answered from it.
  expect_problem(get_from(old_master_, "/v1/kv/both"), 503, "unavailable", "another owner");
  EXPECT_EQ(health_of(old_master_).status, 503);
  kill(new_master_, SIGQUIT);
  EXPECT_TRUE(poll_until([&] { return !is_running(new_master_); }));
  EXPECT_TRUE(poll_until([&] { return server_.is_serving(); }));
  HttpClient client(server_.port());
  EXPECT_EQ(value_in(client.get("/v1/kv/both")), "of the new one");
  EXPECT_EQ(value_in(client.get("/v1/kv/old")), "value");
  EXPECT_EQ(value_in(client.get("/v1/kv/new")), "value");
  if (GetParam()) {
    EXPECT_EQ(value_in(client.get("/v1/kv/new2")), "value");
  }
  EXPECT_EQ(client.get("/v1/kv/stays").status, stayed == 200 ? 200 : 404);
  expect_ok(client.put("/v1/kv/after", base64_envelope("value")));
  server_.stop();
  server_.start();
  HttpClient again(server_.port());
  EXPECT_EQ(value_in(again.get("/v1/kv/both")), "of the new one");
  EXPECT_EQ(value_in(again.get("/v1/kv/after")), "value");
}

INSTANTIATE_TEST_SUITE_P(WithAndWithoutCheckpoints, UpgradeAndBack, ::testing::Bool());

}  // namespace
}  // namespace small_db::testing
