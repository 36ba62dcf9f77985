// The newest checkpoint as a download.
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "engine/checkpoint/format.h"
#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

class SnapshotFile : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.start();
    client_ = std::make_unique<HttpClient>(server_.port());
  }
  HttpResponse ask(const std::string& target, std::vector<std::string> headers = {},
                   const std::string& method = "GET") {
    return client_->send({.method = method, .target = target, .headers = std::move(headers)});
  }
  std::string file(int generation) {
    return read_file(server_.data_directory() + "/checkpoint." + std::to_string(generation));
  }
  void fill() {
    for (int i = 0; i < 50; i++) {
      expect_ok(
          client_->put("/v1/kv/k" + std::to_string(i),
                       base64_envelope(std::string(10'000, static_cast<char>('a' + i % 26)))));
    }
  }
  NginxServer server_{{.store_lines = "checkpoint off;\n",
                       .http_lines = "sendfile on;\n",
                       .server_lines = "location /copied/ { small_db main; sendfile off; }\n"}};
  std::unique_ptr<HttpClient> client_;
};

TEST_F(SnapshotFile, IsNotThereBeforeTheFirstCheckpoint) {
  expect_problem(ask("/v1/snapshot"), 404, "no-checkpoint", "fresh=true");
  EXPECT_EQ(ask("/v1/snapshot", {}, "HEAD").status, 404);
  EXPECT_EQ(ask("/v1/snapshot?fresh=false").status, 404);
}

TEST_F(SnapshotFile, IsTheCheckpointInForce) {
  fill();
  expect_ok(client_->send({.method = "POST", .target = "/v1/checkpoint"}));
  const std::string bytes = file(1);
  ASSERT_GT(bytes.size(), 500'000u);
  for (const char* target : {"/v1/snapshot", "/copied/snapshot"}) {
    const HttpResponse response = ask(target);
    EXPECT_EQ(response.status, 200);
    EXPECT_EQ(response.header("Content-Type"), "application/octet-stream");
    EXPECT_EQ(response.header("X-Content-Type-Options"), "nosniff");
    EXPECT_EQ(response.header("Content-Security-Policy"), "sandbox");
    EXPECT_EQ(response.header("Content-Disposition"), "attachment; filename=\"checkpoint.1\"");
    EXPECT_EQ(response.header("ETag").substr(0, 3), "\"1-");
    EXPECT_TRUE(response.body == bytes);
    const HttpResponse head = ask(target, {}, "HEAD");
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.header("Content-Length"), std::to_string(bytes.size()));
    EXPECT_EQ(head.body, "");
  }
  HttpClient second(server_.http2_port());
  EXPECT_TRUE(
      second.send({.target = "/v1/snapshot", .version = HttpVersion::k2PriorKnowledge}).body ==
      bytes);
}

TEST_F(SnapshotFile, IsTakenFirstWhenItMustBeFresh) {
  expect_ok(client_->put("/v1/kv/k", base64_envelope("one")));
  const HttpResponse first = ask("/v1/snapshot?fresh=true");
  EXPECT_EQ(first.status, 200);
  EXPECT_TRUE(first.body == file(1));
  expect_ok(client_->put("/v1/kv/k", base64_envelope("two")));
  EXPECT_TRUE(ask("/v1/snapshot").body == first.body);
  const HttpResponse second = ask("/v1/snapshot?fresh");
  EXPECT_EQ(second.header("Content-Disposition"), "attachment; filename=\"checkpoint.2\"");
  EXPECT_TRUE(second.body == file(2));
  EXPECT_NE(second.header("ETag"), first.header("ETag"));
  const auto header = decode_checkpoint_header(as_bytes(second.body));
  ASSERT_TRUE(header.is_ok());
  EXPECT_EQ(header.value().start_revision, 2u);
}

TEST_F(SnapshotFile, ComesInParts) {
  fill();
  const HttpResponse whole = ask("/v1/snapshot?fresh");
  const std::string etag = whole.header("ETag");
  const std::string size = std::to_string(whole.body.size());
  const HttpResponse part = ask("/v1/snapshot", {"Range: bytes=1000-99999", "If-Range: " + etag});
  EXPECT_EQ(part.status, 206);
  EXPECT_TRUE(part.body == whole.body.substr(1000, 99'000));
  EXPECT_EQ(part.header("Content-Range"), "bytes 1000-99999/" + size);
  const HttpResponse beyond = ask("/v1/snapshot", {"Range: bytes=" + size + "-"});
  expect_problem(beyond, 416, "range-not-satisfiable");
  EXPECT_EQ(beyond.header("Content-Range"), "bytes */" + size);
  ask("/v1/snapshot?fresh");
  EXPECT_EQ(ask("/v1/snapshot", {"Range: bytes=5-", "If-Range: " + etag}).status, 200);
}

TEST_F(SnapshotFile, IsNotSentAgainToWhoHasIt) {
  const std::string etag = ask("/v1/snapshot?fresh").header("ETag");
  EXPECT_EQ(ask("/v1/snapshot", {"If-None-Match: " + etag}).status, 304);
  EXPECT_EQ(ask("/v1/snapshot", {"If-None-Match: \"x\", W/" + etag}).status, 304);
  EXPECT_EQ(ask("/v1/snapshot", {"If-None-Match: \"x\""}).status, 200);
  EXPECT_EQ(ask("/v1/snapshot", {"If-Match: " + etag}).status, 200);
  expect_problem(ask("/v1/snapshot", {"If-Match: \"x\""}), 412, "condition-failed", "If-Match");
  expect_problem(ask("/v1/snapshot", {"If-Match: W/" + etag}), 412, "condition-failed");
}

TEST_F(SnapshotFile, IsWholeWhileGenerationsComeAndGo) {
  fill();
  ask("/v1/snapshot?fresh");
  std::atomic<bool> stop = false;
  std::thread other([&] {
    HttpClient client(server_.port());
    while (!stop) EXPECT_EQ(client.get("/v1/snapshot?fresh").status, 200);
  });
  for (int i = 0; i < 60; i++) {
    const HttpResponse response = ask("/v1/snapshot");
    ASSERT_EQ(response.status, 200);
    EXPECT_EQ(response.body.size(), std::stoull(response.header("Content-Length")));
    EXPECT_TRUE(decode_checkpoint_header(as_bytes(response.body)).is_ok());
  }
  stop = true;
  other.join();
}

TEST_F(SnapshotFile, TakesNoOtherMethodAndNoOtherParameter) {
  expect_problem(ask("/v1/snapshot", {}, "POST"), 405, "method-not-allowed");
  expect_problem(ask("/v1/snapshot?raw"), 400, "invalid-query", "'raw'");
  expect_problem(ask("/v1/snapshot?fresh=5"), 400, "invalid-query", "'fresh'");
}

}  // namespace
}  // namespace small_db::testing
