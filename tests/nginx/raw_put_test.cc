// Values that are sent as they are, and the bodies that are not.
#include <gtest/gtest.h>

#include <curl/curl.h>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

int port_of_started(NginxServer& server) {
  server.start();
  return server.port();
}

std::string bytes_of(size_t size) {
  std::string bytes(size, '\0');
  for (size_t i = 0; i < size; i++) bytes[i] = static_cast<char>(i * 31 + i / 251);
  return bytes;
}

class RawPut : public ::testing::Test {
 protected:
  HttpResponse put(const std::string& target, const std::string& body,
                   const std::string& content_type = "", bool chunked = false) {
    HttpRequest request = {.method = "PUT", .target = target, .body = body, .chunked = chunked};
    request.headers.push_back("Content-Type:" + (content_type.empty() ? "" : " " + content_type));
    return client_.send(request);
  }
  std::string stored(const std::string& target) { return value_in(client_.get(target)); }

  NginxServer server_;
  HttpClient client_{port_of_started(server_)};
};

TEST_F(RawPut, TakesAnyBytesInEveryFormOfABody) {
  for (const size_t size : {0u, 1u, 100u, 16'383u, 16'385u, 40'000u, 1'048'576u}) {
    for (const bool chunked : {false, true}) {
      const std::string value = bytes_of(size);
      expect_ok(put("/v1/kv/k?raw", value, "", chunked));
      EXPECT_TRUE(stored("/v1/kv/k") == value) << size << (chunked ? " chunked" : "");
      expect_ok(client_.del("/v1/kv/k"));
    }
  }
}

TEST_F(RawPut, TakesAnyBytesOverHttp2) {
  HttpClient client(server_.http2_port());
  for (const size_t size : {0u, 1000u, 70'000u}) {
    expect_ok(client.send({.method = "PUT",
                           .target = "/v1/kv/k?raw",
                           .body = bytes_of(size),
                           .version = HttpVersion::k2PriorKnowledge}));
    EXPECT_TRUE(stored("/v1/kv/k") == bytes_of(size)) << size;
  }
}

TEST_F(RawPut, IsWhatAnotherContentTypeThanJsonMeans) {
  for (const char* type : {"text/plain", "application/octet-stream", "image/png; x=y"}) {
    expect_ok(put("/v1/kv/k", R"({"value":""})", type));
    EXPECT_EQ(stored("/v1/kv/k"), R"({"value":""})") << type;
  }
  for (const char* type : {"", "application/json", "application/x-www-form-urlencoded"}) {
    expect_ok(put("/v1/kv/k", R"({"value":"QQ=="})", type));
    EXPECT_EQ(stored("/v1/kv/k"), "A") << type;
    expect_ok(put("/v1/kv/k?raw", R"({"value":"QQ=="})", type));
    EXPECT_EQ(stored("/v1/kv/k"), R"({"value":"QQ=="})") << type;
  }
  expect_ok(put("/v1/kv/k?raw=false", R"({"value":"QQ=="})", "text/plain"));
  EXPECT_EQ(stored("/v1/kv/k"), "A");
}

TEST_F(RawPut, RefusesWhatIsNeither) {
  expect_problem(put("/v1/kv/k", "x", "multipart/form-data; boundary=x"), 415,
                 "unsupported-media-type", "?raw takes any");
  const HttpResponse part = client_.send({.method = "PUT",
                                          .target = "/v1/kv/k?raw",
                                          .body = "x",
                                          .headers = {"Content-Range: bytes 0-0/5"}});
  expect_problem(part, 400, "invalid-header", "Content-Range");
  expect_problem(client_.get("/v1/kv/k"), 404, "not-found");
}

TEST_F(RawPut, NamesTheLimit) {
  const std::string too_long(1'048'577, 'x');
  const HttpResponse early = put("/v1/kv/k?raw", too_long);
  expect_problem(early, 413, "too-large", "1048577 bytes, the limit max_value_size is 1048576");
  NginxServer server({.location_lines = "client_max_body_size 3m;\n"});
  server.start();
  HttpClient client(server.port());
  expect_problem(
      client.send({.method = "PUT", .target = "/v1/kv/k?raw", .body = too_long, .chunked = true}),
      413, "too-large", "the value has 1048577 bytes");
  expect_problem(client.get("/v1/kv/k"), 404, "not-found");
}

TEST_F(RawPut, KeepsItsValueOverARestart) {
  const std::string value = bytes_of(200'000);
  expect_ok(put("/v1/kv/k?raw&ttl=1d", value));
  server_.stop();
  server_.start();
  EXPECT_TRUE(stored("/v1/kv/k") == value);
}

}  // namespace
}  // namespace small_db::testing
