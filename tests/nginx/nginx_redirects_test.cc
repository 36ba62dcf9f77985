// Ways into and out of a store location by nginx's own redirects and subrequests.
#include <gtest/gtest.h>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// A web site of one page, and a socket for an nginx that is its own upstream. Outlives the server.
class Site {
 public:
  Site() { write("page.html", "the page\n"); }
  void write(const std::string& name, const std::string& text) {
    write_file(directory_.path() + "/" + name, text);
  }
  std::string root() const { return "root " + directory_.path() + ";\n"; }
  std::string page() const { return "location = /page.html { " + root() + "}\n"; }
  // An upstream, `self`, whose server holds the store main at its root; more: within that server.
  std::string upstream(const std::string& more = "") const {
    const std::string socket = "unix:" + directory_.path() + "/socket";
    return "upstream self { server " + socket + "; keepalive 4; }\n" + "server { listen " + socket +
           "; location / { small_db main;\n" +
           "  add_header X-Requests $connection_requests always; }\n" + more + "}\n";
  }

 private:
  TempDirectory directory_;
};

constexpr const char* kKeepAlive = "proxy_http_version 1.1; proxy_set_header Connection \"\";\n";

void store(HttpClient* client, const std::string& key, const std::string& value) {
  expect_ok(client->put("/v1/kv/" + key, base64_envelope(value)));
}

TEST(ErrorPages, ReplaceWhatNginxRefusesAndNotWhatTheStoreAnswers) {
  const Site site;
  NginxServer server(
      {.server_lines =
           site.page() +
           "error_page 400 403 404 405 413 503 507 /page.html;\n"
           "location /denied/ { small_db main; limit_except GET { deny all; } }\n"
           "location /short/ { small_db main; client_max_body_size 100; }\n"
           "location /named/ { small_db main; deny all; error_page 403 =200 @named; }\n"
           "location /code/ { small_db main; deny all; error_page 403 =404 /page.html; }\n"
           "location /into/ { small_db main; deny all; error_page 403 = /v1/kv/refused; }\n"
           "location @named { return 200 \"named $request_method\"; }\n"});
  server.start();
  HttpClient client(server.port());
  expect_problem(client.get("/v1/kv/missing"), 404, "not-found");
  expect_problem(client.get("/v1/nothing"), 404, "unknown-path");
  expect_problem(client.put("/v1/kv/k", "{"), 400, "invalid-body");
  expect_problem(client.put("/v1/health", ""), 405, "method-not-allowed");
  const std::string body = base64_envelope(std::string(500, 'x'));
  for (const char* target : {"/denied/kv/k", "/short/kv/k"}) {
    const HttpResponse refused = client.put(target, body);
    EXPECT_EQ(refused.status, target[1] == 'd' ? 403 : 413);
    EXPECT_EQ(refused.body, "the page\n") << target;
  }
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
  const HttpResponse named = client.put("/named/kv/k", body);
  EXPECT_EQ(named.status, 200);
  EXPECT_EQ(named.body, "named PUT");
  EXPECT_EQ(client.put("/code/kv/k", body).status, 404);
  store(&client, "refused", "why");
  EXPECT_EQ(value_in(client.put("/into/kv/k", body)), "why");
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
}

// What small_db_intercept_errors makes of a missing key, location by location.
std::string intercepting_locations() {
  const std::string on = " { small_db main; small_db_intercept_errors on;\n";
  return "location /page/" + on + "error_page 404 405 507 /page.html; }\n" + "location /ok/" + on +
         "error_page 404 =200 /page.html; }\n" + "location /named/" + on +
         "error_page 404 = @named; }\n" + "location /fallback/" + on +
         "error_page 404 = /fallback/kv/default; }\n" + "location /status/" + on +
         "error_page 404 /v1/kv/default; }\n" + "location /none/" + on +
         "error_page 403 503 /page.html; }\n" + "location /once/" + on +
         "error_page 404 = /page/kv/missing; }\n" + "location /twice/" + on +
         "error_page 404 = /page/kv/missing;\n"
         " recursive_error_pages on; }\n" +
         "location /cycle/" + on +
         "error_page 404 = /cycle/kv/missing;\n"
         " recursive_error_pages on; }\n" +
         "location @named { return 202 \"named $request_method\"; }\n";
}

TEST(ErrorPages, ReplaceTheStoresAnswersWhenAskedFor) {
  const Site site;
  NginxServer server({.memory = "8m",
                      .store_lines = "max_value_size 32m;\n",
                      .server_lines = site.page() + intercepting_locations()});
  server.start();
  for (const auto version : {HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    HttpClient client(version == HttpVersion::k1_1 ? server.port() : server.http2_port());
    const auto get = [&](const std::string& target) {
      return client.send({.target = target, .version = version});
    };
    const auto put = [&](const std::string& target, std::string body) {
      return client.send({.method = "PUT", .target = target, .body = body, .version = version});
    };
    expect_ok(put("/page/kv/default", base64_envelope("default")));
    EXPECT_EQ(value_in(get("/page/kv/default")), "default");
    EXPECT_EQ(get("/page/kv/k").status, 404);
    EXPECT_EQ(get("/page/kv/k").body, "the page\n");
    EXPECT_EQ(client.send({.method = "HEAD", .target = "/page/kv/k", .version = version})
                  .header("Content-Length"),
              "9");
    EXPECT_EQ(get("/ok/kv/k").status, 200);
    EXPECT_EQ(get("/ok/kv/k").body, "the page\n");
    EXPECT_EQ(get("/named/kv/k").status, 202);
    EXPECT_EQ(get("/named/kv/k").body, "named GET");
    EXPECT_EQ(value_in(get("/fallback/kv/k")), "default");
    EXPECT_EQ(get("/status/kv/k").status, 404);
    EXPECT_EQ(get("/status/kv/k").body, get("/v1/kv/default").body);
    expect_problem(get("/none/kv/k"), 404, "not-found");
    // nginx follows one error page only, unless told otherwise; and ends a cycle.
    expect_problem(get("/once/kv/k"), 404, "not-found");
    EXPECT_EQ(get("/twice/kv/k").body, "the page\n");
    EXPECT_EQ(get("/cycle/kv/k").status, 500);
    // What is told beside the body stays.
    const HttpResponse method =
        client.send({.method = "DELETE", .target = "/page/health", .version = version});
    EXPECT_EQ(method.status, 405);
    EXPECT_EQ(method.body, "the page\n");
    EXPECT_EQ(method.header("Allow"), "GET, HEAD, OPTIONS");
    // The outcome of a write, which comes later.
    const std::string big = base64_envelope(std::string(20'000'000, 'b'));
    const HttpResponse full = put("/page/kv/big", big);
    EXPECT_EQ(full.status, 507);
    EXPECT_EQ(full.body, "the page\n");
    expect_problem(put("/ok/kv/big", big), 507, "no-memory");
    expect_ok(put("/page/kv/k2", base64_envelope("x")));
    expect_ok(client.send({.method = "DELETE", .target = "/page/kv/k2", .version = version}));
  }
}

TEST(ErrorPages, AreAskedForAnywhereAboveALocation) {
  const Site site;
  NginxServer server({.http_lines = "small_db_intercept_errors on;\n",
                      .server_lines = site.page() +
                                      "error_page 404 /page.html;\n"
                                      "location /off/ {\n small_db main;\n"
                                      " small_db_intercept_errors off;\n}\n"
                                      "location /if/ { small_db main; if ($args) {} }\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(client.get("/v1/kv/k").body, "the page\n");
  EXPECT_EQ(client.get("/if/kv?key=k").body, "the page\n");
  expect_problem(client.get("/off/kv/k"), 404, "not-found");
}

TEST(Subrequests, IncludeValuesInPages) {
  Site site;
  site.write("include.html",
             "[<!--# include virtual=\"/v1/kv/a/part\" -->]"
             "[<!--# include virtual=\"/v1/kv?key=a%2fpart\" -->]"
             "[<!--# include virtual=\"/v1/kv/a/part\" set=\"part\" --><!--# echo var=\"part\" "
             "encoding=\"none\" -->]"
             "[<!--# include virtual=\"/v1/kv/missing\" -->]");
  NginxServer server({.server_lines = "location = /include.html { ssi on; " + site.root() + "}\n" +
                                      "location = /page.html {\n add_before_body /v1/kv/a/part;\n"
                                      " add_after_body /v1/kv/a/part;\n " +
                                      site.root() + "}\n",
                      .location_lines = "subrequest_output_buffer_size 64k;\n"});
  server.start();
  HttpClient client(server.port());
  for (const size_t bytes : {size_t{0}, size_t{3}, size_t{30'000}}) {
    store(&client, "a/part", std::string(bytes, 'p'));
    const std::string item = client.get("/v1/kv/a/part").body;
    const std::string missing = client.get("/v1/kv/missing").body;
    for (const auto version :
         {HttpVersion::k1_0, HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
      const bool http2 = version == HttpVersion::k2PriorKnowledge;
      HttpClient other(http2 ? server.http2_port() : server.port());
      const auto get = [&](const char* target) {
        return other.send({.target = target, .version = version}).body;
      };
      const std::string brackets = "[" + item + "]";
      EXPECT_EQ(get("/include.html"), brackets + brackets + brackets + "[" + missing + "]");
      EXPECT_EQ(get("/page.html"), item + "the page\n" + item);
    }
  }
}

TEST(Subrequests, AskAStoreWhoMayPass) {
  const Site site;
  NginxServer server(
      {.server_lines =
           site.root() +
           // A fixed key: there or not.
           "location = /fixed { auth_request /pass/kv/open; try_files /page.html =500; }\n"
           "location /pass/ { internal; small_db main; small_db_intercept_errors on;\n"
           " error_page 404 =403 /static; }\n"
           // A key from the request, and the store behind it writes.
           "location /mine/ { small_db main; set $token $arg_token; auth_request /token; }\n"
           "location = /token { internal; rewrite ^ /pass/kv?key=token-$token? last; }\n"
           "location = /strict { auth_request /v1/kv/open; try_files /page.html =500; }\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(client.get("/fixed").status, 403);
  EXPECT_EQ(client.get("/strict").status, 500);
  store(&client, "open", "yes");
  EXPECT_EQ(client.get("/fixed").body, "the page\n");
  EXPECT_EQ(client.get("/strict").body, "the page\n");
  store(&client, "token-a/b", "a person");
  EXPECT_EQ(client.get("/mine/health").status, 403);
  EXPECT_EQ(client.get("/mine/health?token=x").status, 403);
  // Let through, and told by the store that health has no such parameter.
  expect_problem(client.get("/mine/health?token=a%2Fb"), 400, "invalid-query");
}

TEST(Subrequests, DoNotWriteAndSaySo) {
  const Site site;
  NginxServer server({.http_lines = site.upstream(),
                      .server_lines = "location = /to-store { mirror /v1/kv/copy; return 200; }\n"
                                      "location = /page.html { mirror /v1/kv/copy; " +
                                      site.root() + "}\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(client.put("/page.html", base64_envelope("x")).status, 405);
  EXPECT_EQ(client.get("/page.html").body, "the page\n");
  EXPECT_TRUE(poll_until([&] {
    return server.error_log().find("a subrequest can't write: \"PUT /v1/kv/copy\"") !=
           std::string::npos;
  }));
  EXPECT_EQ(client.get("/v1/kv/copy").status, 404);
}

TEST(Subrequests, MirrorAStore) {
  const Site site;
  const TempDirectory other;
  NginxServer server({.http_lines = "small_db_store other { dir " + other.path() +
                                    "/data; memory 8m; }\n" +
                                    site.upstream("location /other/ { small_db other; }\n"),
                      .server_lines = "location /two/ { small_db main; mirror /copy; }\n"
                                      "location /seen/ { small_db other; }\n"
                                      "location = /copy { internal; client_max_body_size 0;\n " +
                                      std::string(kKeepAlive) +
                                      " set $path $request_uri;\n"
                                      " if ($path ~ ^/two/(.*)) { set $path $1; }\n"
                                      " proxy_pass http://self/other/$path; }\n"});
  server.start();
  HttpClient client(server.port());
  ASSERT_TRUE(poll_until([&] { return client.get("/seen/health").status == 200; }));
  for (const size_t bytes : {size_t{1}, size_t{300'000}}) {
    const std::string value(bytes, 'm');
    expect_ok(client.put("/two/kv/a%2Fb", base64_envelope(value)));
    EXPECT_TRUE(value_in(client.get("/v1/kv/a/b")) == value);
    EXPECT_TRUE(poll_until([&] { return client.get("/seen/kv/a/b").status == 200; }));
    EXPECT_TRUE(value_in(client.get("/seen/kv/a/b")) == value);
    EXPECT_TRUE(value_in(client.get("/two/kv/a/b")) == value);
    expect_ok(client.del("/two/kv/a%2Fb"));
    EXPECT_TRUE(poll_until([&] { return client.get("/seen/kv/a/b").status == 404; }));
  }
}

TEST(Rewrites, NameKeysByPathAndByParameter) {
  NginxServer server({.server_lines =
                          "location /old/ { rewrite ^/old/(.*)$ /v1/kv/$1 last; }\n"
                          "location /by-name { rewrite ^ /v1/kv?key=$arg_name? last; }\n"
                          "location /same/ {\n rewrite ^/same/old/(.*)$ /same/kv/$1 break;\n"
                          " small_db main;\n}\n"});
  server.start();
  for (const auto version : {HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    HttpClient client(version == HttpVersion::k1_1 ? server.port() : server.http2_port());
    const auto send = [&](const char* method, const std::string& target) {
      HttpRequest request{.method = method, .target = target, .version = version};
      if (request.method == "PUT") request.body = base64_envelope(target);
      return client.send(request);
    };
    // The path that a client knows, and the key that it stands for.
    const std::pair<const char*, const char*> rows[] = {{"/old/k", "k"},
                                                        {"/old/a/b%2fc", "a%2fb%2Fc"},
                                                        {"/old/a%20%26+b", "a%20%26%2Bb"},
                                                        {"/old/%25%2541", "%25%2541"},
                                                        {"/old/%ff/", "%ff%2f"},
                                                        {"/old/...", "..."},
                                                        {"/by-name?name=a%2F%2Fb%26", "a//b%26"},
                                                        {"/same/old/k2", "k2"}};
    for (const auto& [target, key] : rows) {
      const std::string own = std::string("/v1/kv?key=") + key;
      expect_ok(send("PUT", target));
      EXPECT_EQ(value_in(send("GET", own)), target);
      EXPECT_EQ(send("GET", target).body, send("GET", own).body);
      expect_ok(send("DELETE", target));
      EXPECT_EQ(send("GET", own).status, 404) << target;
    }
    // Keys that nginx has changed before the rewrite could see them.
    for (const char* target : {"/old/a//b", "/old/a/../b", "/old/a/./b", "/old/a%2F%2fb",
                               "/old/a/%2e%2E/b", "/old/a%3Fb", "/old/a/.", "/old/a/.."}) {
      for (const char* method : {"PUT", "GET", "DELETE"}) {
        const HttpResponse refused = send(method, target);
        EXPECT_TRUE(is_early_refusal(refused, 400)) << method << " " << target << refused.error;
        if (refused.status != 0) {
          expect_problem(refused, 400, "ambiguous-path", "/v1/kv?key=");
        }
      }
    }
    EXPECT_NE(send("GET", "/v1/status").body.find("\"keys\":0"), std::string::npos);
    expect_problem(send("GET", "/old/k?x=1"), 400, "invalid-query", "'x'");
  }
}

TEST(Rewrites, FilesComeFirstAndTheStoreAfter) {
  const Site site;
  NginxServer server({.server_lines = site.root() +
                                      "location /files/ { alias /nowhere/; small_db main; }\n"
                                      "location / { try_files $uri /v1/kv$uri; }\n"
                                      "location /lost/ { error_page 404 = /v1/kv/lost; }\n"
                                      "location /told/ { error_page 404 /v1/kv/lost; }\n"});
  server.start();
  HttpClient client(server.port());
  EXPECT_EQ(client.get("/page.html").body, "the page\n");
  expect_problem(client.get("/no-page.html"), 404, "not-found");
  expect_ok(client.put("/no-page.html", base64_envelope("from the store")));
  EXPECT_EQ(value_in(client.get("/no-page.html")), "from the store");
  EXPECT_EQ(value_in(client.get("/v1/kv/no-page.html")), "from the store");
  EXPECT_EQ(value_in(client.get("/files/kv/no-page.html")), "from the store");
  expect_problem(client.get("/a//b"), 400, "ambiguous-path");
  expect_problem(client.get("/lost/file"), 404, "not-found");
  store(&client, "lost", "lost");
  EXPECT_EQ(value_in(client.get("/lost/file")), "lost");
  EXPECT_EQ(value_in(client.get("/lost//a/../file")), "lost");
  const HttpResponse told = client.get("/told/file");
  EXPECT_EQ(told.status, 404);
  EXPECT_EQ(told.body, client.get("/v1/kv/lost").body);
}

TEST(Rewrites, AnUpstreamNamesAValueByXAccelRedirect) {
  const Site site;
  NginxServer server(
      {.http_lines = site.upstream("location /app { return 200;\n"
                                   " add_header X-Accel-Redirect \"/hidden/kv/a%20b\"; }\n"),
       .server_lines = "location /hidden/ { internal; small_db main; }\n"
                       "location /app { proxy_pass http://self; }\n"});
  server.start();
  HttpClient client(server.port());
  store(&client, "a%20b", "hidden");
  EXPECT_EQ(value_in(client.get("/app")), "hidden");
  EXPECT_EQ(value_in(client.get("/app//x")), "hidden");
  // nginx makes a GET of it: nothing is written.
  EXPECT_EQ(value_in(client.put("/app", base64_envelope("other"))), "hidden");
  EXPECT_EQ(value_in(client.get("/v1/kv/a%20b")), "hidden");
}

TEST(Proxies, OfTheSameNginxKeepTheirConnections) {
  const Site site;
  NginxServer server(
      {.http_lines = site.upstream(),
       .server_lines = "location /kv { proxy_pass http://self; " + std::string(kKeepAlive) + "}\n" +
                       "location /old/ { proxy_pass http://self/; }\n" +
                       "location /piped/ { proxy_pass http://self/; proxy_request_buffering off; " +
                       kKeepAlive + "}\n"});
  server.start();
  HttpClient client(server.port());
  for (const char* prefix : {"", "/old", "/piped"}) {
    for (const bool chunked : {false, true}) {
      for (const size_t bytes : {size_t{0}, size_t{10}, size_t{300'000}}) {
        const std::string target = std::string(prefix) + "/kv/a%2Fb%20c";
        const std::string value(bytes, 'p');
        expect_ok(client.send({.method = "PUT",
                               .target = target,
                               .body = base64_envelope(value),
                               .chunked = chunked}));
        EXPECT_TRUE(value_in(client.get(target)) == value) << target;
        EXPECT_EQ(client.send({.method = "HEAD", .target = target}).status, 200);
        EXPECT_TRUE(value_in(client.get("/v1/kv/a/b%20c")) == value) << target;
        expect_problem(client.put(target, "{"), 400, "invalid-body");
        expect_ok(client.del(target));
        expect_problem(client.get(target), 404, "not-found");
      }
    }
  }
  // Without a path of its own, proxy_pass sends what the client sent.
  expect_ok(client.put("/kv?key=a//b", base64_envelope("two")));
  EXPECT_EQ(value_in(client.get("/v1/kv?key=a//b")), "two");
  expect_problem(client.get("/kv/a//b"), 400, "ambiguous-path");
  // One connection took the last of these; answers of all kinds leave it open.
  const int before = std::stoi(client.get("/kv/k").header("X-Requests"));
  client.put("/kv/k", "{");
  client.put("/kv/k", base64_envelope("x"));
  EXPECT_EQ(std::stoi(client.get("/kv/k").header("X-Requests")), before + 3);
}

}  // namespace
}  // namespace small_db::testing
