// Transactions: one state is read, one branch is taken, and all of it happens at one revision.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

int port_of_started(NginxServer& server) {
  server.start();
  return server.port();
}

using Json = nlohmann::json;

HttpResponse post(HttpClient& client, const std::string& body) {
  return client.send({.method = "POST", .target = "/v1/txn", .body = body});
}

Json answer_of(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body << response.error;
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  return Json::parse(response.body, nullptr, false);
}

class Transactions : public ::testing::Test {
 protected:
  Transactions() : server_({.memory = "64m", .location_lines = "client_max_body_size 64m;\n"}) {}
  Json run(const std::string& body) { return answer_of(post(client_, body)); }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Transactions, WriteAndReadAtOneRevision) {
  const Json answer = run(R"({"then":[
      {"op":"put","key":"a","value":"QQ=="},
      {"op":"get","key":"a"},
      {"op":"put","key":"b","value":"text","encoding":"utf-8","expires_at":"2040-01-01T00:00:00Z"},
      {"op":"get","key":"b","encoding":"utf-8"},
      {"op":"delete","key":"absent"},
      {"op":"delete","key":"a"},
      {"op":"get","key":"a"}]})");
  const Json revision = answer["revision"];
  EXPECT_EQ(answer, (Json{{"succeeded", true},
                          {"revision", revision},
                          {"results",
                           {{{"op", "put"}, {"key", "a"}, {"revision", revision}},
                            {{"op", "get"},
                             {"key", "a"},
                             {"found", true},
                             {"revision", revision},
                             {"value", "QQ=="},
                             {"encoding", "base64"}},
                            {{"op", "put"}, {"key", "b"}, {"revision", revision}},
                            {{"op", "get"},
                             {"key", "b"},
                             {"found", true},
                             {"revision", revision},
                             {"value", "text"},
                             {"encoding", "utf-8"},
                             {"expires_at", "2040-01-01T00:00:00Z"}},
                            {{"op", "delete"}, {"key", "absent"}, {"existed", false}},
                            {{"op", "delete"}, {"key", "a"}, {"existed", true}},
                            {{"op", "get"}, {"key", "a"}, {"found", false}}}}}));
  EXPECT_EQ(client_.get("/v1/kv/a").status, 404);
  EXPECT_EQ(value_in(client_.get("/v1/kv/b")), "text");
}

TEST_F(Transactions, TakeTheBranchThatTheComparisonsSay) {
  const HttpResponse put = client_.put("/v1/kv/k", base64_envelope("value"));
  const std::string revision = put.header("ETag").substr(1, put.header("ETag").size() - 2);
  const std::pair<std::string, bool> cases[] = {
      {R"({"key":"k","exists":true})", true},
      {R"({"key":"k","exists":false})", false},
      {R"({"key":"none","exists":false})", true},
      {R"({"key":"none","exists":true})", false},
      {R"({"key":"k","revision":)" + revision + "}", true},
      {R"({"key":"k","revision":999999})", false},
      {R"({"key":"k","revision":0})", false},
      {R"({"key":"none","revision":0})", true},
      {R"({"key":"none","revision":5})", false},
      {R"({"key":"k","value":"dmFsdWU="})", true},
      {R"({"key":"k","value":"value","encoding":"utf-8"})", true},
      {R"({"key":"k","value":"valuf","encoding":"utf-8"})", false},
      {R"({"key":"k","value":""})", false},
      {R"({"key":"none","value":""})", false},
      {R"({"key":"aw==","key_encoding":"base64","exists":true})", true},
      {R"({"key":"k","exists":true},{"key":"none","exists":true})", false},
      {R"({"key":"k","exists":true},{"key":"none","exists":false})", true},
  };
  for (const auto& [comparisons, succeeds] : cases) {
    const Json answer = run(R"({"if":[)" + comparisons +
                            R"(],"then":[{"op":"put","key":"taken","value":"dGhlbg=="}],)"
                            R"("else":[{"op":"put","key":"taken","value":"ZWxzZQ=="}]})");
    EXPECT_EQ(answer["succeeded"], succeeds) << comparisons;
    EXPECT_EQ(value_in(client_.get("/v1/kv/taken")), succeeds ? "then" : "else") << comparisons;
  }
}

TEST_F(Transactions, ThatWriteNothingAreAnsweredFromTheState) {
  const HttpResponse put = client_.put("/v1/kv/k", base64_envelope("\xff"));
  const Json answer = run(R"({"if":[{"key":"k","exists":false}],"then":[{"op":"delete","key":"k"}],
                              "else":[{"op":"get","key":"k","encoding":"utf-8"}]})");
  EXPECT_EQ(answer["succeeded"], false);
  EXPECT_EQ('"' + answer["revision"].dump() + '"', put.header("ETag"));
  // A value that is no text comes as base64, and says so.
  EXPECT_EQ(answer["results"][0]["value"], "/w==");
  EXPECT_EQ(answer["results"][0]["encoding"], "base64");
  EXPECT_EQ(run(R"({"if":[]})")["results"], Json::array());
}

TEST_F(Transactions, SayWhichOperationIsInvalidAndChangeNothing) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"then":[{"op":"put","key":"a","value":""},{"op":"add","key":"a"}]})", "then[1]"},
      {R"({"if":[{"key":"a"}],"then":[{"op":"put","key":"a","value":""}]})", "if[0]"},
      {R"({"else":[{"op":"put","key":"a","value":""},{"op":"put","key":"a"}]})", "else[1]"},
      {R"({"then":[{"op":"put","key":"a","value":"","ttl":0}]})", "then[0]"},
      {R"({"then":[{"op":"put","key":"","value":""}]})", "then[0]"},
  };
  for (const auto& [body, where] : cases) {
    expect_problem(post(client_, body), 422, "invalid-operation", where);
  }
  expect_problem(client_.get("/v1/kv/a"), 404, "not-found");
}

TEST_F(Transactions, RefuseHostileBodies) {
  const std::string deep(2'000'000, '[');
  expect_problem(post(client_, ""), 400, "invalid-body", "at byte 0");
  expect_problem(post(client_, "{}"), 400, "invalid-body");
  expect_problem(post(client_, deep), 400, "invalid-body", "at byte 0");
  expect_problem(post(client_, R"({"then":)" + deep), 400, "invalid-body", "then[0]");
  expect_problem(post(client_, R"({"then":[{"op":)" + deep), 422, "invalid-operation", "then[0]");
  expect_problem(post(client_, R"({"then":[)" + std::string(2'000'000, '{')), 400, "invalid-body");
  expect_problem(post(client_, R"({"then":[],"then":[]})"), 400, "invalid-body", "twice");
  expect_problem(post(client_, std::string(5'000'000, ' ')), 400, "invalid-body");
  expect_problem(client_.send({.method = "POST",
                               .target = "/v1/txn",
                               .body = "{}",
                               .headers = {"Content-Type: text/plain"}}),
                 415, "unsupported-media-type");
  std::string many = R"({"then":[)";
  for (int i = 0; i < 16'385; i++) many += R"({"op":"get","key":"a"},)";
  many.back() = ']';
  expect_problem(post(client_, many + "}"), 413, "too-large", "at most 16384");
}

TEST_F(Transactions, NameTheLimitOfWhatTheyGet) {
  expect_ok(client_.send(
      {.method = "PUT", .target = "/v1/kv/k?raw", .body = std::string(1'000'000, 'x')}));
  std::string body = R"({"then":[)";
  for (int i = 0; i < 13; i++) body += R"({"op":"get","key":"k"},)";
  body.back() = ']';
  expect_problem(post(client_, body + "}"), 413, "too-large", "16777216 bytes");
}

TEST_F(Transactions, MayHaveTenThousandOperations) {
  std::string puts = R"({"then":[)";
  std::string gets = R"({"if":[)";
  for (int i = 0; i < 10'000; i++) {
    puts += R"({"op":"put","key":"key )" + std::to_string(i) + R"(","value":"QQ=="},)";
    gets += R"({"key":"key )" + std::to_string(i) + R"(","exists":true},)";
  }
  puts.back() = gets.back() = ']';
  const Json put = run(puts + "}");
  EXPECT_EQ(put["results"].size(), 10'000u);
  EXPECT_EQ(put["results"][9'999]["revision"], put["revision"]);
  EXPECT_EQ(run(gets + "}")["succeeded"], true);
}

// Money goes to and fro between accounts; its sum, read in transactions, never changes.
void transfer_concurrently(NginxServer& server, const std::function<void()>& meanwhile) {
  constexpr int kAccounts = 4;
  constexpr int kStart = 1000;
  HttpClient setup(server.port());
  std::string open = R"({"then":[)";
  std::string look = R"({"then":[)";
  for (int i = 0; i < kAccounts; i++) {
    const std::string key = R"("account )" + std::to_string(i) + '"';
    open += R"({"op":"put","key":)" + key + R"(,"value":"1000","encoding":"utf-8"},)";
    look += R"({"op":"get","key":)" + key + R"(,"encoding":"utf-8"},)";
  }
  open.back() = look.back() = ']';
  answer_of(post(setup, open + "}"));
  look += "}";
  std::atomic<bool> done = false;
  std::atomic<int> transfers = 0;
  std::vector<std::thread> threads;
  for (int thread = 0; thread < 4; thread++) {
    threads.emplace_back([&, thread] {
      HttpClient client(server.port());
      for (int i = thread; !done || i < 100; i++) {
        const Json state = answer_of(post(client, look));
        ASSERT_TRUE(state.is_object());
        int sum = 0;
        for (const Json& result : state["results"]) {
          sum += std::stoi(result["value"].get<std::string>());
        }
        ASSERT_EQ(sum, kAccounts * kStart);
        const Json& from = state["results"][i % kAccounts];
        const Json& to = state["results"][(i + 1 + i / kAccounts % (kAccounts - 1)) % kAccounts];
        const auto compare = [](const Json& account) {
          return Json{{"key", account["key"]}, {"revision", account["revision"]}};
        };
        const auto put = [](const Json& account, int change) {
          const int value = std::stoi(account["value"].get<std::string>()) + change;
          return Json{{"op", "put"},
                      {"key", account["key"]},
                      {"value", std::to_string(value)},
                      {"encoding", "utf-8"}};
        };
        const Json body = {{"if", {compare(from), compare(to)}},
                           {"then", {put(from, -7), put(to, 7)}}};
        if (answer_of(post(client, body.dump()))["succeeded"] == true) transfers++;
      }
    });
  }
  meanwhile();
  EXPECT_TRUE(poll_until([&] { return transfers > 200; }));
  done = true;
  for (std::thread& thread : threads) thread.join();
}

TEST(TransactionsTogether, LoseAndInventNothing) {
  NginxServer server({.workers = 2});
  server.start();
  transfer_concurrently(server, [] {});
}

TEST(TransactionsTogether, LoseAndInventNothingWhileTheStorageProcessIsKilled) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log("exited on signal 9");
  transfer_concurrently(server, [&] {
    for (int round = 0; round < 3; round++) {
      pid_t storage = 0;
      ASSERT_TRUE(poll_until([&] { return (storage = server.storage_process()) > 0; }));
      kill(storage, SIGKILL);
      ASSERT_TRUE(poll_until([&] { return !is_running(storage); }));
    }
  });
}

// What is read decides what is written: each of many clients moves one token on, none is lost.
TEST(TransactionsTogether, AreRunAgainWhenSomebodyElseWasQuicker) {
  NginxServer server({.workers = 2});
  server.start();
  std::vector<std::thread> threads;
  std::atomic<int> created = 0;
  for (int thread = 0; thread < 4; thread++) {
    threads.emplace_back([&] {
      HttpClient client(server.port());
      for (int i = 0; i < 100; i++) {
        // All want to create the same key; the later ones delete it again.
        const Json answer = answer_of(post(client, R"({"if":[{"key":"token","exists":false}],
                             "then":[{"op":"put","key":"token","value":""}],
                             "else":[{"op":"delete","key":"token"}]})"));
        if (answer["succeeded"] == true) {
          created++;
        } else {
          EXPECT_EQ(answer["results"][0]["existed"], true);
          created--;
        }
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  HttpClient client(server.port());
  EXPECT_EQ(client.get("/v1/kv/token").status, created == 1 ? 200 : 404);
  EXPECT_TRUE(created == 0 || created == 1) << created;
}

}  // namespace
}  // namespace small_db::testing
