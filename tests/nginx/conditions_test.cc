// Conditional writes: decided when they commit, so that of many with one ETag exactly one wins.
#include <gtest/gtest.h>

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

class Conditions : public ::testing::Test {
 protected:
  HttpResponse write(const std::string& method, std::vector<std::string> headers,
                     const std::string& value = "") {
    HttpRequest request = {.method = method, .target = "/v1/kv/k", .headers = std::move(headers)};
    if (method != "DELETE") request.body = base64_envelope(value);
    return client_.send(request);
  }
  std::string etag() {
    const HttpResponse response = write("PUT", {}, "some");
    expect_ok(response);
    EXPECT_FALSE(response.header("ETag").empty());
    return response.header("ETag");
  }
  void expect_failed(const HttpResponse& response, const std::string& current) {
    expect_problem(response, 412, "condition-failed",
                   current.empty() ? "the key is absent" : "ETag");
    EXPECT_EQ(response.header("ETag"), current);
  }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(Conditions, EachPutHasALaterETag) {
  const std::string first = etag();
  const std::string second = etag();
  EXPECT_NE(first, second);
  EXPECT_EQ(first.front(), '"');
  EXPECT_LT(std::stoull(first.substr(1)), std::stoull(second.substr(1)));
}

TEST_F(Conditions, IfNoneMatchStarCreatesOnly) {
  expect_ok(write("PUT", {"If-None-Match: *"}, "one"));
  const HttpResponse second = write("PUT", {"If-None-Match: *"}, "two");
  EXPECT_FALSE(second.header("ETag").empty());
  expect_failed(second, second.header("ETag"));
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "one");
  expect_ok(write("DELETE", {}));
  expect_ok(write("PUT", {"If-None-Match: *"}, "three"));
}

TEST_F(Conditions, IfMatchChangesThisRevisionOnly) {
  const std::string current = etag();
  expect_failed(write("PUT", {R"(If-Match: "77777", "abc")"}), current);
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "some");
  const HttpResponse changed = write("PUT", {"If-Match: \"77777\", " + current}, "changed");
  expect_ok(changed);
  EXPECT_EQ(value_in(client_.get("/v1/kv/k")), "changed");
  expect_failed(write("PUT", {"If-Match: " + current}), changed.header("ETag"));
  expect_ok(write("PUT", {"If-Match: *"}));
}

TEST_F(Conditions, OfAnAbsentKeySaySo) {
  expect_failed(write("PUT", {"If-Match: *"}), "");
  expect_failed(write("PUT", {R"(If-Match: "5")"}), "");
  expect_failed(write("DELETE", {"If-Match: *"}), "");
  expect_ok(write("DELETE", {"If-None-Match: *"}));
  expect_ok(write("PUT", {R"(If-None-Match: "5")"}));
}

TEST_F(Conditions, HoldForDeleteToo) {
  const std::string current = etag();
  expect_failed(write("DELETE", {R"(If-Match: "77777")"}), current);
  expect_failed(write("DELETE", {"If-None-Match: " + current}), current);
  expect_ok(write("DELETE", {"If-Match: " + current}));
  expect_problem(client_.get("/v1/kv/k"), 404, "not-found");
}

TEST_F(Conditions, AWeakTagNeverMatchesInIfMatchAndIsToldSo) {
  const std::string current = etag();
  const HttpResponse response = write("PUT", {"If-Match: W/" + current});
  expect_failed(response, current);
  EXPECT_NE(response.body.find("a weak tag (W/) never matches"), std::string::npos);
  expect_failed(write("PUT", {"If-None-Match: W/" + current}), current);
}

TEST_F(Conditions, MalformedOnesAreRefused) {
  for (const char* header :
       {"If-Match: 5", "If-None-Match: \"5", "If-Match: *, *", "If-Match: ,"}) {
    expect_problem(write("PUT", {header}), 400, "invalid-header", "at byte");
  }
  expect_problem(client_.get("/v1/kv/k"), 404, "not-found");
}

TEST_F(Conditions, OfTimeAreIgnoredForThereIsNoLastModified) {
  etag();
  expect_ok(write("PUT", {"If-Unmodified-Since: Thu, 01 Jan 1970 00:00:00 GMT"}));
  expect_ok(write("PUT", {"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"}));
}

TEST_F(Conditions, OfManyKeysAreRefused) {
  const auto send = [&](const char* method, const char* target) {
    return client_.send({.method = method,
                         .target = target,
                         .body = "{\"key\":\"a\",\"value\":\"\"}",
                         .headers = {"If-Match: *", "Content-Type:"}});
  };
  expect_problem(send("POST", "/v1/kv"), 400, "invalid-header", "one key");
  expect_problem(send("DELETE", "/v1/kv?prefix=a"), 400, "invalid-header");
  expect_problem(send("POST", "/v1/txn"), 400, "invalid-header");
}

// Each of `threads` writers tries to replace what it read, again and again, until it has won
// `wins` times. Were one update lost, the sum would be less.
void race(int port, HttpVersion version, int threads, int wins) {
  HttpClient first(port);
  expect_ok(
      first.send({.method = "PUT", .target = "/v1/kv/race?raw", .body = "0", .version = version}));
  std::atomic<int> won = 0;
  std::atomic<int> lost = 0;
  std::vector<std::thread> writers;
  for (int i = 0; i < threads; i++) {
    writers.emplace_back([&] {
      HttpClient client(port);
      std::string tag;
      std::string value;
      for (int done = 0; done < wins;) {
        if (tag.empty()) {
          // A put that can't succeed tells the tag; the value that belongs to it is read between
          // two equal tags.
          const auto probe = [&] {
            return client.send({.method = "DELETE",
                                .target = "/v1/kv/race",
                                .headers = {R"(If-Match: "0")"},
                                .version = version});
          };
          tag = probe().header("ETag");
          value = value_in(client.send({.target = "/v1/kv/race", .version = version}));
          if (probe().header("ETag") != tag) {
            tag.clear();
            continue;
          }
        }
        const HttpResponse response = client.send({.method = "PUT",
                                                   .target = "/v1/kv/race?raw",
                                                   .body = std::to_string(std::stoi(value) + 1),
                                                   .headers = {"If-Match: " + tag},
                                                   .version = version});
        tag.clear();
        if (response.status == 200) {
          done++;
          won++;
        } else {
          ASSERT_EQ(response.status, 412) << response.body << response.error;
          lost++;
        }
      }
    });
  }
  for (std::thread& writer : writers) writer.join();
  EXPECT_EQ(value_in(first.send({.target = "/v1/kv/race", .version = version})),
            std::to_string(threads * wins));
  EXPECT_EQ(won, threads * wins);
}

TEST(ConditionRaces, NoUpdateIsLost) {
  NginxServer server({.workers = 2});
  server.start();
  race(server.port(), HttpVersion::k1_1, 4, 25);
  race(server.http2_port(), HttpVersion::k2PriorKnowledge, 4, 25);
}

TEST(ConditionRaces, OfManyWithOneETagExactlyOneWins) {
  NginxServer server({.workers = 2});
  server.start();
  for (const HttpVersion version : {HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    const int port = version == HttpVersion::k1_1 ? server.port() : server.http2_port();
    HttpClient client(port);
    for (int round = 0; round < 20; round++) {
      const HttpResponse base = client.send(
          {.method = "PUT", .target = "/v1/kv/k?raw", .body = "base", .version = version});
      ASSERT_EQ(base.status, 200);
      std::atomic<int> won = 0;
      std::vector<std::thread> writers;
      for (int i = 0; i < 6; i++) {
        writers.emplace_back([&] {
          HttpClient own(port);
          const HttpResponse response = own.send({.method = "PUT",
                                                  .target = "/v1/kv/k?raw",
                                                  .body = "new",
                                                  .headers = {"If-Match: " + base.header("ETag")},
                                                  .version = version});
          EXPECT_TRUE(response.status == 200 || response.status == 412) << response.body;
          if (response.status == 200) won++;
        });
      }
      for (std::thread& writer : writers) writer.join();
      EXPECT_EQ(won, 1);
    }
  }
}

}  // namespace
}  // namespace small_db::testing
