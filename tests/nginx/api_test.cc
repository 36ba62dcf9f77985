// The base of the HTTP contract: each resource and method with its exact answer.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

class Api : public ::testing::Test {
 protected:
  void SetUp() override { server_.start(); }
  NginxServer server_;
  HttpClient& client() {
    if (!client_) client_ = std::make_unique<HttpClient>(server_.port());
    return *client_;
  }

 private:
  std::unique_ptr<HttpClient> client_;
};

TEST_F(Api, HealthIsOkWhenTheStoreServes) { expect_ok(client().get("/v1/health")); }

TEST_F(Api, RoleIsPrimary) {
  const HttpResponse response = client().get("/v1/role");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, R"({"role":"primary"})");
  EXPECT_EQ(response.header("Content-Type"), "application/json");
}

TEST_F(Api, GetAnswersWhatWasPut) {
  expect_ok(client().put("/v1/kv/greeting", R"({"value":"aGVsbG8=","encoding":"base64"})"));
  const HttpResponse response = client().get("/v1/kv/greeting");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(response.body, R"({"key":"greeting","value":"aGVsbG8=","encoding":"base64"})");
  EXPECT_EQ(response.header("Content-Length"), std::to_string(response.body.size()));
}

TEST_F(Api, EncodingIsBase64WhenOmitted) {
  expect_ok(client().put("/v1/kv/k", R"({"value":"aGVsbG8="})"));
  EXPECT_EQ(value_in(client().get("/v1/kv/k")), "hello");
}

TEST_F(Api, TextIsTakenUnderEachNameOfUtf8) {
  for (const char* name : {"utf-8", "UTF-8", "utf8", "plain", "text", "Text"}) {
    const std::string value = std::string("h\xc3\xa4llo ") + name;
    expect_ok(client().put("/v1/kv/k", "{\"encoding\":\"" + std::string(name) +
                                           "\",\"value\":" + json_string(value) + "}"));
    EXPECT_EQ(value_in(client().get("/v1/kv/k")), value);
  }
}

TEST_F(Api, PutReplaces) {
  for (const std::string value : {"first", "", "second, and longer"}) {
    expect_ok(client().put("/v1/kv/k", base64_envelope(value)));
    EXPECT_EQ(value_in(client().get("/v1/kv/k")), value);
  }
}

TEST_F(Api, AMissingKeyIsNotFound) {
  const HttpResponse response = client().get("/v1/kv/missing");
  expect_problem(response, 404, "not-found");
  EXPECT_EQ(response.body,
            R"({"type":"urn:small-db:problem:not-found","title":"No such key","status":404,)"
            R"("error":"No such key"})");
}

TEST_F(Api, DeleteIsOkWhetherThereIsSuchAKeyOrNot) {
  expect_ok(client().put("/v1/kv/k", base64_envelope("value")));
  expect_ok(client().del("/v1/kv/k"));
  EXPECT_EQ(client().get("/v1/kv/k").status, 404);
  expect_ok(client().del("/v1/kv/k"));
  expect_ok(client().del("/v1/kv?key=k"));
}

TEST_F(Api, HeadAnswersTheHeadersOfGet) {
  expect_ok(client().put("/v1/kv/k", base64_envelope(std::string(100, 'x'))));
  for (const char* target : {"/v1/kv/k", "/v1/health", "/v1/role", "/v1/kv/missing"}) {
    const HttpResponse get = client().get(target);
    const HttpResponse head = client().send({.method = "HEAD", .target = target});
    EXPECT_EQ(head.status, get.status) << target;
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.header("Content-Length"), std::to_string(get.body.size())) << target;
    EXPECT_EQ(head.header("Content-Type"), get.header("Content-Type")) << target;
  }
}

constexpr const char* kItemMethods = "GET, HEAD, PUT, DELETE, PATCH, POST, OPTIONS";
constexpr const char* kReadMethods = "GET, HEAD, OPTIONS";
constexpr const char* kCheckpointMethods = "POST, OPTIONS";

TEST_F(Api, OptionsNamesTheMethods) {
  const std::pair<const char*, const char*> rows[] = {{"/v1/kv/k", kItemMethods},
                                                      {"/v1/kv?key=k", kItemMethods},
                                                      {"/v1/health", kReadMethods},
                                                      {"/v1/role", kReadMethods},
                                                      {"/v1/checkpoint", kCheckpointMethods}};
  for (const auto& [target, allow] : rows) {
    const HttpResponse response = client().send({.method = "OPTIONS", .target = target});
    EXPECT_EQ(response.status, 204) << target;
    EXPECT_EQ(response.header("Allow"), allow) << target;
    EXPECT_EQ(response.body, "");
  }
}

TEST_F(Api, OtherMethodsAreNotAllowed) {
  const struct {
    const char* method;
    const char* target;
    const char* allow;
  } rows[] = {
      {"BREW", "/v1/kv/k", kItemMethods},
      {"BREW", "/v1/kv?key=k", kItemMethods},
      {"PUT", "/v1/health", kReadMethods},
      {"DELETE", "/v1/role", kReadMethods},
      {"GET", "/v1/checkpoint", kCheckpointMethods},
      {"PUT", "/v1/checkpoint", kCheckpointMethods},
  };
  for (const auto& row : rows) {
    const HttpResponse response =
        client().send({.method = row.method, .target = row.target, .body = R"({"value":""})"});
    expect_problem(response, 405, "method-not-allowed", row.method);
    EXPECT_EQ(response.header("Allow"), row.allow) << row.method << " " << row.target;
  }
}

TEST_F(Api, UnknownPathsAreNotFound) {
  for (const char* target : {"/v1/", "/v1/kvx", "/v1/nothing", "/v1/health/", "/v1/HEALTH"}) {
    expect_problem(client().get(target), 404, "unknown-path", "under /v1/");
  }
}

TEST_F(Api, ParametersThatNobodyReadsAreRefused) {
  expect_problem(client().get("/v1/health?x=1"), 400, "invalid-query", "'x'");
  expect_problem(client().get("/v1/kv/k?ttl=5"), 400, "invalid-query", "'ttl'");
  expect_problem(client().get("/v1/kv?key=a&key=b"), 400, "invalid-query", "twice");
  expect_problem(client().get("/v1/kv?key=%zz"), 400, "invalid-query", "at byte 0");
}

TEST_F(Api, TheConnectionServesOnAfterEveryRefusal) {
  for (int i = 0; i < 20; i++) {
    expect_problem(client().put("/v1/kv/k", "{"), 400, "invalid-body");
    expect_problem(client().send({.method = "BREW", .target = "/v1/kv/k", .body = "abc"}), 405,
                   "method-not-allowed");
    expect_problem(client().put("/v1/nothing", std::string(50'000, 'x')), 404, "unknown-path");
    expect_ok(client().put("/v1/kv/k", base64_envelope("value")));
  }
}

TEST(Mounts, AnyPrefixIsAMountPoint) {
  NginxServer server({.server_lines = "location /flags/v1/ { small_db main; }\n"
                                      "location /bare { small_db main; }\n"
                                      "location ^~ /a%20b/ { small_db main; }\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/flags/v1/kv/k", base64_envelope("one")));
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "one");
  EXPECT_EQ(value_in(client.get("/bare/kv/k")), "one");
  expect_ok(client.get("/flags/v1/health"));
  expect_problem(client.get("/barekv/k"), 404, "unknown-path");
  expect_problem(client.get("/flags/v1/kv/a//b"), 400, "ambiguous-path", "/flags/v1/kv?key=");
}

TEST(Mounts, AccessRulesAreNginxs) {
  NginxServer server({.server_lines = "location /ro/ {\n small_db main;\n"
                                      " limit_except GET { deny all; }\n}\n"
                                      "location /v1/kv/secret/ { deny all; }\n"});
  server.start();
  server.allow_log("access forbidden by rule");
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("one")));
  EXPECT_EQ(value_in(client.get("/ro/kv/k")), "one");
  EXPECT_EQ(client.put("/ro/kv/k", base64_envelope("two")).status, 403);
  EXPECT_EQ(client.del("/ro/kv/k").status, 403);
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "one");
  for (const char* target : {"/v1/kv/secret/k", "/v1/kv/open/../secret/k", "/v1/kv//secret/k",
                             "/v1/kv/open/..%2fsecret/k", "/v1/kv/%73ecret/k"}) {
    EXPECT_EQ(client.get(target).status, 403) << target;
  }
}

TEST(Mounts, TwoStoresShareNothing) {
  TempDirectory other;
  NginxServer server(
      {.http_lines = "small_db_store other { dir " + other.path() + "/data; memory 8m; }\n",
       .server_lines = "location /other/ { small_db other; }\n"});
  server.start();
  HttpClient client(server.port());
  const auto other_serves = [&] { return client.get("/other/health").status == 200; };
  ASSERT_TRUE(poll_until(other_serves));
  expect_ok(client.put("/v1/kv/k", base64_envelope("main")));
  EXPECT_EQ(client.get("/other/kv/k").status, 404);
  expect_ok(client.put("/other/kv/k", base64_envelope("other")));
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "main");
  EXPECT_EQ(value_in(client.get("/other/kv/k")), "other");
  expect_ok(client.del("/v1/kv/k"));
  EXPECT_EQ(value_in(client.get("/other/kv/k")), "other");
  server.stop();
  server.start();
  ASSERT_TRUE(poll_until(other_serves));
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
  EXPECT_EQ(value_in(client.get("/other/kv/k")), "other");
}

TEST(Mounts, ASubrequestDoesNotWrite) {
  NginxServer server({.server_lines = "location /mirrored { mirror /v1/kv/copy; }\n"});
  server.start();
  HttpClient client(server.port());
  client.put("/mirrored", base64_envelope("x"));
  EXPECT_EQ(client.get("/v1/kv/copy").status, 404);
}

}  // namespace
}  // namespace small_db::testing
