#include "ngx_module/api/key_path.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <string>

namespace small_db {
namespace {

// A request as nginx hands it over when nothing had to be resolved: the normalised path is the
// decoded raw one.
RequestTarget request(std::string_view raw, std::string_view normalised,
                      std::string_view mount = "/v1/") {
  RequestTarget request;
  request.raw = raw;
  request.normalised = normalised;
  const size_t question = raw.find('?');
  if (question != std::string_view::npos) request.args = raw.substr(question + 1);
  request.mount = mount;
  return request;
}

std::string key_of(const RequestTarget& request) {
  Target target;
  const auto problem = parse_target(request, &target);
  EXPECT_FALSE(problem) << request.raw << ": " << (problem ? problem->detail : "");
  EXPECT_EQ(target.route, Route::kItem);
  return std::string(target.key);
}

// "TYPE: DETAIL" of the refusal.
std::string refusal_of(const RequestTarget& request) {
  Target target;
  const auto problem = parse_target(request, &target);
  if (!problem) return "accepted";
  return std::string(problem->type).substr(std::string("urn:small-db:problem:").size()) + ": " +
         problem->detail;
}

TEST(KeyPath, TakesEverythingAfterKv) {
  EXPECT_EQ(key_of(request("/v1/kv/a", "/v1/kv/a")), "a");
  EXPECT_EQ(key_of(request("/v1/kv/a/b/c", "/v1/kv/a/b/c")), "a/b/c");
  EXPECT_EQ(key_of(request("/v1/kv/a/", "/v1/kv/a/")), "a/");
  EXPECT_EQ(key_of(request("/v1/kv/kv/kv/", "/v1/kv/kv/kv/")), "kv/kv/");
  EXPECT_EQ(key_of(request("/v1/kv/a?", "/v1/kv/a")), "a");
}

TEST(KeyPath, DecodesOnce) {
  EXPECT_EQ(key_of(request("/v1/kv/a%2Fb", "/v1/kv/a/b")), "a/b");
  EXPECT_EQ(key_of(request("/v1/kv/a%2fb", "/v1/kv/a/b")), "a/b");
  EXPECT_EQ(key_of(request("/v1/kv/a%252Fb", "/v1/kv/a%2Fb")), "a%2Fb");
  EXPECT_EQ(key_of(request("/v1/kv/a+b%20c%2B", "/v1/kv/a+b c+")), "a+b c+");
  EXPECT_EQ(key_of(request("/v1/kv/%3F%23%25", "/v1/kv/?#%")), "?#%");
  EXPECT_EQ(key_of(request("/%761/k%76%2fa", "/v1/kv/a")), "a");
  EXPECT_EQ(key_of(request("/v1/kv/%ff%C3%a4", "/v1/kv/\xff\xc3\xa4")), "\xff\xc3\xa4");
}

TEST(KeyPath, RefusesPathsThatNginxResolved) {
  const std::string cause =
      " of the path: it has segments that are resolved away (//, /./ or /../); name the key as "
      "/v1/kv?key=PERCENT-ENCODED-KEY";
  const struct {
    const char* raw;
    const char* normalised;
    size_t position;
  } cases[] = {
      {"/v1/kv/open/..%2fsecret", "/v1/kv/secret", 7},
      {"/v1/kv/a//b", "/v1/kv/a/b", 9},
      {"/v1/kv/a%2f%2fb", "/v1/kv/a/b", 11},
      {"/v1/kv//", "/v1/kv/", 7},
      {"/v1/kv/./a", "/v1/kv/a", 7},
      {"/v1/kv/a/.", "/v1/kv/a/", 9},
      {"/v1/kv/%2e%2e/x", "/v1/x", 4},
      {"/v1/./kv/a", "/v1/kv/a", 4},
      {"//v1/kv/a", "/v1/kv/a", 1},
      {"/v1/kv/a", "/v1/kv/ab", 8},
      {"/v1/kv/ab", "/v1/kv/a", 8},
  };
  for (const auto& row : cases) {
    EXPECT_EQ(refusal_of(request(row.raw, row.normalised)),
              "ambiguous-path: at byte " + std::to_string(row.position) + cause)
        << row.raw;
  }
}

TEST(KeyPath, DoesNotReadBeyondTheNormalisedPath) {
  const std::string_view path = "/v1/kv/ab";
  EXPECT_EQ(refusal_of(request(path, path.substr(0, 8))).substr(0, 25),
            "ambiguous-path: at byte 8");
}

TEST(KeyPath, TakesSlashesThatNginxWasToldToKeep) {
  EXPECT_EQ(key_of(request("/v1/kv//a%2F/b", "/v1/kv//a//b")), "/a//b");
}

TEST(KeyPath, RefusesFragments) {
  const std::string refusal =
      ": a '#' must be written as %23; name the key as /v1/kv?key=PERCENT-ENCODED-KEY";
  EXPECT_EQ(refusal_of(request("/v1/kv/a#b", "/v1/kv/a")),
            "ambiguous-path: at byte 8 of the path" + refusal);
  EXPECT_EQ(refusal_of(request("/v1/kv?key=a#b", "/v1/kv")),
            "ambiguous-path: at byte 12 of the path" + refusal);
}

TEST(KeyPath, RefusesInvalidPercentEncoding) {
  const std::string cause = " of the path: a % needs two hexadecimal digits after it";
  for (const char* raw :
       {"/v1/kv/a%", "/v1/kv/a%2", "/v1/kv/a%zz", "/v1/kv/a%2g", "/v1/kv/a% 1", "/v1/kv/a%%41"}) {
    EXPECT_EQ(refusal_of(request(raw, "/v1/kv/a")), "invalid-path: at byte 8" + cause) << raw;
  }
}

TEST(KeyPath, RefusesTheEmptyKey) {
  EXPECT_EQ(refusal_of(request("/v1/kv/", "/v1/kv/")), "invalid-key: the key is empty");
  EXPECT_EQ(refusal_of(request("/v1/kv?key=", "/v1/kv")), "invalid-key: the key is empty");
  EXPECT_EQ(refusal_of(request("/v1/kv?key", "/v1/kv")), "invalid-key: the key is empty");
  EXPECT_EQ(refusal_of(request("/v1/kv/?key=a", "/v1/kv/")),
            "invalid-query: the parameter 'key' means nothing to this request; the ones it takes: "
            "raw, encoding");
}

TEST(KeyPath, TakesEveryKeyAsParameter) {
  for (int byte = 0; byte < 256; byte++) {
    char encoded[4];
    std::snprintf(encoded, sizeof(encoded), "%%%02x", byte);
    const std::string raw = std::string("/v1/kv?key=") + encoded;
    EXPECT_EQ(key_of(request(raw, "/v1/kv")), std::string(1, static_cast<char>(byte)));
  }
  EXPECT_EQ(key_of(request("/v1/kv?key=..", "/v1/kv")), "..");
  EXPECT_EQ(key_of(request("/v1/kv?key=a+b=c/d?e", "/v1/kv")), "a+b=c/d?e");
  EXPECT_EQ(key_of(request("/v1/kv?key=%2525", "/v1/kv")), "%25");
}

TEST(KeyPath, TakesEveryByteButNulInThePath) {
  for (int byte = 1; byte < 256; byte++) {
    char encoded[4];
    std::snprintf(encoded, sizeof(encoded), "%%%02X", byte);
    const std::string raw = std::string("/v1/kv/a") + encoded + "b";
    const std::string key = std::string("a") + static_cast<char>(byte) + "b";
    EXPECT_EQ(key_of(request(raw, "/v1/kv/" + key)), key);
  }
}

TEST(KeyPath, RefusesUnknownRepeatedAndMalformedParameters) {
  const std::pair<const char*, const char*> cases[] = {
      {"/v1/kv?key=a&key=a", "invalid-query: the parameter 'key' is given twice"},
      {"/v1/kv?key=a&x=1", "invalid-query: unknown parameter 'x'"},
      {"/v1/kv?x", "invalid-query: unknown parameter 'x'"},
      {"/v1/kv?Key=a", "invalid-query: unknown parameter 'Key'"},
      {"/v1/kv?%6bey=a", "invalid-query: unknown parameter '%6bey'"},
      {"/v1/kv?key=a&", "invalid-query: unknown parameter ''"},
      {"/v1/kv?&key=a", "invalid-query: unknown parameter ''"},
      {"/v1/kv?=a", "invalid-query: unknown parameter ''"},
      {"/v1/kv?key=ab%4",
       "invalid-query: at byte 2 of the parameter 'key': a % needs two hexadecimal digits after "
       "it"},
  };
  for (const auto& [raw, refusal] : cases) {
    EXPECT_EQ(refusal_of(request(raw, "/v1/kv")), refusal) << raw;
  }
  EXPECT_EQ(refusal_of(request("/v1/kv/a?key=b", "/v1/kv/a")),
            "invalid-query: the parameter 'key' means nothing to this request; the ones it takes: "
            "raw, encoding");
  EXPECT_EQ(refusal_of(request("/v1/health?raw", "/v1/health")),
            "invalid-query: the parameter 'raw' means nothing to this request; the ones it takes: "
            "none");
  EXPECT_EQ(refusal_of(request("/v1/health?a=b", "/v1/health")),
            "invalid-query: unknown parameter 'a'");
}

TEST(KeyPath, FindsTheOtherRoutes) {
  const std::pair<const char*, Route> routes[] = {
      {"/v1/health", Route::kHealth},     {"/v1/checkpoint", Route::kCheckpoint},
      {"/v1/role", Route::kRole},         {"/v1/status", Route::kStatus},
      {"/v1/txn", Route::kTransaction},   {"/v1/metrics", Route::kMetrics},
      {"/v1/snapshot", Route::kSnapshot}, {"/v1/openapi.json", Route::kOpenApi},
      {"/v1/kv", Route::kCollection}};
  for (const auto& [path, route] : routes) {
    Target target;
    target.key = "old";
    target.query.set(Parameter::kRaw, "");
    EXPECT_FALSE(parse_target(request(path, path), &target)) << path;
    EXPECT_EQ(target.route, route);
    EXPECT_EQ(target.key, "");
    EXPECT_TRUE(target.query.is_empty());
  }
}

TEST(KeyPath, RefusesUnknownPaths) {
  const std::string refusal =
      "unknown-path: there are kv, txn, health, role, status, metrics, snapshot, checkpoint, "
      "promote, replication/log, replication/checkpoint, replication/ack and openapi.json under "
      "/v1/";
  for (const char* path : {"/v1/", "/v1/kvx", "/v1/kv2/a", "/v1/health/", "/v1/Health", "/v1/x",
                           "/v1", "/v2/kv/a", "/"}) {
    EXPECT_EQ(refusal_of(request(path, path)), refusal) << path;
  }
}

TEST(KeyPath, TakesAnyMountPoint) {
  EXPECT_EQ(key_of(request("/kv/a", "/kv/a", "/")), "a");
  EXPECT_EQ(key_of(request("/flags/v1/kv/a", "/flags/v1/kv/a", "/flags/v1/")), "a");
  EXPECT_EQ(key_of(request("/flags/kv/a", "/flags/kv/a", "/flags")), "a");
  EXPECT_EQ(key_of(request("/m%20x/kv/a", "/m x/kv/a", "/m x/")), "a");
  EXPECT_EQ(refusal_of(request("/flagskv/a", "/flagskv/a", "/flags")).substr(0, 13),
            "unknown-path:");
  EXPECT_EQ(refusal_of(request("?key=a", "/", "/")).substr(0, 13), "unknown-path:");
  EXPECT_EQ(refusal_of(request("/kv//a", "/kv/a", "/")),
            "ambiguous-path: at byte 4 of the path: it has segments that are resolved away (//, "
            "/./ or /../); name the key as /kv?key=PERCENT-ENCODED-KEY");
}

TEST(KeyPath, ReadsTheNormalisedPathOfARewrittenRequest) {
  RequestTarget rewritten = request("", "/v1/kv/a b%41");
  EXPECT_EQ(key_of(rewritten), "a b%41");
  for (const char* from : {"/old/a%20b%2541", "/old/a/b...", "/old/.a/..b?x=//", "/old/"}) {
    rewritten.rewritten_from = from;
    EXPECT_EQ(key_of(rewritten), "a b%41") << from;
  }
}

TEST(KeyPath, RefusesARewrittenPathThatNginxHadChanged) {
  for (const char* from : {"/old/a//b", "/old/a%2F/b", "/old/./a", "/old/%2e%2E/a", "/old/a/..",
                           "/old/a/.", "/old/a%3F", "/old/a#b", "/old/a%", "/old/a%zz"}) {
    RequestTarget rewritten = request("", "/v1/kv/a");
    rewritten.rewritten_from = from;
    EXPECT_EQ(refusal_of(rewritten).find("ambiguous-path: nginx rewrote the path"), 0u) << from;
    RequestTarget by_parameter = request("", "/v1/kv");
    by_parameter.args = "key=a";
    by_parameter.rewritten_from = from;
    EXPECT_EQ(key_of(by_parameter), "a") << from;
  }
}

TEST(KeyPath, NamesTheLimitOfKeys) {
  RequestTarget limited = request("/v1/kv/abc", "/v1/kv/abc");
  limited.key_bytes_max = 3;
  EXPECT_EQ(key_of(limited), "abc");
  limited.key_bytes_max = 2;
  EXPECT_EQ(refusal_of(limited), "too-large: the key has 3 bytes, the limit max_key_size is 2");
  limited = request("/v1/kv?key=%41%42%43", "/v1/kv");
  limited.key_bytes_max = 3;
  EXPECT_EQ(key_of(limited), "ABC");
}

TEST(KeyPath, TellsTheCollectionFromAnItemByTheKey) {
  Target target;
  EXPECT_FALSE(parse_target(request("/v1/kv?prefix=a%2F&limit=5", "/v1/kv"), &target));
  EXPECT_EQ(target.route, Route::kCollection);
  EXPECT_EQ(target.query.text(Parameter::kPrefix), "a/");
  EXPECT_EQ(target.query.text(Parameter::kLimit), "5");
  EXPECT_EQ(refusal_of(request("/v1/kv?key=a&prefix=b", "/v1/kv")),
            "invalid-query: the parameter 'prefix' means nothing to this request; the ones it "
            "takes: key, raw, encoding");
}

TEST(KeyPath, TakesTheParametersOfTheMethod) {
  RequestTarget counter = request("/v1/kv/n?incr=1&ttl=5s", "/v1/kv/n");
  EXPECT_EQ(refusal_of(counter).substr(0, 35), "invalid-query: the parameter 'incr'");
  counter.method = Method::kPost;
  EXPECT_EQ(key_of(counter), "n");
  counter.method = Method::kOptions;
  EXPECT_EQ(key_of(counter), "n");
  counter.method = Method::kOther;  // the caller refuses the method
  EXPECT_EQ(key_of(counter), "n");
}

}  // namespace
}  // namespace small_db
