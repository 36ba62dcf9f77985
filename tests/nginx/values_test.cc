// Values of every size, and the ways in which a body can arrive.
#include <gtest/gtest.h>

#include <random>

#include <curl/curl.h>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

std::string random_bytes(size_t size) {
  std::minstd_rand random(static_cast<unsigned>(size) + 1);
  std::string bytes(size, '\0');
  for (char& byte : bytes) byte = static_cast<char>(random() >> 7);
  return bytes;
}

constexpr size_t kKi = 1024;

const std::vector<size_t>& usual_sizes() {
  static const std::vector<size_t> sizes = {0,
                                            1,
                                            2,
                                            3,
                                            100,
                                            4096,
                                            16 * kKi - 1,
                                            16 * kKi,
                                            16 * kKi + 1,
                                            32 * kKi - 1,
                                            32 * kKi,
                                            32 * kKi + 1,
                                            100 * kKi,
                                            1024 * kKi};
  return sizes;
}

void put_and_get_all(const NginxServer& server, const HttpRequest& pattern, int port = 0) {
  HttpClient client(port == 0 ? server.port() : port);
  for (const size_t size : usual_sizes()) {
    HttpRequest put = pattern;
    put.method = "PUT";
    put.target = "/v1/kv/size-" + std::to_string(size);
    put.body = base64_envelope(random_bytes(size));
    expect_ok(client.send(put));
  }
  HttpClient reader(server.port());
  for (const size_t size : usual_sizes()) {
    EXPECT_TRUE(value_in(reader.get("/v1/kv/size-" + std::to_string(size))) == random_bytes(size))
        << size;
  }
}

TEST(Values, OfEverySizeComeBackAndSurviveARestart) {
  NginxServer server;
  server.start();
  put_and_get_all(server, {});
  server.stop();
  server.start();
  HttpClient client(server.port());
  for (const size_t size : usual_sizes()) {
    EXPECT_TRUE(value_in(client.get("/v1/kv/size-" + std::to_string(size))) == random_bytes(size))
        << size;
  }
}

TEST(Values, MayHave64MiBWhenRaised) {
  NginxServer server({.memory = "256m", .store_lines = "max_value_size 64m;\n"});
  server.start();
  HttpClient client(server.port());
  const std::string value = random_bytes(64 * kKi * kKi);
  expect_ok(client.put("/v1/kv/big", base64_envelope(value)));
  EXPECT_TRUE(value_in(client.get("/v1/kv/big")) == value);
  expect_problem(client.put("/v1/kv/big", base64_envelope(value + "x")), 413, "too-large",
                 "the value has 67108865 bytes, the limit max_value_size is 67108864");
  server.stop();
  server.start();
  EXPECT_TRUE(value_in(client.get("/v1/kv/big")) == value);
}

TEST(Values, BeyondTheLimitAreRefusedAndNamed) {
  NginxServer server({.store_lines = "max_value_size 1000;\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope(random_bytes(1000))));
  expect_problem(client.put("/v1/kv/k", base64_envelope(random_bytes(1001))), 413, "too-large",
                 "the value has 1001 bytes, the limit max_value_size is 1000");
  expect_problem(client.put("/v1/kv/k", base64_envelope(random_bytes(1'000'000))), 413, "too-large",
                 "max_value_size is 1000");
  expect_problem(client.send({.method = "PUT",
                              .target = "/v1/kv/k",
                              .body = base64_envelope(random_bytes(100'000)),
                              .chunked = true}),
                 413, "too-large", "max_value_size is 1000");
  EXPECT_TRUE(value_in(client.get("/v1/kv/k")) == random_bytes(1000));
}

TEST(Bodies, MayComeInChunks) {
  NginxServer server;
  server.start();
  put_and_get_all(server, {.chunked = true});
}

TEST(Bodies, MayWaitForTheContinueAnswer) {
  NginxServer server;
  server.start();
  put_and_get_all(server, {.headers = {"Expect: 100-continue"}});
}

TEST(Bodies, MayComeByHttp10) {
  NginxServer server;
  server.start();
  put_and_get_all(server, {.version = HttpVersion::k1_0});
}

TEST(Bodies, MayComeByHttp2) {
  NginxServer server;
  server.start();
  put_and_get_all(server, {.version = HttpVersion::k2PriorKnowledge}, server.http2_port());
  HttpClient client(server.http2_port());
  const HttpResponse response =
      client.send({.target = "/v1/kv/size-1", .version = HttpVersion::k2PriorKnowledge});
  EXPECT_EQ(response.version, CURL_HTTP_VERSION_2);
  EXPECT_EQ(value_in(response), random_bytes(1));
  expect_problem(client.send({.method = "PUT",
                              .target = "/v1/kv/k",
                              .body = "{",
                              .version = HttpVersion::k2PriorKnowledge}),
                 400, "invalid-body", "at byte 1");
}

TEST(Bodies, MayComeByHttp2WithoutALength) {
  NginxServer server;
  server.start();
  HttpClient client(server.http2_port());
  for (const size_t size : {size_t{10}, size_t{100'000}}) {
    // libcurl sends no length where it does not know one.
    expect_ok(client.send({.method = "PUT",
                           .target = "/v1/kv/k",
                           .body = base64_envelope(random_bytes(size)),
                           .chunked = true,
                           .version = HttpVersion::k2PriorKnowledge}));
    EXPECT_TRUE(value_in(HttpClient(server.port()).get("/v1/kv/k")) == random_bytes(size));
  }
}

TEST(Bodies, MayBeSpooledToAFile) {
  for (const char* lines :
       {"client_body_in_file_only on;\n", "client_body_in_file_only clean;\n",
        "client_body_buffer_size 1k;\n", "client_body_buffer_size 4m;\n",
        "client_body_in_single_buffer on;\n", "client_body_buffer_size 100;\n"}) {
    SCOPED_TRACE(lines);
    NginxServer server({.location_lines = lines});
    server.start();
    put_and_get_all(server, {});
    put_and_get_all(server, {.chunked = true});
  }
}

TEST(Bodies, MayComeByteByByte) {
  NginxServer server({.location_lines = "client_body_buffer_size 16;\n"});
  server.start();
  const std::string body = base64_envelope("slowly");
  RawConnection connection(server.port());
  connection.send("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: " +
                  std::to_string(body.size()) + "\r\n\r\n");
  for (const char byte : body) ASSERT_TRUE(connection.send({&byte, 1}));
  EXPECT_EQ(raw_status(connection.receive_all()), 200);
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "slowly");
}

TEST(Bodies, MayBePipelined) {
  NginxServer server;
  server.start();
  std::string requests;
  for (int i = 0; i < 20; i++) {
    const std::string body = base64_envelope(std::to_string(i));
    requests +=
        "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
        "\r\n" + (i == 19 ? "Connection: close\r\n" : "") + "\r\n" + body;
  }
  const std::string answers = raw_exchange(server.port(), requests);
  size_t count = 0;
  for (size_t at = 0; (at = answers.find("200 OK", at)) != std::string::npos; at++) count++;
  EXPECT_EQ(count, 20u);
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "19");
}

TEST(Bodies, OfOtherMethodsAreIgnored) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("one")));
  const std::string body(100'000, 'x');
  EXPECT_EQ(value_in(client.send({.method = "GET", .target = "/v1/kv/k", .body = body})), "one");
  expect_ok(client.send({.method = "DELETE", .target = "/v1/kv/k", .body = body}));
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
}

}  // namespace
}  // namespace small_db::testing
