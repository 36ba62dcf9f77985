// Requests that are wrong: each is answered with its status and the cause, and nothing is stored.
#include <gtest/gtest.h>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

class Malformed : public ::testing::Test {
 protected:
  void SetUp() override { server_.start(); }
  HttpResponse put(const std::string& body) {
    return HttpClient(server_.port()).put("/v1/kv/k", body);
  }
  NginxServer server_;
};

TEST_F(Malformed, BodiesAreRefusedWithCauseAndPosition) {
  const std::pair<std::string, std::string> cases[] = {
      {"", "at byte 0 of the body: unexpected end of input"},
      {"not json", "at byte 1 of the body: invalid literal"},
      {"[]", "at byte 0 of the body: the body must be a JSON object"},
      {"{}", "at byte 1 of the body: the member 'value' is missing"},
      {R"({"value":5})", "at byte 9 of the body: the member 'value' must be a string"},
      {R"({"value":null})", "at byte 9 of the body: the member 'value' must be a string"},
      {R"({"value":"","x":1})", "at byte 12 of the body: unknown member 'x'"},
      {R"({"value":"","value":""})", "at byte 12 of the body: a second member 'value'"},
      {R"({"value":""} x)", "at byte 13 of the body: invalid literal"},
      {R"({"value":"","encoding":"hex"})", "at byte 23 of the body: unknown encoding 'hex'"},
      {R"({"value":"Zg"})", "at byte 12 of the body: the base64 text lacks its padding"},
      {R"({"value":"Zh=="})", "at byte 11 of the body: unused bits"},
      {R"({"value":"Zm9v\n"})", "at byte 14 of the body: a character outside"},
      {"{\"value\":\"\xff\",\"encoding\":\"utf-8\"}", "at byte 10 of the body: invalid string"},
      {"{\"value\":\"\\ud800\",\"encoding\":\"utf-8\"}", "at byte 16 of the body: invalid string"},
      {"\xef\xbb\xbf{\"value\":\"\"}", "at byte 0 of the body: a byte-order mark"},
      {"{\"value\":" + std::string(100'000, '['), "at byte 9 of the body: the member 'value'"},
  };
  for (const auto& [body, detail] : cases) {
    expect_problem(put(body), 400, "invalid-body", detail);
  }
  EXPECT_EQ(HttpClient(server_.port()).get("/v1/kv/k").status, 404);
}

TEST_F(Malformed, PutWithoutABodyIsRefused) {
  const std::string answer =
      raw_exchange(server_.port(), "PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(raw_status(answer), 400);
  EXPECT_NE(answer.find("urn:small-db:problem:invalid-body"), std::string::npos);
}

TEST_F(Malformed, PathsThatNginxResolvesAreRefused) {
  HttpClient client(server_.port());
  for (const char* target :
       {"/v1/kv/a//b", "/v1/kv/a/../b", "/v1/kv/a/./b", "/v1/kv/a%2f%2fb", "/v1/kv/%2e%2e/kv/a",
        "/v1/kv/a/%2e", "/v1/kv/a/..%2fb", "/v1//kv/a", "//v1/kv/a", "/v1/kv/%2F", "/v1/kv/."}) {
    expect_problem(client.get(target), 400, "ambiguous-path", "/v1/kv?key=PERCENT-ENCODED-KEY");
    expect_problem(client.put(target, base64_envelope("x")), 400, "ambiguous-path");
    expect_problem(client.del(target), 400, "ambiguous-path");
  }
}

TEST_F(Malformed, FragmentsAreRefused) {
  for (const char* target : {"/v1/kv/a#b", "/v1/kv?key=a#b"}) {
    const std::string answer =
        raw_exchange(server_.port(), std::string("GET ") + target +
                                         " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(raw_status(answer), 400) << target;
    EXPECT_NE(answer.find("%23"), std::string::npos) << answer;
  }
}

TEST_F(Malformed, AbsoluteTargetsNameTheSameKey) {
  HttpClient client(server_.port());
  expect_ok(client.put("/v1/kv/a%2Fb", base64_envelope("absolute")));
  const std::string answer = raw_exchange(
      server_.port(),
      "GET http://other.example:1234/v1/kv/a%2Fb HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  EXPECT_EQ(raw_status(answer), 200);
  EXPECT_NE(answer.find(R"({"key":"a/b",)"), std::string::npos) << answer;
}

TEST_F(Malformed, EmptyKeysAreRefused) {
  HttpClient client(server_.port());
  for (const char* target : {"/v1/kv/", "/v1/kv?key=", "/v1/kv?key"}) {
    expect_problem(client.get(target), 400, "invalid-key", "key");
    expect_problem(client.put(target, base64_envelope("x")), 400, "invalid-key");
  }
}

TEST_F(Malformed, WhatNginxItselfRefusesDoesNoHarm) {
  const std::string close = " HTTP/1.1\r\nHost: h\r\nConnection: close\r\n";
  const std::string requests[] = {
      "GET /v1/kv/%00" + close + "\r\n",
      "GET /v1/kv/%zz" + close + "\r\n",
      "GET /v1/kv/../../.." + close + "\r\n",
      "GET /v1/kv/a HTTP/1.1\r\nConnection: close\r\n\r\n",
      "PUT /v1/kv/k" + close + "Content-Length: -1\r\n\r\n",
      "PUT /v1/kv/k" + close + "Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
      "PUT /v1/kv/k" + close + "Transfer-Encoding: chunked\r\n\r\nzz\r\n",
      "PUT /v1/kv/k" + close + "Content-Length: 99999999999999999999\r\n\r\n",
  };
  for (const std::string& request : requests) {
    const int status = raw_status(raw_exchange(server_.port(), request));
    EXPECT_TRUE(status == 400 || status == 413) << status << ": " << request;
  }
  EXPECT_EQ(HttpClient(server_.port()).get("/v1/kv/k").status, 404);
}

TEST_F(Malformed, ABodyThatIsCutShortStoresNothing) {
  const std::string body = base64_envelope("value");
  for (const size_t sent : {size_t{0}, body.size() / 2, body.size() - 1}) {
    RawConnection connection(server_.port());
    connection.send("PUT /v1/kv/k HTTP/1.1\r\nHost: h\r\nContent-Length: " +
                    std::to_string(body.size()) + "\r\n\r\n" + body.substr(0, sent));
    connection.close();
  }
  HttpClient client(server_.port());
  expect_ok(client.put("/v1/kv/after", base64_envelope("x")));
  EXPECT_EQ(client.get("/v1/kv/k").status, 404);
}

TEST_F(Malformed, ConditionsThatDoNotHoldAreNotIgnored) {
  HttpClient client(server_.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("one")));
  for (const char* header : {"If-Match: \"7777\"", "If-None-Match: *"}) {
    const HttpResponse response = client.send({.method = "PUT",
                                               .target = "/v1/kv/k",
                                               .body = base64_envelope("two"),
                                               .headers = {header}});
    EXPECT_EQ(response.status, 412) << header;
  }
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "one");
}

}  // namespace
}  // namespace small_db::testing
