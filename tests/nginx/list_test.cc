// Lists and counts of keys, through pages, over a table that is written to meanwhile.
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <map>
#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

using nlohmann::json;

json json_in(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body << response.error;
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  json body = json::parse(response.body, nullptr, false);
  EXPECT_TRUE(body.is_object()) << response.body.substr(0, 200);
  return body;
}

std::vector<std::string> keys_of(const json& page) {
  std::vector<std::string> keys;
  for (const json& item : page["items"]) keys.push_back(item["key"]);
  return keys;
}

using Names = std::vector<std::string>;

class List : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.start();
    client_ = std::make_unique<HttpClient>(server_.port());
  }
  void put(const std::string& key, const std::string& value = "v") {
    expect_ok(client_->put("/v1/kv?key=" + percent_encoded(key), base64_envelope(value)));
  }
  void put_all(const Names& keys) {
    for (const std::string& key : keys) put(key, "value of " + key);
  }
  json list(const std::string& args = "") {
    return json_in(client_->get("/v1/kv" + (args.empty() ? "" : "?" + args)));
  }
  // All pages, one behind another: the keys and the prefixes in the order in which they came.
  Names list_all(const std::string& args) {
    Names names;
    std::string cursor;
    do {
      const json page = list(args + cursor);
      for (const json& item : page["items"]) names.push_back(item["key"]);
      for (const json& prefix : page["prefixes"]) names.push_back(prefix);
      cursor = page.contains("cursor") ? "&cursor=" + page["cursor"].get<std::string>() : "";
    } while (!cursor.empty());
    return names;
  }
  NginxServer server_{{.memory = "64m",
                       .server_lines = "location /gzip/ { small_db main; gzip on;\n"
                                       " gzip_min_length 1; gzip_types application/json; }\n"}};
  std::unique_ptr<HttpClient> client_;
};

TEST_F(List, AnEmptyStoreHasNothing) {
  EXPECT_EQ(client_->get("/v1/kv").body, R"({"revision":0,"items":[],"prefixes":[]})");
  EXPECT_EQ(client_->get("/v1/kv?count=true").body, R"({"revision":0,"count":0})");
}

TEST_F(List, TellsEachKeyWithItsRevisionAndSize) {
  put("b", "hello");
  put("a", "");
  put("b", "hello!");
  EXPECT_EQ(client_->get("/v1/kv").body,
            R"({"revision":3,"items":[{"key":"a","revision":2,"size":0},)"
            R"({"key":"b","revision":3,"size":6}],"prefixes":[]})");
  EXPECT_EQ(client_->get("/v1/kv?values").body,
            R"({"revision":3,"items":[{"key":"a","revision":2,"size":0,"value":"",)"
            R"("encoding":"base64"},{"key":"b","revision":3,"size":6,"value":"aGVsbG8h",)"
            R"("encoding":"base64"}],"prefixes":[]})");
  EXPECT_EQ(list("values=true&encoding=utf-8")["items"][1]["value"], "hello!");
}

TEST_F(List, ShowsAValueThatIsNoTextAsBase64) {
  put("k", "\xff");
  const json item = list("values=true&encoding=utf-8")["items"][0];
  EXPECT_EQ(item["value"], "/w==");
  EXPECT_EQ(item["encoding"], "base64");
}

TEST_F(List, IsInByteOrderBothWays) {
  Names keys = {"a", "a!", "aa", "b", "\xc3\xa4", "Z", "a/b", "0"};
  put_all(keys);
  std::sort(keys.begin(), keys.end(), [](const std::string& left, const std::string& right) {
    return std::lexicographical_compare(
        left.begin(), left.end(), right.begin(), right.end(),
        [](char a, char b) { return static_cast<uint8_t>(a) < static_cast<uint8_t>(b); });
  });
  EXPECT_EQ(keys_of(list()), keys);
  std::reverse(keys.begin(), keys.end());
  EXPECT_EQ(keys_of(list("reverse")), keys);
}

TEST_F(List, ShowsKeysThatAreNoTextAsBase64) {
  put(std::string("a\0\xff", 3));
  const json item = list()["items"][0];
  EXPECT_EQ(item["key"], "YQD/");
  EXPECT_EQ(item["key_encoding"], "base64");
  const json grouped = list("delimiter=%ff");
  EXPECT_EQ(grouped["prefixes"][0]["prefix"], "YQD/");
  EXPECT_EQ(grouped["prefixes"][0]["prefix_encoding"], "base64");
}

TEST_F(List, IsBoundedByPrefixStartAndEnd) {
  put_all({"a", "a/1", "a/2", "a/3", "a0", "b"});
  EXPECT_EQ(keys_of(list("prefix=a/")), (Names{"a/1", "a/2", "a/3"}));
  EXPECT_EQ(keys_of(list("prefix=a%2F&start=a/2")), (Names{"a/2", "a/3"}));
  EXPECT_EQ(keys_of(list("start=a/2&end=b")), (Names{"a/2", "a/3", "a0"}));
  EXPECT_EQ(keys_of(list("start=a/2&end=b&reverse=1")), (Names{"a0", "a/3", "a/2"}));
  EXPECT_EQ(keys_of(list("prefix=a/&start=0&end=z")), (Names{"a/1", "a/2", "a/3"}));
  EXPECT_EQ(keys_of(list("prefix=a/&start=b")), Names{});
  EXPECT_EQ(keys_of(list("start=b&end=a")), Names{});
  EXPECT_EQ(keys_of(list("prefix=a/&end=")), (Names{"a/1", "a/2", "a/3"}));
}

TEST_F(List, CountsWhatItWouldList) {
  put_all({"a", "a/1", "a/2", "a/3", "a0", "b"});
  const std::pair<const char*, int> rows[] = {
      {"", 6},           {"&prefix=a/", 3},     {"&prefix=a", 5},
      {"&start=a/2", 4}, {"&end=a/2", 2},       {"&start=a/2&end=a0", 2},
      {"&prefix=x", 0},  {"&start=b&end=a", 0}, {"&prefix=a/&start=a/3&end=zzz", 1}};
  for (const auto& [args, count] : rows) {
    const json body = list(std::string("count=true") + args);
    EXPECT_EQ(body["count"], count) << args;
    EXPECT_EQ(body["revision"], 6);
  }
  const HttpResponse head = client_->send({.method = "HEAD", .target = "/v1/kv?count"});
  EXPECT_EQ(head.header("Content-Length"),
            std::to_string(std::string(R"({"revision":6,"count":6})").size()));
}

TEST_F(List, GoesOnByItsCursor) {
  Names keys;
  for (int i = 100; i < 125; i++) keys.push_back("k" + std::to_string(i));
  put_all(keys);
  for (const int limit : {1, 2, 7, 24, 25, 26}) {
    const std::string args = "limit=" + std::to_string(limit);
    EXPECT_EQ(list_all(args), keys) << limit;
    EXPECT_EQ(list(args).contains("cursor"), limit < 25);
    Names reversed(keys.rbegin(), keys.rend());
    EXPECT_EQ(list_all("reverse&" + args), reversed) << limit;
  }
  EXPECT_EQ(list_all("limit=3&start=k110&end=k120"), Names(keys.begin() + 10, keys.begin() + 20));
}

TEST_F(List, GroupsByADelimiter) {
  put_all({"a", "a/", "a/b", "a/b/c", "a/d/e", "a/d/f", "b//x", "c"});
  json page = list("delimiter=/");
  EXPECT_EQ(keys_of(page), (Names{"a", "c"}));
  EXPECT_EQ(page["prefixes"], (Names{"a/", "b/"}));
  page = list("delimiter=/&prefix=a/");
  EXPECT_EQ(keys_of(page), (Names{"a/", "a/b"}));
  EXPECT_EQ(page["prefixes"], (Names{"a/b/", "a/d/"}));
  page = list("delimiter=//");
  EXPECT_EQ(page["prefixes"], (Names{"b//"}));
  const Names all = {"a", "a/", "b/", "c"};
  EXPECT_EQ(list_all("delimiter=/&limit=1"), all);
  EXPECT_EQ(list_all("delimiter=/&limit=1&reverse"), Names(all.rbegin(), all.rend()));
  // What lies before the start does not bring its prefix in.
  EXPECT_EQ(list("delimiter=/&start=a/z")["prefixes"], (Names{"b/"}));
  EXPECT_EQ(list("delimiter=/&start=a/b")["prefixes"], (Names{"a/", "b/"}));
}

TEST_F(List, RefusesWhatItDoesNotUnderstand) {
  put_all({"a", "b", "c"});
  for (const char* limit : {"0", "1001", "-1", "x", "1x", "", "99999999999999999999", "+5"}) {
    expect_problem(client_->get(std::string("/v1/kv?limit=") + limit), 400, "invalid-query",
                   "from 1 to 1000");
  }
  const std::string cursor = list("limit=1")["cursor"];
  EXPECT_EQ(keys_of(list("cursor=" + cursor)), (Names{"b", "c"}));
  EXPECT_EQ(keys_of(list("values&limit=9&cursor=" + cursor)), (Names{"b", "c"}));
  std::string damaged = cursor;
  damaged.back() = damaged.back() == 'A' ? 'B' : 'A';
  for (const std::string& args :
       {"cursor=" + damaged, "prefix=a&cursor=" + cursor, "reverse&cursor=" + cursor,
        "delimiter=/&cursor=" + cursor, "start=b&cursor=" + cursor, std::string("cursor="),
        std::string("cursor=AQ"), std::string("cursor=%ff")}) {
    expect_problem(client_->get("/v1/kv?" + args), 400, "invalid-query", "'cursor'");
  }
  expect_problem(client_->get("/v1/kv?encoding=utf-8"), 400, "invalid-query", "values=true");
  expect_problem(client_->get("/v1/kv?values&encoding=x"), 400, "invalid-query", "'x'");
  expect_problem(client_->get("/v1/kv?count&limit=5"), 400, "invalid-query", "'limit'");
  expect_problem(client_->get("/v1/kv?raw"), 400, "invalid-query", "'raw'");
  expect_problem(client_->get("/v1/kv?all=true"), 400, "invalid-query", "'all'");
  expect_problem(client_->get("/v1/kv/a?prefix=b"), 400, "invalid-query", "'prefix'");
}

TEST_F(List, HeadTellsTheLength) {
  put_all({"a", "b"});
  const HttpResponse get = client_->get("/v1/kv");
  const HttpResponse head = client_->send({.method = "HEAD", .target = "/v1/kv"});
  EXPECT_EQ(head.status, 200);
  EXPECT_EQ(head.body, "");
  EXPECT_EQ(head.header("Content-Length"), std::to_string(get.body.size()));
}

TEST_F(List, APageIsBoundedByItsLength) {
  const std::string value(1000 * 1000, 'x');
  Names keys;
  for (int i = 10; i < 22; i++) keys.push_back("k" + std::to_string(i));
  for (const std::string& key : keys) put(key, value);
  const json page = list("values");
  EXPECT_EQ(page["items"].size(), 6u);  // of 4/3 MB each, within 8 MiB
  EXPECT_TRUE(page.contains("cursor"));
  EXPECT_EQ(list_all("values"), keys);
  EXPECT_EQ(list()["items"].size(), 12u);
}

TEST_F(List, WorksCompressedAndOverHttp2) {
  for (int i = 0; i < 300; i++) put("k" + std::to_string(1000 + i));
  HttpClient client(server_.http2_port());
  const HttpResponse plain = client_->get("/v1/kv?limit=1000");
  const HttpResponse second =
      client.send({.target = "/v1/kv?limit=1000", .version = HttpVersion::k2PriorKnowledge});
  EXPECT_TRUE(second.body == plain.body);
  const HttpResponse zipped =
      client_->send({.target = "/gzip/kv?limit=1000", .headers = {"Accept-Encoding: gzip"}});
  EXPECT_EQ(zipped.header("Content-Encoding"), "gzip");
  EXPECT_LT(zipped.body.size(), plain.body.size() / 4);
}

// A page of long values takes many slices: who goes away meanwhile leaves nothing behind.
TEST_F(List, EndsWhenItsClientGoesAway) {
  const std::string value(1000 * 1000, 'x');
  for (int i = 10; i < 20; i++) put("k" + std::to_string(i), value);
  for (int i = 0; i < 40; i++) {
    RawConnection connection(server_.port());
    connection.send("GET /v1/kv?values HTTP/1.1\r\nHost: h\r\n\r\n");
    if (i % 2 == 0) continue;
    connection.receive_until("HTTP/1.1 200");
  }
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::seconds(20);
  const auto held = [&] { return json_in(client_->get("/v1/status"))["pins"]["held"].get<int>(); };
  while (held() != 0 && std::chrono::steady_clock::now() < deadline) std::this_thread::yield();
  EXPECT_EQ(held(), 0);
  EXPECT_EQ(list()["items"].size(), 10u);
}

// Others are served while many such pages are made, and too many of them are refused.
TEST_F(List, LetsOthersThrough) {
  const std::string value(1000 * 1000, 'x');
  for (int i = 10; i < 20; i++) put("k" + std::to_string(i), value);
  std::vector<std::thread> readers;
  std::atomic<int> answered = 0;
  std::atomic<int> refused = 0;
  for (int i = 0; i < 24; i++) {
    readers.emplace_back([&] {
      HttpClient client(server_.port());
      const HttpResponse response = client.get("/v1/kv?values");
      if (response.status == 503) {
        expect_problem(response, 503, "overloaded");
        refused++;
      } else {
        EXPECT_EQ(json_in(response)["items"].size(), 6u);
        answered++;
      }
    });
  }
  for (int i = 0; i < 50; i++) EXPECT_EQ(client_->get("/v1/kv/k10?raw").body.size(), 1'000'000u);
  for (std::thread& reader : readers) reader.join();
  EXPECT_GE(answered, 16);
  EXPECT_EQ(answered + refused, 24);
}

// Keys that are there throughout are each listed once, whatever is written between two pages.
TEST_F(List, NeitherRepeatsNorSkipsWhileOthersWrite) {
  Names stay;
  for (int i = 0; i < 400; i++) stay.push_back("s" + std::to_string(10000 + 2 * i));
  put_all(stay);
  std::atomic<bool> stop = false;
  std::thread writer([&] {
    HttpClient client(server_.port());
    for (int i = 0; !stop; i++) {
      const std::string target = "/v1/kv/s" + std::to_string(10001 + 2 * (i * 37 % 400));
      expect_ok(client.put(target, base64_envelope("coming and going")));
      expect_ok(client.put("/v1/kv/" + stay[static_cast<size_t>(i) % stay.size()],
                           base64_envelope("changed")));
      expect_ok(client.del(target));
    }
  });
  for (const char* args : {"limit=7", "limit=13&reverse", "limit=50&prefix=s1"}) {
    std::map<std::string, int> seen;
    for (const std::string& key : list_all(args)) seen[key]++;
    for (const std::string& key : stay) EXPECT_EQ(seen[key], 1) << key << " " << args;
    for (const auto& [key, times] : seen) EXPECT_EQ(times, 1) << key << " " << args;
  }
  stop = true;
  writer.join();
}

TEST_F(List, APageIsOfOneRevision) {
  std::atomic<bool> stop = false;
  put_all({"x1", "x2"});
  std::thread writer([&] {
    HttpClient client(server_.port());
    for (int i = 0; !stop; i++) {
      expect_ok(client.put("/v1/kv/x1", base64_envelope(std::to_string(i))));
      expect_ok(client.put("/v1/kv/x2", base64_envelope(std::to_string(i))));
    }
  });
  for (int i = 0; i < 200; i++) {
    const json page = list("prefix=x");
    const uint64_t first = page["items"][0]["revision"];
    const uint64_t second = page["items"][1]["revision"];
    EXPECT_EQ(std::max(first, second), page["revision"]);
    EXPECT_EQ(std::max(first, second) - std::min(first, second), 1u);
  }
  stop = true;
  writer.join();
}

}  // namespace
}  // namespace small_db::testing
