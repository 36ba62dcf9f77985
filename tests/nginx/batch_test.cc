// Many keys at once: lines of puts and deletes, and the end of a prefix.
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

std::string put_line(const std::string& key, const std::string& value) {
  return R"({"key":)" + json_string(key) + R"(,"value":)" + json_string(value) +
         R"(,"encoding":"utf-8"})" + "\n";
}

class Batch : public ::testing::Test {
 protected:
  Batch() : server_({.memory = "64m", .location_lines = "client_max_body_size 64m;\n"}) {}

  HttpResponse post(const std::string& body, const std::string& type = "application/x-ndjson") {
    return client_.send({.method = "POST",
                         .target = "/v1/kv",
                         .body = body,
                         .headers = {"Content-Type:" + (type.empty() ? "" : " " + type)}});
  }
  uint64_t expect_count(const HttpResponse& response, size_t count) {
    EXPECT_EQ(response.status, 200) << response.body << response.error;
    const auto json = nlohmann::json::parse(response.body, nullptr, false);
    if (!json.is_object()) return 0;
    EXPECT_EQ(json["ok"], true);
    EXPECT_EQ(json["count"], count);
    EXPECT_EQ(json.size(), 3u);
    return json["revision"].get<uint64_t>();
  }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Batch, PutsAndDeletesAreOneRevision) {
  expect_ok(client_.put("/v1/kv/gone", base64_envelope("x")));
  const uint64_t revision = expect_count(
      post(put_line("a", "1") + "\n" + R"({"op":"delete","key":"gone"})" + "\r\n" +
           R"({"op":"put","key":"/wA=","key_encoding":"base64","value":"AP8=","ttl":"1h"})"),
      3);
  EXPECT_EQ(value_in(client_.get("/v1/kv/a")), "1");
  EXPECT_EQ(value_in(client_.get("/v1/kv?key=%ff%00")), std::string("\0\xff", 2));
  expect_problem(client_.get("/v1/kv/gone"), 404, "not-found");
  const HttpResponse next = client_.put("/v1/kv/b", base64_envelope(""));
  EXPECT_EQ(next.header("ETag"), '"' + std::to_string(revision + 1) + '"');
}

TEST_F(Batch, CountsTheKeysThatItChanged) {
  expect_count(post(R"({"op":"delete","key":"absent"})"
                    "\n" +
                    put_line("a", "1")),
               1);
  expect_count(post(R"({"op":"delete","key":"absent"})"), 0);
}

TEST_F(Batch, IsTakenUnderEachTypeOfLines) {
  for (const char* type : {"", "application/x-ndjson", "application/jsonl", "application/ndjson",
                           "application/x-www-form-urlencoded"}) {
    expect_count(post(put_line("a", type), type), 1);
    EXPECT_EQ(value_in(client_.get("/v1/kv/a")), type);
  }
  expect_problem(post(put_line("a", ""), "text/csv"), 415, "unsupported-media-type");
}

TEST_F(Batch, OfWhichOneLineIsWrongChangesNothing) {
  const std::string good = put_line("a", "1");
  expect_problem(post(good + R"({"key":"b","value":)"), 400, "invalid-body", "of line 2");
  expect_problem(post(good + R"({"op":"increment","key":"b"})"), 422, "invalid-operation",
                 "at byte 6 of line 2: unknown op 'increment'");
  expect_problem(post(good + "\n" + put_line("a", "2")), 422, "invalid-operation",
                 "line 3: the key 'a' stands in line 1 already");
  expect_problem(post(good + put_line(std::string(1025, 'k'), "")), 413, "too-large",
                 "line 2: the key has 1025 bytes");
  expect_problem(post(good + R"({"key":"b","value":"","ttl":-1})"), 422, "invalid-operation",
                 "must be more than zero");
  expect_problem(post("\n\n"), 400, "invalid-body", "no line");
  expect_problem(client_.get("/v1/kv/a"), 404, "not-found");
}

TEST_F(Batch, TakesAHundredThousandLines) {
  std::string body;
  constexpr int kLines = 100'000;
  for (int i = 0; i < kLines; i++) body += put_line("key " + std::to_string(i * 7919), "value");
  expect_count(post(body), kLines);
  EXPECT_EQ(value_in(client_.get("/v1/kv?key=key%2079190")), "value");
  server_.stop();
  server_.start();
  EXPECT_EQ(value_in(client_.get("/v1/kv?key=key%20" + std::to_string((kLines - 1) * 7919))),
            "value");
}

// While the lines of one request are worked on, the same worker answers others.
TEST_F(Batch, HoldsNobodyElseUp) {
  std::string body;
  for (int i = 0; i < 200'000; i++) body += put_line("key " + std::to_string(i), "value");
  expect_ok(client_.put("/v1/kv/other", base64_envelope("x")));
  std::atomic<bool> done = false;
  std::thread writer([&] {
    HttpClient own(server_.port());
    EXPECT_EQ(
        own.send({.method = "POST", .target = "/v1/kv", .body = body, .headers = {"Content-Type:"}})
            .status,
        200);
    done = true;
  });
  int answered = 0;
  while (!done) {
    EXPECT_EQ(value_in(client_.get("/v1/kv/other")), "x");
    if (!done) answered++;
  }
  writer.join();
  EXPECT_GT(answered, 20);
}

// A worker that drains does the work that it has begun.
TEST_F(Batch, IsAnsweredAlsoWhenNginxReloadsMeanwhile) {
  std::string body;
  for (int i = 0; i < 100'000; i++) body += put_line("key " + std::to_string(i), "value");
  for (int round = 0; round < 3; round++) {
    std::thread writer([&] {
      HttpClient own(server_.port());
      const HttpResponse response = own.send(
          {.method = "POST", .target = "/v1/kv", .body = body, .headers = {"Content-Type:"}});
      EXPECT_EQ(response.status, 200) << response.body << response.error;
    });
    server_.reload();
    writer.join();
  }
}

TEST_F(Batch, OfAClientThatGoesAwayIsForgotten) {
  std::string body;
  for (int i = 0; i < 100'000; i++) body += put_line("key " + std::to_string(i), "value");
  for (int round = 0; round < 3; round++) {
    RawConnection connection(server_.port());
    ASSERT_TRUE(connection.send("POST /v1/kv HTTP/1.1\r\nHost: x\r\nContent-Length: " +
                                std::to_string(body.size()) + "\r\n\r\n" + body));
    connection.close();
    expect_ok(client_.get("/v1/health"));
  }
}

TEST_F(Batch, DeletesAPrefixAsOneRevision) {
  std::string body;
  for (int i = 0; i < 100; i++) body += put_line("p/" + std::to_string(i), "");
  expect_count(post(body + put_line("p", "") + put_line("p0", "")), 102);
  const uint64_t revision = expect_count(client_.del("/v1/kv?prefix=p/"), 100);
  EXPECT_EQ(client_.get("/v1/kv/p/7").status, 404);
  EXPECT_EQ(client_.get("/v1/kv/p").status, 200);
  EXPECT_EQ(client_.get("/v1/kv/p0").status, 200);
  EXPECT_EQ(expect_count(client_.del("/v1/kv?prefix=p/"), 0), revision);
  expect_count(client_.del("/v1/kv?all=true"), 2);
  EXPECT_EQ(client_.get("/v1/kv/p").status, 404);
}

TEST_F(Batch, DeletesEverythingOnlyWhenThatIsSaid) {
  expect_ok(client_.put("/v1/kv/a", base64_envelope("x")));
  for (const char* query : {"", "?prefix=", "?all=false", "?prefix"}) {
    expect_problem(client_.del(std::string("/v1/kv") + query), 400, "invalid-query", "all=true");
  }
  expect_problem(client_.del("/v1/kv?prefix=a&all=true"), 400, "invalid-query", "not both");
  expect_problem(client_.del("/v1/kv?prefix=" + std::string(1025, 'p')), 413, "too-large",
                 "the prefix has 1025 bytes");
  EXPECT_EQ(client_.get("/v1/kv/a").status, 200);
}

TEST_F(Batch, OfHostileLinesIsRefusedAtOnce) {
  const std::string deep(1'000'000, '[');
  expect_problem(post(deep), 422, "invalid-operation", "must be a JSON object");
  expect_problem(post("{\"key\":" + deep), 422, "invalid-operation", "must be a string");
  expect_problem(post("{\"key\":\"" + std::string(1'000'000, 'k')), 400, "invalid-body");
  expect_problem(post(std::string(30'000'000, ' ')), 413, "too-large", "line 1");
  expect_problem(post("{\"key\":\"\xff\",\"value\":\"\"}"), 400, "invalid-body", "UTF-8");
  expect_problem(post(std::string("\0\0\0", 3)), 400, "invalid-body", "of line 1");
  expect_count(post(std::string(100'000, '\n') + put_line("a", "1")), 1);
}

}  // namespace
}  // namespace small_db::testing
