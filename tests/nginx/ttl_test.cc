// Times to live: how they are said, what answers tell, and that nothing is served after its time.
#include <gtest/gtest.h>

#include <chrono>
#include <ctime>
#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

int port_of_started(NginxServer& server) {
  server.start();
  return server.port();
}

// The seconds from now that an answer's Expires-At says.
double seconds_left(const HttpResponse& response) {
  const std::string text = response.header("Expires-At");
  tm parts{};
  const char* rest = strptime(text.c_str(), "%Y-%m-%dT%H:%M:%S", &parts);
  if (rest == nullptr || text.back() != 'Z') {
    ADD_FAILURE() << "no time: " << text;
    return 0;
  }
  const double fraction = *rest == '.' ? std::stod(rest) : 0;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  return static_cast<double>(timegm(&parts)) + fraction -
         std::chrono::duration<double>(now).count();
}

class Ttl : public ::testing::Test {
 protected:
  HttpResponse put(const std::string& query, const std::string& body = R"({"value":"QQ=="})") {
    return client_.send({.method = "PUT", .target = "/v1/kv/k" + query, .body = body});
  }
  HttpResponse patch(const std::string& body, const std::string& key = "k") {
    return client_.send({.method = "PATCH", .target = "/v1/kv/" + key, .body = body});
  }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Ttl, IsTakenInEveryForm) {
  for (const char* query : {"?ttl=3600", "?ttl=3600s", "?ttl=60m", "?ttl=1h"}) {
    const HttpResponse response = put(query);
    expect_ok(response);
    EXPECT_NEAR(seconds_left(response), 3600, 60) << query;
  }
  for (const char* body : {R"({"value":"QQ==","ttl":3600})", R"({"value":"QQ==","ttl":"1h"})"}) {
    const HttpResponse response = put("", body);
    expect_ok(response);
    EXPECT_NEAR(seconds_left(response), 3600, 60) << body;
  }
  const HttpResponse days = put("?ttl=7d");
  EXPECT_NEAR(seconds_left(days), 7 * 86'400, 60);
}

TEST_F(Ttl, MayBeAPointInTime) {
  for (const char* query : {"?expires_at=2040-01-31T12:00:00Z", "?expires_at=2211624000",
                            "?expires_at=2040-01-31T13:30:00%2B01:30"}) {
    const HttpResponse response = put(query);
    expect_ok(response);
    EXPECT_EQ(response.header("Expires-At"), "2040-01-31T12:00:00Z") << query;
  }
  const HttpResponse response = put("", R"({"value":"","expires_at":"2040-01-31T12:00:00.5Z"})");
  EXPECT_EQ(response.header("Expires-At"), "2040-01-31T12:00:00.500Z");
}

TEST_F(Ttl, IsRefusedWithTheReason) {
  const std::pair<const char*, const char*> queries[] = {
      {"?ttl=0", "must be more than zero"},
      {"?ttl=-5", "must be more than zero"},
      {"?ttl=99999999999999999999", "must end before the year 10000"},
      {"?ttl=soon", "must be a whole number"},
      {"?ttl=", "must be a whole number"},
      {"?expires_at=2001-01-01T00:00:00Z", "must lie in the future"},
      {"?expires_at=tomorrow", "RFC 3339"},
      {"?ttl=5&expires_at=2040-01-31T12:00:00Z", "not both"},
  };
  for (const auto& [query, cause] : queries) {
    expect_problem(put(query), 400, "invalid-query", cause);
  }
  expect_problem(put("", R"({"value":"","ttl":0})"), 400, "invalid-body", "more than zero");
  expect_problem(put("?ttl=5", R"({"value":"","ttl":5})"), 400, "invalid-body",
                 "given by a parameter already");
  expect_problem(client_.get("/v1/kv/k"), 404, "not-found");
}

TEST_F(Ttl, IsClearedByAPutWithoutOne) {
  expect_ok(put("?ttl=1"));
  const HttpResponse response = put("");
  expect_ok(response);
  EXPECT_EQ(response.header("Expires-At"), "");
}

TEST_F(Ttl, IsChangedAloneByPatch) {
  const HttpResponse before = put("");
  const HttpResponse set = patch(R"({"ttl":"1h"})");
  expect_ok(set);
  EXPECT_NEAR(seconds_left(set), 3600, 60);
  EXPECT_NE(set.header("ETag"), before.header("ETag"));
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "A");
  const HttpResponse cleared = patch(R"({"ttl":null})");
  expect_ok(cleared);
  EXPECT_EQ(cleared.header("Expires-At"), "");
  EXPECT_EQ(patch(R"({"expires_at":"2040-01-31T12:00:00Z"})").header("Expires-At"),
            "2040-01-31T12:00:00Z");
}

TEST_F(Ttl, PatchSaysWhatItCanNotDo) {
  expect_problem(patch(R"({"ttl":5})", "absent"), 404, "not-found");
  put("");
  expect_problem(patch("{}"), 400, "invalid-body", "'ttl' or 'expires_at' is missing");
  expect_problem(patch(R"({"value":"QQ=="})"), 400, "invalid-body", "unknown member 'value'");
  expect_problem(patch(R"({"ttl":0})"), 400, "invalid-body", "more than zero");
  expect_problem(client_.send({.method = "PATCH",
                               .target = "/v1/kv/k",
                               .body = R"({"ttl":5})",
                               .headers = {"Content-Type: text/plain"}}),
                 415, "unsupported-media-type");
  expect_problem(client_.send({.method = "PATCH",
                               .target = "/v1/kv/k",
                               .body = R"({"ttl":5})",
                               .headers = {R"(If-Match: "77777")"}}),
                 412, "condition-failed");
}

// After its time a record is absent for every route, from one answer to the next.
TEST_F(Ttl, AnExpiredKeyIsAbsentForEveryWrite) {
  expect_ok(put("?ttl=1"));
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "A");
  ASSERT_TRUE(poll_until([&] { return client_.get("/v1/kv/k").status == 404; }, 5000));
  expect_problem(patch(R"({"ttl":60})"), 404, "not-found");
  expect_problem(
      client_.send({.method = "DELETE", .target = "/v1/kv/k", .headers = {"If-Match: *"}}), 412,
      "condition-failed", "the key is absent");
  const HttpResponse transaction = client_.send(
      {.method = "POST",
       .target = "/v1/txn",
       .body = R"({"if":[{"key":"k","exists":false}],"then":[{"op":"get","key":"k"}]})"});
  EXPECT_NE(transaction.body.find(R"({"succeeded":true,)"), std::string::npos) << transaction.body;
  EXPECT_NE(transaction.body.find(R"("found":false)"), std::string::npos) << transaction.body;
  expect_ok(client_.send({.method = "PUT",
                          .target = "/v1/kv/k",
                          .body = R"({"value":"Qg=="})",
                          .headers = {"If-None-Match: *"}}));
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "B");
}

TEST_F(Ttl, NothingIsServedAfterItsTime) {
  // The clock is read before each request is sent: an answer to it is for a later moment.
  const HttpResponse response = put("?ttl=1");
  const double end = seconds_left(response);
  const auto start = std::chrono::steady_clock::now();
  int served = 0;
  for (;;) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    const HttpResponse got = client_.get("/v1/kv/k");
    if (got.status == 404) break;
    served++;
    ASSERT_LT(passed.count(), end + 0.01);
  }
  EXPECT_GT(served, 0);
}

TEST_F(Ttl, NothingIsListedOrCountedAfterItsTime) {
  expect_ok(client_.put("/v1/kv/stays?raw", "v"));
  const HttpResponse response = put("?ttl=1");
  const double end = seconds_left(response);
  const auto start = std::chrono::steady_clock::now();
  const auto has_key = [&] {
    return client_.get("/v1/kv").body.find(R"("key":"k")") != std::string::npos;
  };
  int listed = 0;
  for (;;) {
    const std::chrono::duration<double> passed = std::chrono::steady_clock::now() - start;
    if (!has_key()) break;
    listed++;
    ASSERT_LT(passed.count(), end + 0.01);
  }
  EXPECT_GT(listed, 0);
  for (const char* target : {"/v1/kv?count=true", "/v1/kv?count=true&start=a"}) {
    EXPECT_NE(client_.get(target).body.find(R"("count":1})"), std::string::npos) << target;
  }
}

// All in one batch of lines, with one time: their removal takes many commits, and everybody else's
// requests go in between.
TEST_F(Ttl, ManyThatExpireAtOnceStallNobody) {
  constexpr int kKeys = 50'000;
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto end_s = std::chrono::duration_cast<std::chrono::seconds>(now).count() + 5;
  std::string lines;
  for (int i = 0; i < kKeys; i++) {
    lines += R"({"key":"k)" + std::to_string(i) + R"(","value":"","expires_at":)" +
             std::to_string(end_s) + "}\n";
  }
  const HttpResponse stored = client_.send({.method = "POST", .target = "/v1/kv", .body = lines});
  ASSERT_EQ(stored.status, 200) << stored.body;
  const auto keys = [&] {
    return nlohmann::json::parse(client_.get("/v1/status").body)["keys"].get<int>();
  };
  ASSERT_GE(keys(), kKeys) << "the machine was too slow for this test";
  std::chrono::duration<double> longest{0};
  while (keys() > 1) {
    const auto start = std::chrono::steady_clock::now();
    expect_ok(client_.put("/v1/kv/other?raw", "v"));
    longest =
        std::max<std::chrono::duration<double>>(longest, std::chrono::steady_clock::now() - start);
    const auto passed = std::chrono::system_clock::now().time_since_epoch();
    ASSERT_LT(passed, std::chrono::seconds(end_s + 60));
  }
  EXPECT_LT(longest.count(), 0.5);
}

TEST_F(Ttl, ACounterKeepsTheTimeThatItWasCreatedWith) {
  const auto step = [&](const char* query) {
    return client_.send({.method = "POST", .target = std::string("/v1/kv/k") + query});
  };
  EXPECT_EQ(step("?incr=1&ttl=1").status, 200);
  EXPECT_EQ(step("?incr=1&ttl=1000").status, 200);
  ASSERT_TRUE(poll_until([&] { return client_.get("/v1/kv/k").status == 404; }, 5000));
  EXPECT_NE(step("?incr=1&init=10").body.find(R"("value":"11")"), std::string::npos);
}

}  // namespace
}  // namespace small_db::testing
