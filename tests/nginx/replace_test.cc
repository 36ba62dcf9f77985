// A set of keys that is exchanged as a whole: what was there is gone, what is new is there, and
// nobody ever sees a part of it.
#include <gtest/gtest.h>

#include <atomic>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

int port_of_started(NginxServer& server) {
  server.start();
  return server.port();
}

std::string lines(const std::string& prefix, int from, int to, const std::string& value) {
  std::string body;
  for (int i = from; i < to; i++) {
    body += R"({"key":")" + prefix + std::to_string(i) + R"(","encoding":"text","value":")" +
            value + "\"}\n";
  }
  return body;
}

class Replace : public ::testing::Test {
 protected:
  Replace()
      : server_({.workers = 2, .memory = "64m", .location_lines = "client_max_body_size 64m;\n"}) {}

  HttpResponse replace(const std::string& query, const std::string& body) {
    return client_.send({.method = "PUT",
                         .target = "/v1/kv?" + query,
                         .body = body,
                         .headers = {"Content-Type: application/x-ndjson"}});
  }
  nlohmann::json expect_count(const HttpResponse& response, size_t count) {
    EXPECT_EQ(response.status, 200) << response.body << response.error;
    auto json = nlohmann::json::parse(response.body, nullptr, false);
    EXPECT_EQ(json["count"], count) << response.body;
    return json["revision"];
  }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Replace, MakesThePrefixHoldTheseKeysAndNoOthers) {
  expect_ok(client_.put("/v1/kv/q", base64_envelope("other")));
  expect_count(replace("prefix=p/&replace=true", lines("p/", 0, 100, "old")), 100);
  // 50 stay, 50 go, 50 come.
  expect_count(replace("prefix=p/&replace=true", lines("p/", 50, 150, "old")), 100);
  EXPECT_EQ(client_.get("/v1/kv/p/49").status, 404);
  EXPECT_EQ(client_.get("/v1/kv/p/50").status, 200);
  EXPECT_EQ(client_.get("/v1/kv/p/149").status, 200);
  EXPECT_EQ(value_in(client_.get("/v1/kv/q")), "other");
}

TEST_F(Replace, WithWhatIsThereAlreadyChangesNothing) {
  const auto first = expect_count(replace("prefix=p/&replace", lines("p/", 0, 10, "x")), 10);
  EXPECT_EQ(expect_count(replace("prefix=p/&replace", lines("p/", 0, 10, "x")), 0), first);
  expect_count(replace("prefix=p/&replace", lines("p/", 0, 9, "x") + lines("p/", 9, 10, "y")), 1);
}

TEST_F(Replace, WithNothingEmptiesThePrefix) {
  expect_count(replace("prefix=p/&replace=true", lines("p/", 0, 10, "x")), 10);
  expect_count(replace("prefix=p/&replace=true", ""), 10);
  EXPECT_EQ(client_.get("/v1/kv/p/0").status, 404);
  expect_ok(client_.put("/v1/kv/q", base64_envelope("other")));
  expect_count(replace("all=true&replace=true", lines("r", 0, 2, "x")), 3);
  EXPECT_EQ(client_.get("/v1/kv/q").status, 404);
}

TEST_F(Replace, MustBeAskedForInSoManyWords) {
  const std::string body = lines("p/", 0, 1, "x");
  expect_problem(replace("prefix=p/", body), 400, "invalid-query", "replace=true");
  expect_problem(replace("prefix=p/&replace=false", body), 400, "invalid-query", "replace=true");
  expect_problem(replace("replace=true", body), 400, "invalid-query", "all=true");
  expect_problem(replace("prefix=&replace=true", body), 400, "invalid-query", "all=true");
  expect_problem(replace("prefix=q/&replace=true", body), 422, "invalid-operation",
                 "line 1: the key 'p/0': it does not begin with the prefix");
  expect_problem(replace("prefix=p/&replace=true", R"({"op":"delete","key":"p/0"})"), 422,
                 "invalid-operation", "has no deletes");
}

TEST_F(Replace, TakesAHundredThousandLines) {
  constexpr int kLines = 100'000;
  expect_count(replace("prefix=k&replace=true", lines("k", 0, kLines, "v")), kLines);
  expect_count(replace("prefix=k&replace=true", lines("k", 1, kLines + 1, "v")), 2);
}

// Readers see one whole set or the other: all keys of it at one revision.
TEST_F(Replace, IsNeverSeenInPart) {
  constexpr int kKeys = 200;
  expect_count(replace("prefix=s/&replace=true", lines("s/", 0, kKeys, "0")), kKeys);
  std::string gets = R"({"then":[)";
  for (int i = 0; i < kKeys + 1; i++) {
    gets += R"({"op":"get","key":"s/)" + std::to_string(i) + R"("},)";
  }
  gets.back() = ']';
  gets += "}";
  std::atomic<bool> done = false;
  std::atomic<int> looks = 0;
  std::thread reader([&] {
    HttpClient own(server_.port());
    while (!done) {
      const HttpResponse response = own.send({.method = "POST", .target = "/v1/txn", .body = gets});
      ASSERT_EQ(response.status, 200) << response.body;
      const auto results = nlohmann::json::parse(response.body)["results"];
      // Odd sets lack the first key, even ones the last.
      const bool is_odd = !results[0]["found"].get<bool>();
      EXPECT_EQ(results[kKeys]["found"].get<bool>(), is_odd);
      for (int i = 1; i < kKeys; i++) {
        ASSERT_TRUE(results[i]["found"].get<bool>());
        ASSERT_EQ(results[i]["value"], results[1]["value"]);
      }
      looks++;
    }
  });
  for (int round = 1; round <= 100 || looks < 20; round++) {
    const int first = round % 2;
    ASSERT_EQ(
        replace("prefix=s/&replace=true", lines("s/", first, kKeys + first, std::to_string(round)))
            .status,
        200);
  }
  done = true;
  reader.join();
}

}  // namespace
}  // namespace small_db::testing
