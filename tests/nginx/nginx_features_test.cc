// nginx's filters, buffers, logs and connection settings on a store location.
#include <gtest/gtest.h>

#include <chrono>
#include <csignal>
#include <sstream>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

HttpResponse ask(HttpClient* client, const char* method, const std::string& target,
                 HttpVersion version = HttpVersion::k1_1, std::vector<std::string> headers = {}) {
  return client->send(
      {.method = method, .target = target, .headers = std::move(headers), .version = version});
}

// The length that a gzip stream says its content has; -1 when this is none.
int64_t gzip_content_bytes(const std::string& stream) {
  if (stream.size() < 18 || stream.compare(0, 2, "\x1f\x8b") != 0) return -1;
  int64_t bytes = 0;
  for (size_t i = 0; i < 4; i++) {
    bytes |= static_cast<int64_t>(static_cast<uint8_t>(stream[stream.size() - 4 + i])) << 8 * i;
  }
  return bytes;
}

TEST(Filters, CompressAnswersOfTheTypesThatAreListed) {
  NginxServer server({.server_lines =
                          "location /all/ { small_db main; gzip on; gzip_min_length 1;\n"
                          " gzip_types application/json application/problem+json; }\n"
                          "location /json/ { small_db main; gzip on;\n"
                          " gzip_types application/json; gzip_http_version 1.0; }\n"
                          "location /html/ { small_db main; gzip on; }\n"});
  server.start();
  HttpClient writer(server.port());
  expect_ok(writer.put("/v1/kv/k", base64_envelope(std::string(100'000, 'x'))));
  const auto bytes = static_cast<int64_t>(writer.get("/v1/kv/k").body.size());
  const std::vector<std::string> accepts = {"Accept-Encoding: gzip"};
  for (const auto version : {HttpVersion::k1_0, HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    HttpClient client(version == HttpVersion::k2PriorKnowledge ? server.http2_port()
                                                               : server.port());
    const HttpResponse json = ask(&client, "GET", "/json/kv/k", version, accepts);
    EXPECT_EQ(json.status, 200);
    EXPECT_EQ(json.header("Content-Encoding"), "gzip");
    EXPECT_EQ(gzip_content_bytes(json.body), bytes);
    EXPECT_LT(json.body.size(), 10'000u);
    const HttpResponse head = ask(&client, "HEAD", "/json/kv/k", version, accepts);
    EXPECT_EQ(head.status, 200);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.header("Content-Type"), "application/json");
    EXPECT_EQ(ask(&client, "GET", "/json/kv/missing", version, accepts).header("Content-Encoding"),
              "");
    EXPECT_EQ(value_in(ask(&client, "GET", "/json/kv/k", version)).size(), 100'000u);
    EXPECT_EQ(value_in(ask(&client, "GET", "/html/kv/k", version, accepts)).size(), 100'000u);
  }
  const HttpResponse missing = ask(&writer, "GET", "/all/kv/missing", HttpVersion::k1_1, accepts);
  EXPECT_EQ(missing.status, 404);
  EXPECT_EQ(missing.header("Content-Encoding"), "gzip");
  const HttpResponse put = writer.send(
      {.method = "PUT", .target = "/all/kv/k2", .body = base64_envelope("x"), .headers = accepts});
  EXPECT_EQ(put.status, 200);
  EXPECT_EQ(gzip_content_bytes(put.body), 11);
  EXPECT_EQ(value_in(writer.get("/v1/kv/k2")), "x");
}

TEST(Filters, AddHeadersAndRewriteBodies) {
  NginxServer server(
      {.server_lines =
           "location /headers/ { small_db main; add_header X-Good yes;\n"
           " add_header X-Always yes always; expires 1h; charset utf-8;\n"
           " charset_types application/json; server_tokens off; }\n"
           "location /sub/ { small_db main; sub_filter '\"value\"' '\"wert\"';\n"
           " sub_filter_types application/json; }\n"
           "location /ranges/ { small_db main; max_ranges 1; etag on; if_modified_since off; }\n"});
  server.start();
  for (const auto version : {HttpVersion::k1_0, HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    HttpClient client(version == HttpVersion::k2PriorKnowledge ? server.http2_port()
                                                               : server.port());
    const HttpResponse put = client.send({.method = "PUT",
                                          .target = "/headers/kv/k",
                                          .body = base64_envelope("x"),
                                          .version = version});
    EXPECT_EQ(put.body, R"({"ok":true})");
    for (const HttpResponse& good : {put, ask(&client, "GET", "/headers/kv/k", version)}) {
      EXPECT_EQ(good.status, 200);
      EXPECT_EQ(good.header("X-Good"), "yes");
      EXPECT_EQ(good.header("X-Always"), "yes");
      EXPECT_EQ(good.header("Cache-Control"), "max-age=3600");
      EXPECT_EQ(good.header("Content-Type"), "application/json; charset=utf-8");
      EXPECT_EQ(good.header("Server"), "nginx");
    }
    const HttpResponse missing = ask(&client, "GET", "/headers/kv/missing", version);
    expect_problem(missing, 404, "not-found");
    EXPECT_EQ(missing.header("X-Good"), "");
    EXPECT_EQ(missing.header("X-Always"), "yes");
    EXPECT_EQ(missing.header("Cache-Control"), "");
    const HttpResponse options = ask(&client, "OPTIONS", "/headers/kv/k", version);
    EXPECT_EQ(options.status, 204);
    EXPECT_EQ(options.header("X-Good"), "yes");
    EXPECT_EQ(ask(&client, "GET", "/sub/kv/k", version).body,
              R"({"key":"k","wert":"eA==","encoding":"base64"})");
    expect_problem(ask(&client, "GET", "/sub/kv/missing", version), 404, "not-found");
    EXPECT_EQ(value_in(ask(&client, "GET", "/ranges/kv/k", version)), "x");
  }
}

TEST(Output, IsTheSameWhateverItsBuffersAndPace) {
  NginxServer server(
      {.server_lines =
           "location /now/ { small_db main; postpone_output 0; tcp_nodelay off; }\n"
           "location /later/ { small_db main; postpone_output 64k; sendfile on; tcp_nopush on; }\n"
           "location /slow/ { small_db main; limit_rate 400k; send_timeout 5s; }\n"
           "location /small/ { small_db main; output_buffers 1 512; sendfile_max_chunk 1k; }\n"
           "location /plain/ { small_db main; chunked_transfer_encoding off; gzip on;\n"
           " gzip_types application/json; }\n"});
  server.start();
  HttpClient client(server.port());
  HttpClient http2(server.http2_port());
  for (const size_t bytes : {size_t{0}, size_t{1}, size_t{300'000}}) {
    const std::string value(bytes, 'o');
    expect_ok(client.put("/v1/kv/k", base64_envelope(value)));
    for (const char* mount : {"/now", "/later", "/slow", "/small", "/plain"}) {
      const std::string target = std::string(mount) + "/kv/k";
      EXPECT_TRUE(value_in(client.get(target)) == value) << target << bytes;
      EXPECT_TRUE(value_in(ask(&http2, "GET", target, HttpVersion::k2PriorKnowledge)) == value)
          << target << bytes;
      expect_ok(client.put(target, base64_envelope(value)));
    }
  }
  // Neither a length nor chunks: the end of the connection ends the answer.
  const std::string answer = raw_exchange(
      server.port(), "GET /plain/kv/k HTTP/1.1\r\nHost: h\r\nAccept-Encoding: gzip\r\n\r\n");
  EXPECT_EQ(raw_status(answer), 200);
  EXPECT_EQ(answer.find("chunked"), std::string::npos);
  EXPECT_NE(answer.find("Connection: close"), std::string::npos);
  EXPECT_EQ(gzip_content_bytes(answer.substr(answer.find("\r\n\r\n") + 4)),
            static_cast<int64_t>(client.get("/v1/kv/k").body.size()));
}

TEST(Input, IsTheSameWhateverItsBuffers) {
  NginxServer server(
      {.server_lines = "location /file/ { small_db main; client_body_in_file_only on; }\n"
                       "location /clean/ { small_db main; client_body_in_file_only clean; }\n"
                       "location /tiny/ { small_db main; client_body_buffer_size 1; }\n"
                       "location /single/ { small_db main; client_body_in_single_buffer on;\n"
                       " client_body_buffer_size 2m; }\n"
                       "location /levels/ { small_db main; client_body_temp_path temp_levels 1 2;\n"
                       " client_body_buffer_size 100; }\n"});
  server.start();
  HttpClient client(server.port());
  HttpClient http2(server.http2_port());
  for (const char* mount : {"/file", "/clean", "/tiny", "/single", "/levels"}) {
    for (const size_t bytes : {size_t{0}, size_t{1}, size_t{500'000}}) {
      for (const bool chunked : {false, true}) {
        const std::string target = std::string(mount) + "/kv/k";
        const std::string value(bytes, chunked ? 'c' : 'l');
        HttpRequest request{
            .method = "PUT", .target = target, .body = base64_envelope(value), .chunked = chunked};
        expect_ok(client.send(request));
        EXPECT_TRUE(value_in(client.get(target)) == value) << target << bytes;
        request.body = base64_envelope(value + "2");
        request.version = HttpVersion::k2PriorKnowledge;
        expect_ok(http2.send(request));
        EXPECT_TRUE(value_in(client.get(target)) == value + "2") << target << bytes;
        expect_problem(client.put(target, ""), 400, "invalid-body");
        expect_ok(client.del(target));
      }
    }
  }
}

// As nginx.conf.example has it.
constexpr const char* kTooLongSnippet =
    "location /told/ { small_db main; client_max_body_size 1k; error_page 413 @body_too_long; }\n"
    "location @body_too_long { default_type application/problem+json;\n"
    " return 413 '{\"type\":\"about:blank\",\"status\":413}'; }\n";

TEST(Input, OverNginxsLimitIsRefusedAndStoresNothing) {
  NginxServer server(
      {.store_lines = "max_value_size 1m;\n",
       .server_lines = "location /short/ { small_db main; client_max_body_size 1k; }\n" +
                       std::string(kTooLongSnippet)});
  server.start();
  for (const auto version : {HttpVersion::k1_1, HttpVersion::k2PriorKnowledge}) {
    const int port = version == HttpVersion::k1_1 ? server.port() : server.http2_port();
    for (const size_t bytes : {size_t{2'000}, size_t{500'000}}) {
      for (const bool chunked : {false, true}) {
        for (const char* mount : {"/short", "/told"}) {
          HttpClient client(port);
          const HttpResponse refused =
              client.send({.method = "PUT",
                           .target = std::string(mount) + "/kv/k",
                           .body = base64_envelope(std::string(bytes, 'x')),
                           .chunked = chunked,
                           .version = version});
          EXPECT_TRUE(is_early_refusal(refused, 413)) << mount << bytes << chunked << refused.error;
          if (refused.status != 0) {
            EXPECT_EQ(refused.header("Content-Type"),
                      mount[1] == 's' ? "text/html" : "application/problem+json");
          }
          EXPECT_EQ(HttpClient(server.port()).get("/v1/kv/k").status, 404);
        }
      }
    }
    HttpClient client(port);
    expect_ok(client.send({.method = "PUT",
                           .target = "/short/kv/fits",
                           .body = base64_envelope(std::string(600, 'x')),
                           .version = version}));
  }
}

// Lines of an access log as they come.
std::vector<std::vector<std::string>> log_lines(const std::string& file) {
  std::vector<std::vector<std::string>> lines;
  std::istringstream log(read_file(file));
  for (std::string line; std::getline(log, line);) {
    std::istringstream fields(line);
    lines.emplace_back();
    for (std::string field; fields >> field;) lines.back().push_back(field);
  }
  return lines;
}

TEST(AccessLog, TellsWhatWasAnsweredAndHowLongItTook) {
  const TempDirectory directory;
  const std::string file = directory.path() + "/access.log";
  NginxServer server(
      {.http_lines = "log_format figures '$request_method $uri $status $body_bytes_sent "
                     "$request_time $request_length';\n",
       .server_lines = "location /log/ { small_db main; access_log " + file + " figures; }\n"});
  server.start();
  HttpClient client(server.port());
  const std::string body = base64_envelope(std::string(50'000, 'x'));
  const HttpResponse answers[] = {client.put("/log/kv/k", body),
                                  client.get("/log/kv/k"),
                                  client.get("/log/kv/no-such-key"),
                                  client.put("/log/kv/k", "{"),
                                  client.send({.method = "BREW", .target = "/log/kv/k"}),
                                  client.send({.method = "OPTIONS", .target = "/log/kv/k"})};
  const long statuses[] = {200, 200, 404, 400, 405, 204};
  ASSERT_TRUE(poll_until([&] { return log_lines(file).size() == std::size(answers); }));
  const auto lines = log_lines(file);
  for (size_t i = 0; i < lines.size(); i++) {
    ASSERT_EQ(lines[i].size(), 6u);
    EXPECT_EQ(answers[i].status, statuses[i]);
    EXPECT_EQ(lines[i][2], std::to_string(statuses[i]));
    EXPECT_EQ(lines[i][3], std::to_string(answers[i].body.size()));
  }
  EXPECT_GT(std::stoul(lines[0][5]), body.size());
  // A missing key is no event for the error log.
  EXPECT_EQ(server.error_log().find("no-such-key"), std::string::npos);

  // A write that waits, and one whose client does not.
  const pid_t storage = server.storage_process();
  ASSERT_GT(storage, 0);
  ASSERT_TRUE(freeze(storage));
  const std::string put =
      " HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\nConnection: close\r\n\r\n"
      R"({"value":"YQ=="})";
  RawConnection leaves(server.port());
  leaves.send("PUT /log/kv/left" + put);
  RawConnection waits(server.port());
  waits.send("PUT /log/kv/waited" + put);
  const auto start = std::chrono::steady_clock::now();
  EXPECT_TRUE(poll_until(
      [&] { return std::chrono::steady_clock::now() - start >= std::chrono::milliseconds(200); }));
  leaves.close();
  EXPECT_TRUE(poll_until([&] { return log_lines(file).size() > lines.size(); }));
  ASSERT_EQ(kill(storage, SIGCONT), 0);
  EXPECT_EQ(raw_status(waits.receive_all()), 200);
  ASSERT_TRUE(poll_until([&] { return log_lines(file).size() == lines.size() + 2; }));
  const auto last = log_lines(file);
  EXPECT_EQ(last[lines.size()][1], "/log/kv/left");
  EXPECT_EQ(last[lines.size()][2], "499");
  EXPECT_EQ(last[lines.size() + 1][1], "/log/kv/waited");
  EXPECT_EQ(last[lines.size() + 1][2], "200");
  EXPECT_GE(std::stod(last[lines.size() + 1][4]), 0.15);
}

TEST(Connections, EndWhenNginxIsToldSo) {
  NginxServer server({.store_lines = "max_value_size 1k;\n",
                      .server_lines = "location /once/ { small_db main; keepalive_requests 1; }\n"
                                      "location /never/ { small_db main; keepalive_timeout 0; }\n"
                                      "location /linger/ { small_db main; keepalive_timeout 0;\n"
                                      " lingering_close always; }\n"});
  server.start();
  const std::string body = base64_envelope("x");
  const std::string length = "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  const std::string big(3'000'000, 'b');
  for (const std::string mount : {"/once", "/never", "/linger"}) {
    const std::string head = "PUT " + mount + "/kv/k HTTP/1.1\r\nHost: h\r\n";
    const std::string answer = raw_exchange(server.port(), head + length + body);
    EXPECT_EQ(raw_status(answer), 200) << mount;
    EXPECT_NE(answer.find("Connection: close"), std::string::npos) << mount;
    EXPECT_EQ(answer.substr(answer.size() - 11), R"({"ok":true})") << mount;
    // Refused before its body has come: who sends all of it still gets the answer.
    RawConnection connection(server.port());
    EXPECT_TRUE(connection.send(head + "Content-Length: 3000000\r\n\r\n")) << mount;
    EXPECT_TRUE(connection.send(big)) << mount;
    const std::string refused = connection.receive_until("too-large");
    EXPECT_EQ(raw_status(refused), 413) << mount;
  }
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "x");
}

// One store is full, then its files are damaged: nobody else notices.
TEST(Trouble, OfAStoreIsItsOwn) {
  const TempDirectory other;
  write_file(other.path() + "/page.html", "the page\n");
  NginxServer server(
      {.memory = "5m",
       .store_lines = "max_value_size 8m;\n",
       .http_lines = "small_db_store other { dir " + other.path() + "/data; memory 8m; }\n",
       .server_lines = "location /other/ { small_db other; }\n"
                       "location = /page.html { root " +
                       other.path() +
                       "; }\n"
                       "location /sorry/ { small_db main; small_db_intercept_errors on;\n"
                       " error_page 503 /page.html; }\n"});
  server.start();
  HttpClient client(server.port());
  ASSERT_TRUE(poll_until([&] { return client.get("/other/health").status == 200; }));
  const auto expect_the_rest_to_work = [&](const std::string& value) {
    EXPECT_EQ(client.get("/page.html").body, "the page\n");
    EXPECT_EQ(client.get("/static").body, "static\n");
    expect_ok(client.put("/other/kv/k", base64_envelope(value)));
    EXPECT_EQ(value_in(client.get("/other/kv/k")), value);
    expect_ok(client.get("/other/health"));
    expect_ok(client.send({.method = "POST", .target = "/other/checkpoint"}));
  };
  const std::string big = base64_envelope(std::string(6'000'000, 'b'));
  expect_problem(client.put("/v1/kv/big", big), 507, "no-memory");
  expect_the_rest_to_work("one");
  server.stop();
  write_file(server.data_directory() + "/version", "junk\n");
  server.start(Until::kListening);
  server.allow_log("version");
  ASSERT_TRUE(poll_until([&] {
    return client.get("/v1/health").body.find("refused") != std::string::npos;
  })) << client.get("/v1/health").body;
  ASSERT_TRUE(poll_until([&] { return client.get("/other/health").status == 200; }));
  expect_problem(client.get("/v1/kv/k"), 503, "unavailable");
  const HttpResponse sorry = client.get("/sorry/kv/k");
  EXPECT_EQ(sorry.status, 503);
  EXPECT_EQ(sorry.body, "the page\n");
  EXPECT_EQ(sorry.header("Retry-After"), "1");
  expect_the_rest_to_work("two");
}

}  // namespace
}  // namespace small_db::testing
