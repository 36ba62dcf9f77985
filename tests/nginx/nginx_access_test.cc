// nginx's own access rules, limits and places in front of a store: who is refused gets nginx's
// answer, and who is let through gets the store's.
#include <gtest/gtest.h>

#include <csignal>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// "user:pw" as auth_basic takes it.
constexpr const char* kCredentials = "Authorization: Basic dXNlcjpwdw==";
constexpr const char* kWrongCredentials = "Authorization: Basic dXNlcjp4eA==";

// A file for auth_basic_user_file, which must outlive the server.
std::string password_file(const TempDirectory& directory) {
  const std::string file = directory.path() + "/passwords";
  write_file(file, "user:{PLAIN}pw\n");
  return file;
}

HttpResponse put(HttpClient* client, const std::string& target, const std::string& value,
                 const char* header = "X-None: 1", HttpVersion version = HttpVersion::k1_1) {
  return client->send({.method = "PUT",
                       .target = target,
                       .body = base64_envelope(value),
                       .headers = {header},
                       .version = version});
}

HttpResponse get(HttpClient* client, const std::string& target, const char* header = "X-None: 1",
                 HttpVersion version = HttpVersion::k1_1) {
  return client->send({.target = target, .headers = {header}, .version = version});
}

// The same over each version of HTTP that nginx serves.
struct Protocol {
  HttpVersion version;
  int port;
};

std::vector<Protocol> protocols(const NginxServer& server) {
  return {{HttpVersion::k1_0, server.port()},
          {HttpVersion::k1_1, server.port()},
          {HttpVersion::k2PriorKnowledge, server.http2_port()}};
}

TEST(Access, LimitExceptLetsReadersInAndWritersOut) {
  NginxServer server({.server_lines = "location /ro/ {\n small_db main;\n"
                                      " limit_except GET { deny all; }\n}\n"});
  server.start();
  HttpClient writer(server.port());
  for (const auto& [version, port] : protocols(server)) {
    HttpClient client(port);
    expect_ok(put(&writer, "/v1/kv/k", "value"));
    EXPECT_EQ(value_in(get(&client, "/ro/kv/k", "X-None: 1", version)), "value");
    EXPECT_EQ(client.send({.method = "HEAD", .target = "/ro/kv/k", .version = version}).status,
              200);
    const HttpResponse refused = put(&client, "/ro/kv/k", "other", "X-None: 1", version);
    EXPECT_TRUE(is_early_refusal(refused, 403)) << refused.error;
    EXPECT_EQ(client.send({.method = "DELETE", .target = "/ro/kv/k", .version = version}).status,
              403);
    EXPECT_EQ(
        client.send({.method = "POST", .target = "/ro/checkpoint", .version = version}).status,
        403);
    EXPECT_EQ(value_in(writer.get("/v1/kv/k")), "value");
  }
}

TEST(Access, LimitExceptServesThoseWhomItsRulesLetThrough) {
  const TempDirectory directory;
  NginxServer server({.server_lines = "location /auth/ {\n small_db main;\n limit_except GET {\n"
                                      "  auth_basic writers; auth_basic_user_file " +
                                      password_file(directory) + ";\n }\n}\n"});
  server.start();
  for (const auto& [version, port] : protocols(server)) {
    HttpClient client(port);
    EXPECT_TRUE(is_early_refusal(put(&client, "/auth/kv/k", "x", "X-None: 1", version), 401));
    EXPECT_TRUE(is_early_refusal(put(&client, "/auth/kv/k", "x", kWrongCredentials, version), 401));
    EXPECT_EQ(get(&client, "/auth/kv/k", "X-None: 1", version).status, 404);
    expect_ok(put(&client, "/auth/kv/k", "x", kCredentials, version));
    EXPECT_EQ(value_in(get(&client, "/auth/kv/k", "X-None: 1", version)), "x");
    expect_ok(client.send({.method = "DELETE",
                           .target = "/auth/kv/k",
                           .headers = {kCredentials},
                           .version = version}));
  }
}

TEST(Access, PasswordsAndAddressesGuardAllOfIt) {
  const TempDirectory directory;
  const std::string auth =
      "auth_basic all; auth_basic_user_file " + password_file(directory) + ";\n";
  NginxServer server(
      {.server_lines = "location /auth/ { small_db main; " + auth + "}\n" +
                       "location /denied/ { small_db main; deny all; }\n" +
                       "location /allowed/ { small_db main; allow 127.0.0.1; deny all; }\n" +
                       "location /both/ { small_db main; satisfy all; deny all; " + auth + "}\n" +
                       "location /any/ { small_db main; satisfy any; deny all; " + auth + "}\n" +
                       "location /open/ { small_db main; satisfy any; allow 127.0.0.1; deny all; " +
                       auth + "}\n"});
  server.start();
  HttpClient client(server.port());
  const struct {
    const char* mount;
    int without_password;
    int with_password;
  } rows[] = {{"/auth", 401, 200}, {"/denied", 403, 403}, {"/allowed", 200, 200},
              {"/both", 403, 403}, {"/any", 401, 200},    {"/open", 200, 200}};
  for (const auto& row : rows) {
    const std::string target = std::string(row.mount) + "/kv/k";
    client.del("/v1/kv/k");
    EXPECT_EQ(put(&client, target, "x").status, row.without_password) << target;
    EXPECT_EQ(client.get("/v1/kv/k").status, row.without_password == 200 ? 200 : 404) << target;
    EXPECT_EQ(put(&client, target, "y", kCredentials).status, row.with_password) << target;
    EXPECT_EQ(client.get("/v1/kv/k").status, row.with_password == 200 ? 200 : 404) << target;
    expect_ok(client.put("/v1/kv/k", base64_envelope("z")));
    EXPECT_EQ(get(&client, target).status, row.without_password) << target;
    EXPECT_EQ(get(&client, target, kCredentials).status, row.with_password) << target;
  }
}

TEST(Access, RequestsOverARateAreRefusedOrDelayed) {
  NginxServer server({.http_lines = "limit_req_zone $binary_remote_addr zone=slow:1m rate=1r/m;\n"
                                    "limit_req_zone $binary_remote_addr zone=fast:1m rate=50r/s;\n",
                      .server_lines =
                          "location /slow/ { small_db main; limit_req zone=slow; }\n"
                          "location /status/ { small_db main; limit_req zone=slow;\n"
                          " limit_req_status 429; }\n"
                          "location /delayed/ { small_db main; limit_req zone=fast burst=20; }\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(put(&client, "/slow/kv/k", "first"));
  EXPECT_EQ(put(&client, "/slow/kv/k", "second").status, 503);
  EXPECT_EQ(put(&client, "/status/kv/k", std::string(200'000, 'x')).status, 429);
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "first");
  for (int i = 0; i < 10; i++) {
    expect_ok(put(&client, "/delayed/kv/k", std::string(static_cast<size_t>(i) * 10'000, 'd')));
  }
  EXPECT_EQ(value_in(client.get("/delayed/kv/k")).size(), 90'000u);
}

// The first write waits, since its storage process stands still; so its connection counts.
TEST(Access, WritesThatWaitCountAsConnections) {
  NginxServer server({.http_lines = "limit_conn_zone $binary_remote_addr zone=one:1m;\n",
                      .server_lines = "location /one/ { small_db main; limit_conn one 1; }\n"});
  server.start();
  const pid_t storage = server.storage_process();
  ASSERT_GT(storage, 0);
  ASSERT_TRUE(freeze(storage));
  RawConnection first(server.port());
  ASSERT_TRUE(
      first.send("PUT /one/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\n"
                 "Connection: close\r\n\r\n"
                 R"({"value":"YQ=="})"));
  HttpClient client(server.port());
  EXPECT_TRUE(poll_until([&] { return client.get("/one/kv/k").status == 503; }));
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
  ASSERT_EQ(kill(storage, SIGCONT), 0);
  EXPECT_EQ(raw_status(first.receive_all()), 200);
  EXPECT_TRUE(poll_until([&] { return client.get("/one/kv/k").status == 200; }));
}

TEST(Access, AuthRequestGuardsAStore) {
  NginxServer server({.server_lines = "location /guarded/ { small_db main; auth_request /check; }\n"
                                      "location = /check {\n internal;\n"
                                      " if ($http_x_token = good) { return 204; }\n"
                                      " return 403;\n}\n"});
  server.start();
  HttpClient other(server.port());
  for (const auto& [version, port] : protocols(server)) {
    HttpClient client(port);
    for (const size_t bytes : {size_t{1}, size_t{300'000}}) {
      const std::string value(bytes, 'v');
      expect_ok(other.del("/v1/kv/k"));
      const HttpResponse refused = put(&client, "/guarded/kv/k", value, "X-Token: bad", version);
      EXPECT_TRUE(is_early_refusal(refused, 403)) << bytes << refused.error;
      EXPECT_EQ(get(&client, "/v1/kv/k", "X-None: 1", version).status, 404);
      expect_ok(put(&client, "/guarded/kv/k", value, "X-Token: good", version));
      EXPECT_EQ(get(&client, "/guarded/kv/k", "X-Token: bad", version).status, 403);
      EXPECT_TRUE(value_in(get(&client, "/guarded/kv/k", "X-Token: good", version)) == value);
    }
  }
}

TEST(Places, AnIfKeepsTheStore) {
  NginxServer server(
      {.server_lines =
           "location /if/ {\n"
           " if ($http_x_frozen) { return 503 frozen; }\n"
           " if ($request_method = PUT) { add_header X-Method put; }\n"
           " if ($http_x_mark) { set $mark 1; }\n"
           " small_db main;\n"
           " if ($http_x_elsewhere) { proxy_pass http://127.0.0.1:$server_port/static; }\n"
           "}\n"});
  server.start();
  HttpClient client(server.port());
  const HttpResponse written = put(&client, "/if/kv/k", "x");
  expect_ok(written);
  EXPECT_EQ(written.header("X-Method"), "put");
  const HttpResponse frozen = put(&client, "/if/kv/k", "y", "X-Frozen: 1");
  EXPECT_EQ(frozen.status, 503);
  EXPECT_EQ(frozen.body, "frozen");
  EXPECT_EQ(value_in(get(&client, "/if/kv/k", "X-Mark: 1")), "x");
  EXPECT_EQ(get(&client, "/if/kv/k").header("X-Method"), "");
  EXPECT_EQ(get(&client, "/if/kv/k", "X-Elsewhere: 1").body, "static\n");
}

TEST(Places, AReturnComesBeforeTheStore) {
  NginxServer server({.server_lines = "location /closed/ { small_db main; return 410 gone; }\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(put(&client, "/closed/kv/k", "x").status, 410);
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
}

TEST(Places, InternalLocationsAreNobodysToAsk) {
  NginxServer server({.server_lines = "location /hidden/ { internal; small_db main; }\n"
                                      "location = /pass { rewrite ^ /hidden/kv?key=k last; }\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(put(&client, "/hidden/kv/k", "x").status, 404);
  expect_ok(put(&client, "/v1/kv/k", "value"));
  EXPECT_EQ(client.get("/hidden/kv/k").status, 404);
  EXPECT_EQ(value_in(client.get("/pass")), "value");
}

TEST(Places, NestedLocationsGuardPartsOfAStore) {
  NginxServer server(
      {.server_lines =
           "location /api/ {\n"
           " small_db main;\n"
           " location = /api/checkpoint { small_db main; deny all; }\n"
           " location /api/kv/secret/ { small_db main; limit_except GET { deny all; } }\n"
           " location ~ ^/api/kv/[a-z]+\\.lock$ { small_db main; add_header X-Place lock; }\n"
           " location /api/kv/closed/ { deny all; }\n"
           " location ~ ^/api/(s)tatus$ {\n  small_db main;\n"
           "  if ($http_x_no) { return 403; }\n }\n"
           "}\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(put(&client, "/api/kv/k", "one"));
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "one");
  EXPECT_EQ(client.send({.method = "POST", .target = "/api/checkpoint"}).status, 403);
  expect_ok(client.send({.method = "POST", .target = "/v1/checkpoint"}));
  EXPECT_EQ(put(&client, "/api/kv/secret/k", "two").status, 403);
  expect_ok(put(&client, "/v1/kv/secret/k", "two"));
  EXPECT_EQ(value_in(client.get("/api/kv/secret/k")), "two");
  expect_ok(put(&client, "/api/kv/some.lock", "three"));
  const HttpResponse lock = client.get("/api/kv/some.lock");
  EXPECT_EQ(value_in(lock), "three");
  EXPECT_EQ(lock.header("X-Place"), "lock");
  EXPECT_EQ(value_in(client.get("/v1/kv/some.lock")), "three");
  EXPECT_EQ(client.get("/api/kv/closed/k").status, 403);
  EXPECT_EQ(client.get("/api/status").status, 200);
  EXPECT_EQ(get(&client, "/api/status", "X-No: 1").status, 403);
  // A location chooses by the path; the parameter is not a part of it.
  EXPECT_EQ(value_in(client.get("/api/kv?key=secret/k")), "two");
}

// What a configuration with this in its server says.
std::string refusal_of(const std::string& location) {
  const TempDirectory directory;
  int exit_code = 0;
  const std::string output = check_configuration(
      directory.path(),
      "load_module " + module_file() + ";\npid " + directory.path() + "/nginx.pid;\nevents {}\n" +
          "http {\n small_db_store main { dir " + directory.path() + "/data; memory 8m; }\n" +
          " small_db_store other { dir " + directory.path() + "/other; memory 8m; }\n" +
          " server {\n  listen 127.0.0.1:1;\n  " + location + "\n }\n}\n",
      &exit_code);
  EXPECT_EQ(exit_code, output.find("[emerg]") == std::string::npos ? 0 : 1) << output;
  return exit_code == 0 ? "" : output;
}

TEST(Places, OfTwoAnswersInOneLocationNoneIsChosen) {
  for (const char* inside :
       {"small_db main; proxy_pass http://127.0.0.1:1;",
        "proxy_pass http://127.0.0.1:1; small_db main;", "small_db main; stub_status;"}) {
    const std::string output = refusal_of(std::string("location /v1/ { ") + inside + " }");
    EXPECT_NE(output.find("\"small_db\""), std::string::npos) << inside << output;
    EXPECT_NE(output.find("another directive that answers"), std::string::npos) << output;
    EXPECT_NE(output.find("nginx.conf:9"), std::string::npos) << output;
  }
}

TEST(Places, WithoutAPrefixLieWithinOneOfTheSameStore) {
  for (const char* inner : {"location = /v1/kv/a", "location ~ ^/v1/kv/a"}) {
    const std::string text = std::string(inner) + " { small_db main; }";
    EXPECT_EQ(refusal_of("location /v1/ { small_db main; " + text + " }"), "");
    EXPECT_EQ(refusal_of("location /v1/ { small_db main; location /v1/kv/ { small_db main; " +
                         text + " } }"),
              "");
    for (const std::string& refused : {text, "location /v1/ { " + text + " }",
                                       "location /v1/ { small_db other; " + text + " }"}) {
      const std::string output = refusal_of(refused);
      EXPECT_NE(output.find("a prefix, or one within it"), std::string::npos) << refused << output;
      EXPECT_NE(output.find("nginx.conf:9"), std::string::npos) << output;
    }
  }
  EXPECT_NE(refusal_of("location /v1/ { if ($args) { small_db main; } }"), "");
  EXPECT_NE(refusal_of("location /v1/ { limit_except GET { small_db main; } }"), "");
}

}  // namespace
}  // namespace small_db::testing
