// Keys: every byte, every length, both forms; and no two that alias.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

std::string by_parameter(std::string_view key) { return "/v1/kv?key=" + percent_encoded(key); }
std::string by_path(std::string_view key) { return "/v1/kv/" + percent_encoded(key); }

TEST(Keys, EveryByteIsAKeyByParameter) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  for (int byte = 0; byte < 256; byte++) {
    const std::string key(1, static_cast<char>(byte));
    expect_ok(client.put(by_parameter(key), base64_envelope("value " + std::to_string(byte))));
  }
  for (int byte = 0; byte < 256; byte++) {
    const std::string key(1, static_cast<char>(byte));
    EXPECT_EQ(value_in(client.get(by_parameter(key))), "value " + std::to_string(byte));
  }
}

TEST(Keys, EveryByteButNulStandsInAPathAndIsTheSameKey) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  for (int byte = 1; byte < 256; byte++) {
    const std::string key = std::string("a") + static_cast<char>(byte) + "b";
    expect_ok(client.put(by_path(key), base64_envelope("value " + std::to_string(byte))));
  }
  for (int byte = 1; byte < 256; byte++) {
    const std::string key = std::string("a") + static_cast<char>(byte) + "b";
    EXPECT_EQ(value_in(client.get(by_parameter(key))), "value " + std::to_string(byte));
    EXPECT_EQ(value_in(client.get(by_path(key))), "value " + std::to_string(byte));
  }
}

TEST(Keys, AnswersShowTheKey) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/a%22%0a%C3%a4", base64_envelope("A")));
  EXPECT_EQ(client.get("/v1/kv/a%22%0a%C3%a4").body,
            "{\"key\":\"a\\\"\\n\xc3\xa4\",\"value\":\"QQ==\",\"encoding\":\"base64\"}");
  expect_ok(client.put("/v1/kv/%ff%fe", base64_envelope("A")));
  EXPECT_EQ(client.get("/v1/kv/%ff%fe").body,
            R"({"key":"//4=","key_encoding":"base64","value":"QQ==","encoding":"base64"})");
}

TEST(Keys, SlashAndItsEncodingAreTheSameByteAndPlusIsAPlus) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/a/b+c", base64_envelope("one")));
  for (const char* target : {"/v1/kv/a%2Fb+c", "/v1/kv/a%2fb%2Bc", "/v1/kv?key=a/b+c",
                             "/v1/kv?key=%61%2Fb%2bc", "/v1/k%76/a/b+c"}) {
    EXPECT_EQ(value_in(client.get(target)), "one") << target;
  }
  EXPECT_EQ(client.get("/v1/kv/a/b%20c").status, 404);
  EXPECT_EQ(client.get("/v1/kv/a%252Fb+c").status, 404);
}

TEST(Keys, HostileKeysStayApart) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  const std::string keys[] = {"..",
                              ".",
                              "/",
                              "//",
                              "a/../b",
                              "b",
                              "a//b",
                              "a/b",
                              "a",
                              std::string("a\0b", 3),
                              "a/",
                              "/a",
                              "a%2Fb",
                              "a b",
                              "a+b",
                              "a\n",
                              "A",
                              "\xff",
                              "\xc3",
                              "?x=y",
                              "#",
                              "&key=",
                              "=",
                              "kv/a",
                              "a/.",
                              std::string("\0", 1),
                              std::string("a\0", 2),
                              "a/..",
                              std::string("\0\0", 2)};
  for (const std::string& key : keys) {
    expect_ok(client.put(by_parameter(key), base64_envelope("<" + key + ">")));
  }
  for (const std::string& key : keys) {
    EXPECT_EQ(value_in(client.get(by_parameter(key))), "<" + key + ">") << percent_encoded(key);
  }
}

TEST(Keys, HaveOneByteUpToTheLimit) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  for (const size_t length : {size_t{1}, size_t{2}, size_t{255}, size_t{256}, size_t{1024}}) {
    const std::string key(length, 'k');
    expect_ok(client.put("/v1/kv/" + key, base64_envelope(std::to_string(length))));
    EXPECT_EQ(value_in(client.get(by_parameter(key))), std::to_string(length));
  }
  const std::string too_long(1025, 'k');
  for (const std::string& target : {"/v1/kv/" + too_long, by_parameter(too_long)}) {
    expect_problem(client.put(target, base64_envelope("x")), 413, "too-large",
                   "the key has 1025 bytes, the limit max_key_size is 1024");
  }
}

TEST(Keys, MayBe32KiBLongWhenRaised) {
  NginxServer server({.store_lines = "max_key_size 32k;\n",
                      .http_lines = "large_client_header_buffers 4 128k;\n"});
  server.start();
  HttpClient client(server.port());
  const std::string key(32 * 1024, '\xfe');
  std::string neighbour = key;
  neighbour.back() = '\xff';
  expect_ok(client.put(by_parameter(key), base64_envelope("one")));
  expect_ok(client.put(by_path(neighbour), base64_envelope("two")));
  EXPECT_EQ(value_in(client.get(by_path(key))), "one");
  EXPECT_EQ(value_in(client.get(by_parameter(neighbour))), "two");
  expect_problem(client.get(by_parameter(key + "x")), 413, "too-large", "32769 bytes");
  server.stop();
  server.start();
  EXPECT_EQ(value_in(client.get(by_path(key))), "one");
}

TEST(Keys, SlashesMayBeKeptByNginx) {
  NginxServer server({.server_lines = "merge_slashes off;\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/a//b", base64_envelope("two slashes")));
  EXPECT_EQ(value_in(client.get("/v1/kv?key=a//b")), "two slashes");
  EXPECT_EQ(client.get("/v1/kv/a/b").status, 404);
}

}  // namespace
}  // namespace small_db::testing
