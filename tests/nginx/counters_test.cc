// Counters: each step happens exactly once, whoever else counts and whatever dies meanwhile.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

int port_of_started(NginxServer& server) {
  server.start();
  return server.port();
}

HttpResponse step(HttpClient& client, const std::string& query,
                  std::vector<std::string> headers = {}) {
  return client.send(
      {.method = "POST", .target = "/v1/kv/counter" + query, .headers = std::move(headers)});
}

std::string value_after(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body << response.error;
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object()) return "";
  EXPECT_EQ(response.header("ETag"), '"' + json["revision"].dump() + '"');
  EXPECT_EQ(json.size(), 2u);
  return json["value"].get<std::string>();
}

class Counters : public ::testing::Test {
 protected:
  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Counters, StartWithInitAndThenAddIncr) {
  EXPECT_EQ(value_after(step(client_, "?incr=5&init=100")), "105");
  EXPECT_EQ(value_after(step(client_, "?incr=5&init=100")), "110");
  EXPECT_EQ(value_after(step(client_, "?incr=-111")), "-1");
  EXPECT_EQ(value_after(step(client_, "?incr=0")), "-1");
  EXPECT_EQ(value_in(client_.get("/v1/kv/counter")), "-1");
  expect_ok(client_.del("/v1/kv/counter"));
  EXPECT_EQ(value_after(step(client_, "?incr=1")), "1");
}

TEST_F(Counters, AreDecimalTextThatAnyPutMayHaveWritten) {
  expect_ok(client_.send({.method = "PUT", .target = "/v1/kv/counter?raw", .body = "41"}));
  EXPECT_EQ(value_after(step(client_, "?incr=1")), "42");
}

TEST_F(Counters, RefuseWhatIsNoNumber) {
  for (const char* value : {"", "x", "1.5", " 1", "1 ", "0x1", "9223372036854775808"}) {
    expect_ok(client_.send({.method = "PUT", .target = "/v1/kv/counter?raw", .body = value}));
    expect_problem(step(client_, "?incr=1"), 409, "not-a-number", "nothing was changed");
    EXPECT_EQ(value_in(client_.get("/v1/kv/counter")), value);
  }
}

TEST_F(Counters, NeverLeaveTheirRange) {
  EXPECT_EQ(value_after(step(client_, "?incr=0&init=9223372036854775807")), "9223372036854775807");
  expect_problem(step(client_, "?incr=1"), 409, "out-of-range");
  EXPECT_EQ(value_after(step(client_, "?incr=-9223372036854775808")), "-1");
  EXPECT_EQ(value_after(step(client_, "?incr=-9223372036854775807")), "-9223372036854775808");
  expect_problem(step(client_, "?incr=-1"), 409, "out-of-range");
}

TEST_F(Counters, SayWhatIsWrongWithAStep) {
  expect_problem(step(client_, ""), 400, "invalid-query", "'incr' is missing");
  expect_problem(step(client_, "?init=5"), 400, "invalid-query", "'incr' is missing");
  expect_problem(step(client_, "?incr=x"), 400, "invalid-query", "'incr' must be a whole number");
  expect_problem(step(client_, "?incr=9223372036854775808"), 400, "invalid-query");
  expect_problem(step(client_, "?incr=1&init="), 400, "invalid-query", "'init'");
  expect_problem(step(client_, "?incr=1&ttl=0"), 400, "invalid-query", "'ttl'");
  expect_problem(client_.send({.method = "POST", .target = "/v1/kv/counter?incr=1", .body = "{}"}),
                 400, "invalid-body", "has no body");
  expect_problem(client_.get("/v1/kv/counter"), 404, "not-found");
}

TEST_F(Counters, TakeConditions) {
  const HttpResponse first = step(client_, "?incr=1", {"If-None-Match: *"});
  EXPECT_EQ(value_after(first), "1");
  expect_problem(step(client_, "?incr=1", {"If-None-Match: *"}), 412, "condition-failed");
  EXPECT_EQ(value_after(step(client_, "?incr=1", {"If-Match: " + first.header("ETag")})), "2");
  expect_problem(step(client_, "?incr=1", {"If-Match: " + first.header("ETag")}), 412,
                 "condition-failed");
}

// Counts with several clients until each has seen `steps` answers. `meanwhile` is called in
// between.
void count_together(NginxServer& server, int clients, int steps,
                    const std::function<void(const std::atomic<int>& answered)>& meanwhile) {
  std::atomic<int> answered = 0;
  std::atomic<int> resent = 0;
  std::vector<std::vector<int64_t>> seen(static_cast<size_t>(clients));
  std::vector<std::thread> threads;
  for (int i = 0; i < clients; i++) {
    threads.emplace_back([&, i] {
      HttpClient client(server.port());
      for (int done = 0; done < steps; done++) {
        const HttpResponse response = step(client, "?incr=1");
        resent += response.sendings - 1;
        const std::string value = value_after(response);
        if (value.empty()) return;
        seen[static_cast<size_t>(i)].push_back(std::stoll(value));
        answered++;
      }
    });
  }
  meanwhile(answered);
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(resent, 0) << "a step that was sent twice may count twice";
  EXPECT_EQ(answered, clients * steps);
  // No two steps came to one value, and each client's own ascend.
  std::set<int64_t> all;
  for (const auto& values : seen) {
    EXPECT_TRUE(std::is_sorted(values.begin(), values.end()));
    all.insert(values.begin(), values.end());
  }
  EXPECT_EQ(all.size(), static_cast<size_t>(clients * steps));
  HttpClient client(server.port());
  EXPECT_EQ(value_in(client.get("/v1/kv/counter")), std::to_string(clients * steps));
}

TEST(CountersTogether, CountEachStepOnce) {
  NginxServer server({.workers = 2});
  server.start();
  count_together(server, 6, 300, [](const std::atomic<int>&) {});
}

TEST(CountersTogether, CountEachStepOnceWhileTheStorageProcessIsKilled) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log("exited on signal 9");
  constexpr int kClients = 4;
  constexpr int kSteps = 600;
  count_together(server, kClients, kSteps, [&](const std::atomic<int>& answered) {
    for (int round = 1; round <= 5; round++) {
      const int target = kClients * kSteps * round / 7;
      ASSERT_TRUE(poll_until([&] { return answered >= target; }));
      pid_t storage = 0;
      ASSERT_TRUE(poll_until([&] { return (storage = server.storage_process()) > 0; }));
      kill(storage, SIGKILL);
      ASSERT_TRUE(poll_until([&] { return !is_running(storage); }));
    }
  });
}

}  // namespace
}  // namespace small_db::testing
