// Answers that the OpenAPI document has and that no other test provokes: each resource while the
// store is refused, when memory is full, for parameters that it does not take, and what HEAD says.
#include <gtest/gtest.h>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

struct Row {
  const char* method;
  const char* target;
  const char* body = nullptr;
  const char* header = "Accept: */*";
};

constexpr const char* kLine = R"({"key":"p/k","value":""})";
constexpr const char* kTransaction =
    R"({"then":[{"op":"put","key":"k","value":"","encoding":"utf-8"}]})";

HttpResponse answer(HttpClient& client, const Row& row) {
  HttpRequest request{.method = row.method, .target = row.target};
  if (row.body != nullptr) request.body = row.body;
  request.headers = {row.header};
  return client.send(request);
}

void expect_status(HttpClient& client, long status, std::initializer_list<Row> rows) {
  for (const Row& row : rows) {
    const HttpResponse response = answer(client, row);
    EXPECT_EQ(response.status, status) << row.method << " " << row.target << response.body;
    if (status >= 400) {
      EXPECT_EQ(response.header("Content-Type"), "application/problem+json") << row.target;
    }
  }
}

TEST(DocumentedAnswers, OfARefusedStore) {
  NginxServer server;
  server.start();
  {
    HttpClient client(server.port());
    ASSERT_EQ(client.put("/v1/kv/k?raw", "v").status, 200);
  }
  server.stop();
  write_file(server.data_directory() + "/version", "no number");
  server.start(Until::kListening);
  HttpClient client(server.port());
  while (client.get("/v1/health").body.find("refused") == std::string::npos) {
    ASSERT_EQ(client.get("/v1/health").status, 503);
  }
  EXPECT_EQ(client.send({.method = "HEAD", .target = "/v1/health"}).status, 503);
  expect_status(client, 503,
                {{"GET", "/v1/kv/k"},
                 {"HEAD", "/v1/kv/k"},
                 {"PUT", "/v1/kv/k?raw", "v"},
                 {"DELETE", "/v1/kv/k"},
                 {"PATCH", "/v1/kv/k", R"({"ttl":1})"},
                 {"POST", "/v1/kv/k?incr=1", ""},
                 {"GET", "/v1/kv"},
                 {"HEAD", "/v1/kv"},
                 {"POST", "/v1/kv", kLine},
                 {"PUT", "/v1/kv?prefix=p/&replace=true", kLine},
                 {"DELETE", "/v1/kv?prefix=p/"},
                 {"POST", "/v1/txn", kTransaction},
                 {"GET", "/v1/snapshot"},
                 {"HEAD", "/v1/snapshot"},
                 {"POST", "/v1/checkpoint", ""}});
}

TEST(DocumentedAnswers, OfAStoreWithoutMemory) {
  NginxServer server({.memory = "8m"});
  server.start();
  HttpClient client(server.port());
  const std::string value(400'000, 'v');
  for (int i = 0; client.put("/v1/kv/k" + std::to_string(i) + "?raw", value).status == 200; i++) {
    ASSERT_LT(i, 100);
  }
  const std::string text = R"("value":")" + value + R"(","encoding":"utf-8")";
  const std::string line = R"({"key":"p/k",)" + text + "}";
  const std::string transaction = R"({"then":[{"op":"put","key":"k",)" + text + "}]}";
  expect_status(client, 507,
                {{"PUT", "/v1/kv/k?raw", value.c_str()},
                 {"POST", "/v1/kv", line.c_str()},
                 {"PUT", "/v1/kv?prefix=p/&replace=true", line.c_str()},
                 {"POST", "/v1/txn", transaction.c_str()}});
  expect_status(client, 200, {{"DELETE", "/v1/kv?prefix=k"}, {"POST", "/v1/kv", line.c_str()}});
}

TEST(DocumentedAnswers, ToParametersThatAreNotTaken) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_status(client, 400,
                {{"GET", "/v1/health?x"},
                 {"HEAD", "/v1/health?x"},
                 {"GET", "/v1/role?x"},
                 {"HEAD", "/v1/role?x"},
                 {"GET", "/v1/status?x"},
                 {"HEAD", "/v1/status?x"},
                 {"GET", "/v1/metrics?x"},
                 {"HEAD", "/v1/metrics?x"},
                 {"GET", "/v1/openapi.json?x"},
                 {"HEAD", "/v1/openapi.json?x"},
                 {"GET", "/v1/snapshot?x"},
                 {"HEAD", "/v1/snapshot?x"},
                 {"GET", "/v1/kv?x"},
                 {"HEAD", "/v1/kv?x"},
                 {"HEAD", "/v1/kv/k?x"},
                 {"POST", "/v1/checkpoint?x", ""}});
}

TEST(DocumentedAnswers, ToWhatIsTooLong) {
  NginxServer server({.store_lines = "max_value_size 1k;\n"});
  server.start();
  HttpClient client(server.port());
  const std::string key = "/v1/kv/" + std::string(2000, 'k');
  const std::string counter = key + "?incr=1";
  const std::string line =
      R"({"key":"p/k","value":")" + std::string(2000, 'v') + R"(","encoding":"utf-8"})";
  expect_status(client, 413,
                {{"HEAD", key.c_str()},
                 {"DELETE", key.c_str()},
                 {"PATCH", key.c_str(), R"({"ttl":1})"},
                 {"POST", counter.c_str(), ""},
                 {"PUT", "/v1/kv?prefix=p/&replace=true", line.c_str()}});
  expect_status(client, 415,
                {{"PUT", "/v1/kv?prefix=p/&replace=true", kLine, "Content-Type: text/html"}});
}

TEST(DocumentedAnswers, OfHead) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  ASSERT_EQ(client.put("/v1/kv/k?raw", "\xff value").status, 200);
  ASSERT_EQ(client.send({.method = "POST", .target = "/v1/checkpoint", .body = ""}).status, 200);
  const std::string tag = "If-None-Match: " + client.get("/v1/snapshot").header("ETag");
  // RFC 9110 section 14.2: a range is of GET alone.
  expect_status(client, 200,
                {{"HEAD", "/v1/kv/k?raw", nullptr, "Range: bytes=0-1"},
                 {"HEAD", "/v1/snapshot", nullptr, "Range: bytes=100000000-"}});
  expect_status(client, 304,
                {{"HEAD", "/v1/kv/k", nullptr, "If-None-Match: *"},
                 {"HEAD", "/v1/snapshot", nullptr, tag.c_str()}});
  expect_status(client, 406, {{"HEAD", "/v1/kv/k?encoding=utf-8"}});
  expect_status(client, 412,
                {{"HEAD", "/v1/kv/k", nullptr, "If-Match: \"77\""},
                 {"HEAD", "/v1/snapshot", nullptr, "If-Match: \"77\""}});
}

}  // namespace
}  // namespace small_db::testing
