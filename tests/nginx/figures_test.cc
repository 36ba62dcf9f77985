// What a store tells about itself: metrics that Prometheus's own tool accepts, and the OpenAPI
// document.
#include <gtest/gtest.h>

#include <cstdlib>
#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

std::string value_of(const std::string& metrics, const std::string& sample) {
  const size_t at = metrics.find("\n" + sample + " ");
  if (at == std::string::npos) return "missing";
  const size_t start = at + sample.size() + 2;
  return metrics.substr(start, metrics.find('\n', start) - start);
}

TEST(Metrics, PromtoolFindsNoFault) {
  const char* const promtool = std::getenv("SMALL_DB_PROMTOOL");
  if (promtool == nullptr) GTEST_SKIP() << "SMALL_DB_PROMTOOL names none: run `./dev test`";
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  const HttpResponse response = client.get("/v1/metrics");
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "text/plain; version=0.0.4; charset=utf-8");
  const std::string file = server.directory() + "/metrics";
  write_file(file, response.body);
  const std::string command = std::string(promtool) + " check metrics";
  EXPECT_EQ(system((command + " <" + file + " >" + file + ".out 2>&1").c_str()), 0)
      << read_file(file + ".out");
  EXPECT_EQ(read_file(file + ".out"), "");
}

TEST(Metrics, CountWhatHappens) {
  NginxServer server({.store_name = "flags"});
  server.start();
  HttpClient client(server.port());
  for (int i = 0; i < 3; i++) {
    ASSERT_EQ(client.put("/v1/kv/k" + std::to_string(i) + "?raw", "v").status, 200);
  }
  ASSERT_EQ(client.send({.method = "POST", .target = "/v1/checkpoint", .body = ""}).status, 200);
  const std::string text = client.get("/v1/metrics").body;
  EXPECT_EQ(value_of(text, R"(small_db_keys{store="flags"})"), "3");
  EXPECT_EQ(value_of(text, R"(small_db_commits_total{store="flags"})"), "3");
  EXPECT_EQ(value_of(text, R"(small_db_log_sync_duration_seconds_count{store="flags"})"), "3");
  EXPECT_EQ(value_of(text, R"(small_db_checkpoints_total{store="flags"})"), "1");
  EXPECT_EQ(value_of(text, R"(small_db_state{store="flags",state="serving"})"), "1");
}

TEST(OpenApiDocument, IsServed) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  const HttpResponse response = client.get("/v1/openapi.json");
  ASSERT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(nlohmann::json::parse(response.body)["openapi"], "3.1.0");
  EXPECT_EQ(client.send({.method = "HEAD", .target = "/v1/openapi.json"}).header("Content-Length"),
            std::to_string(response.body.size()));
  for (const char* resource : {"kv", "kv/k", "txn", "health", "role", "status", "metrics",
                               "checkpoint", "snapshot", "openapi.json", "promote",
                               "replication/log", "replication/checkpoint", "replication/ack"}) {
    EXPECT_EQ(client.send({.method = "OPTIONS", .target = std::string("/v1/") + resource}).status,
              204);
  }
  for (const char* resource : {"health", "role", "status", "metrics"}) {
    EXPECT_EQ(client.send({.method = "HEAD", .target = std::string("/v1/") + resource}).status,
              200);
  }
}

}  // namespace
}  // namespace small_db::testing
