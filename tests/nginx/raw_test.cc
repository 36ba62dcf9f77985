// How a value is shown (JSON, text, bytes), in whole and in parts, and the conditions of a GET.
#include <gtest/gtest.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

constexpr const char* kOctets = "application/octet-stream";
// Neither UTF-8 nor anything that a browser should look into.
const std::string kValue = std::string("<script>\0\xff 0123456789", 20);

class Raw : public ::testing::Test {
 protected:
  void SetUp() override {
    server_.start();
    client_ = std::make_unique<HttpClient>(server_.port());
    expect_ok(client_->put("/v1/kv/k", base64_envelope(kValue)));
  }
  HttpResponse ask(const std::string& target, std::vector<std::string> headers = {},
                   const std::string& method = "GET") {
    return client_->send({.method = method, .target = target, .headers = std::move(headers)});
  }
  NginxServer server_{{.http_lines = "add_header X-Once seen always;\n",
                       .server_lines = "location /gzip/ { small_db main; gzip on;\n"
                                       " gzip_min_length 1; gzip_types *; }\n"
                                       "location /pages/ { small_db main;\n"
                                       " error_page 404 406 412 416 /page; }\n"
                                       "location = /page { return 200 page; }\n"}};
  std::unique_ptr<HttpClient> client_;
};

void expect_octets(const HttpResponse& response, long status) {
  EXPECT_EQ(response.status, status) << response.error;
  EXPECT_EQ(response.header("Content-Type"), kOctets);
  EXPECT_EQ(response.header("X-Content-Type-Options"), "nosniff");
  EXPECT_EQ(response.header("Content-Security-Policy"), "sandbox");
  EXPECT_EQ(response.header("Accept-Ranges"), status == 206 ? "" : "bytes");
  EXPECT_EQ(response.header("Vary"), "Accept");
}

long count_of(const HttpResponse& response, const std::string& start) {
  return std::count_if(response.headers.begin(), response.headers.end(),
                       [&](const std::string& line) { return line.find(start) == 0; });
}

TEST_F(Raw, BytesAreTheBody) {
  for (const char* target : {"/v1/kv/k?raw", "/v1/kv?key=k&raw=true"}) {
    const HttpResponse response = ask(target);
    expect_octets(response, 200);
    EXPECT_EQ(response.body, kValue);
    EXPECT_EQ(response.header("Content-Length"), std::to_string(kValue.size()));
    const HttpResponse head = ask(target, {}, "HEAD");
    expect_octets(head, 200);
    EXPECT_EQ(head.body, "");
    EXPECT_EQ(head.header("Content-Length"), std::to_string(kValue.size()));
    EXPECT_EQ(head.header("ETag"), response.header("ETag"));
  }
}

TEST_F(Raw, BytesComeToWhoAcceptsNothingElse) {
  const HttpResponse octets = ask("/v1/kv/k", {std::string("Accept: ") + kOctets});
  expect_octets(octets, 200);
  EXPECT_EQ(octets.body, kValue);
  for (const char* accept : {"*/*", "application/json, application/octet-stream", "text/html",
                             "application/octet-stream;q=0.1, application/json;q=0.2"}) {
    const HttpResponse json = ask("/v1/kv/k", {std::string("Accept: ") + accept});
    EXPECT_EQ(value_in(json), kValue) << accept;
    EXPECT_EQ(json.header("Vary"), "Accept");
  }
}

TEST_F(Raw, AnEmptyValueIsAnEmptyBody) {
  expect_ok(client_->put("/v1/kv/empty", base64_envelope("")));
  const HttpResponse response = ask("/v1/kv/empty?raw");
  expect_octets(response, 200);
  EXPECT_EQ(response.body, "");
  EXPECT_EQ(response.header("Content-Length"), "0");
  EXPECT_EQ(value_in(ask("/v1/kv/k")), kValue);
}

TEST_F(Raw, ValuesOfManyExtentsComeWhole) {
  std::string value;
  for (int i = 0; value.size() < 700'000; i++) value += std::to_string(i) + " \xc3\xa4\n";
  expect_ok(client_->put("/v1/kv/long", base64_envelope(value)));
  EXPECT_TRUE(ask("/v1/kv/long?raw").body == value);
  const HttpResponse text = ask("/v1/kv/long?encoding=utf-8");
  EXPECT_TRUE(nlohmann::json::parse(text.body)["value"] == value);
  const HttpResponse part = ask("/v1/kv/long?raw", {"Range: bytes=32700-600000"});
  EXPECT_EQ(part.status, 206);
  EXPECT_TRUE(part.body == value.substr(32700, 600000 - 32700 + 1));
}

TEST_F(Raw, RangesAreParts) {
  const std::string size = std::to_string(kValue.size());
  const struct {
    const char* range;
    size_t start;
    size_t end;
  } rows[] = {
      {"bytes=0-4", 0, 5}, {"bytes=5-", 5, 20}, {"bytes=-3", 17, 20}, {"bytes=10-999", 10, 20}};
  for (const auto& row : rows) {
    const HttpResponse part = ask("/v1/kv/k?raw", {std::string("Range: ") + row.range});
    expect_octets(part, 206);
    EXPECT_EQ(part.body, kValue.substr(row.start, row.end - row.start)) << row.range;
    EXPECT_EQ(part.header("Content-Range"), "bytes " + std::to_string(row.start) + "-" +
                                                std::to_string(row.end - 1) + "/" + size);
  }
  const HttpResponse parts = ask("/v1/kv/k?raw", {"Range: bytes=0-1,18-19"});
  EXPECT_EQ(parts.status, 206);
  EXPECT_EQ(parts.header("Content-Type").find("multipart/byteranges; boundary="), 0u);
  EXPECT_NE(parts.body.find(kValue.substr(0, 2)), std::string::npos);
  // A range is of the bytes alone, and of a GET.
  EXPECT_EQ(value_in(ask("/v1/kv/k", {"Range: bytes=0-4"})), kValue);
  EXPECT_EQ(ask("/v1/kv/k?raw", {"Range: bytes=0-4"}, "HEAD").status, 200);
}

TEST_F(Raw, ARangeBeyondTheEndIsAProblem) {
  for (const char* target : {"/v1/kv/k?raw", "/pages/kv/k?raw"}) {
    const HttpResponse response = ask(target, {"Range: bytes=20-"});
    expect_problem(response, 416, "range-not-satisfiable", "the 20 bytes");
    EXPECT_EQ(response.header("Content-Range"), "bytes */20");
    EXPECT_EQ(count_of(response, "X-Once: "), 1);
    EXPECT_EQ(count_of(response, "Content-Range: "), 1);
    EXPECT_EQ(count_of(response, "Content-Type: "), 1);
    EXPECT_EQ(count_of(response, "ETag: "), 1);
  }
  EXPECT_EQ(ask("/v1/kv/k?raw").body, kValue);
}

TEST_F(Raw, IfRangeTakesThePartOnlyOfTheSameRevision) {
  const std::string etag = ask("/v1/kv/k?raw").header("ETag");
  EXPECT_EQ(ask("/v1/kv/k?raw", {"Range: bytes=0-1", "If-Range: " + etag}).status, 206);
  expect_ok(client_->put("/v1/kv/k", base64_envelope("another")));
  const HttpResponse whole = ask("/v1/kv/k?raw", {"Range: bytes=0-1", "If-Range: " + etag});
  EXPECT_EQ(whole.status, 200);
  EXPECT_EQ(whole.body, "another");
  const HttpResponse weak =
      ask("/v1/kv/k?raw", {"Range: bytes=0-1", "If-Range: W/" + whole.header("ETag")});
  EXPECT_EQ(weak.status, 200);
}

TEST_F(Raw, TextIsShownWhereItIsUtf8) {
  expect_ok(client_->put("/v1/kv/t", base64_envelope("h\xc3\xa4llo \"\n\x01\x7f")));
  const HttpResponse response = ask("/v1/kv/t?encoding=UTF8");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  EXPECT_EQ(response.body,
            "{\"key\":\"t\",\"value\":\"h\xc3\xa4llo \\\"\\n\\u0001\x7f\","
            "\"encoding\":\"utf-8\"}");
  EXPECT_EQ(ask("/v1/kv/t?encoding=utf-8", {}, "HEAD").header("Content-Length"),
            std::to_string(response.body.size()));
  EXPECT_EQ(value_in(ask("/v1/kv/k?encoding=base64")), kValue);
  expect_problem(ask("/v1/kv/k?encoding=utf-8"), 406, "not-acceptable", "not UTF-8");
  expect_problem(ask("/pages/kv/k?encoding=utf-8"), 406, "not-acceptable", "not UTF-8");
}

TEST_F(Raw, ParametersThatMakeNoSenseAreRefused) {
  expect_problem(ask("/v1/kv/k?raw=maybe"), 400, "invalid-query", "'raw' is a flag");
  expect_problem(ask("/v1/kv/k?encoding=hex"), 400, "invalid-query", "'hex'");
  expect_problem(ask("/v1/kv/k?raw&encoding=utf-8"), 400, "invalid-query", "contradict");
  expect_problem(ask("/v1/kv/k?prefix=a"), 400, "invalid-query", "'prefix'");
  expect_problem(ask("/v1/role?raw"), 400, "invalid-query", "'raw'");
}

TEST_F(Raw, TheTagIsTheRevisionOfTheLastChange) {
  const std::string first = ask("/v1/kv/k").header("ETag");
  EXPECT_EQ(first, ask("/v1/kv/k?raw").header("ETag"));
  ASSERT_GT(first.size(), 2u);
  expect_ok(client_->put("/v1/kv/other", base64_envelope("x")));
  EXPECT_EQ(ask("/v1/kv/k").header("ETag"), first);
  expect_ok(client_->put("/v1/kv/k", base64_envelope(kValue)));
  const std::string second = ask("/v1/kv/k").header("ETag");
  EXPECT_EQ(std::stoull(second.substr(1)), std::stoull(first.substr(1)) + 2);
}

TEST_F(Raw, WhatIsKnownIsNotSentAgain) {
  const std::string etag = ask("/v1/kv/k").header("ETag");
  for (const std::string& known : {etag, "W/" + etag, "\"x\", " + etag, std::string("*")}) {
    for (const char* target : {"/v1/kv/k", "/v1/kv/k?raw", "/v1/kv/k?encoding=utf-8"}) {
      for (const char* method : {"GET", "HEAD"}) {
        const HttpResponse response = ask(target, {"If-None-Match: " + known}, method);
        EXPECT_EQ(response.status, 304) << known << " " << target;
        EXPECT_EQ(response.body, "");
        EXPECT_EQ(response.header("ETag"), etag);
        EXPECT_EQ(response.header("Vary"), "Accept");
        EXPECT_EQ(response.header("Content-Type"), "");
      }
    }
  }
  EXPECT_EQ(value_in(ask("/v1/kv/k", {"If-None-Match: \"1234567\""})), kValue);
  EXPECT_EQ(ask("/v1/kv/missing", {"If-None-Match: *"}).status, 404);
  // No date is known of a record.
  EXPECT_EQ(value_in(ask("/v1/kv/k", {"If-Modified-Since: Fri, 01 Jan 2100 00:00:00 GMT"})),
            kValue);
}

TEST_F(Raw, AReadMayDemandARevision) {
  const std::string etag = ask("/v1/kv/k").header("ETag");
  EXPECT_EQ(value_in(ask("/v1/kv/k", {"If-Match: " + etag})), kValue);
  EXPECT_EQ(value_in(ask("/v1/kv/k", {"If-Match: *"})), kValue);
  for (const char* target : {"/v1/kv/k", "/pages/kv/k"}) {
    const HttpResponse failed = ask(target, {"If-Match: \"999999\""});
    expect_problem(failed, 412, "condition-failed", "If-Match");
    EXPECT_EQ(failed.header("ETag"), etag);
  }
  expect_problem(ask("/v1/kv/k", {"If-Match: W/" + etag}), 412, "condition-failed", "weak");
  expect_problem(ask("/v1/kv/missing", {"If-Match: *"}), 404, "not-found");
  expect_problem(ask("/v1/kv/k", {"If-Match: 7"}), 400, "invalid-header", "If-Match");
  expect_problem(ask("/v1/kv/k", {"If-None-Match: 7"}), 400, "invalid-header", "If-None-Match");
}

TEST_F(Raw, CompressionMakesTheTagWeak) {
  expect_ok(client_->put("/v1/kv/z", base64_envelope(std::string(5000, 'z'))));
  const HttpResponse zipped = ask("/gzip/kv/z?raw", {"Accept-Encoding: gzip", "Range: bytes=0-9"});
  EXPECT_EQ(zipped.status, 200);
  EXPECT_EQ(zipped.header("Content-Encoding"), "gzip");
  const std::string etag = zipped.header("ETag");
  EXPECT_EQ(etag.find("W/\""), 0u);
  EXPECT_EQ(ask("/gzip/kv/z?raw", {"Accept-Encoding: gzip", "If-None-Match: " + etag}).status, 304);
  expect_problem(ask("/gzip/kv/z", {"If-Match: " + etag}), 412, "condition-failed", "weak");
}

TEST_F(Raw, ErrorPagesDoNotReplaceAnswers) {
  expect_problem(ask("/pages/kv/missing?raw"), 404, "not-found");
  EXPECT_EQ(ask("/pages/kv/k?raw").body, kValue);
}

TEST_F(Raw, AllOfItWorksOverHttp2) {
  HttpClient client(server_.http2_port());
  const auto ask2 = [&](const char* target, std::vector<std::string> headers = {}) {
    return client.send({.target = target,
                        .headers = std::move(headers),
                        .version = HttpVersion::k2PriorKnowledge});
  };
  const HttpResponse whole = ask2("/v1/kv/k?raw");
  expect_octets(whole, 200);
  EXPECT_EQ(whole.body, kValue);
  EXPECT_EQ(ask2("/v1/kv/k", {"Accept: application/octet-stream"}).body, kValue);
  EXPECT_EQ(ask2("/v1/kv/k?raw", {"Range: bytes=1-2"}).body, kValue.substr(1, 2));
  expect_problem(ask2("/v1/kv/k?raw", {"Range: bytes=50-"}), 416, "range-not-satisfiable");
  EXPECT_EQ(ask2("/v1/kv/k", {"If-None-Match: " + whole.header("ETag")}).status, 304);
  EXPECT_EQ(value_in(ask2("/v1/kv/k")), kValue);
}

}  // namespace
}  // namespace small_db::testing
