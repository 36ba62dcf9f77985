#include "ngx_module/api/write_parameters.h"

#include <gtest/gtest.h>

#include <string>

#include "ngx_module/api/write_answers.h"

namespace small_db {
namespace {

constexpr uint64_t kNow = 1'700'000'000'000;

Query query_of(std::string_view args) {
  Query query;
  EXPECT_FALSE(parse_query(args, &query)) << args;
  return query;
}

std::string expiry_fault(std::string_view args) {
  Expiry expiry;
  const auto problem = read_expiry(query_of(args), kNow, &expiry);
  if (!problem) return "taken";
  EXPECT_EQ(problem->status, 400);
  return problem->detail;
}

TEST(WriteParameters, SayWhenARecordExpires) {
  Expiry expiry;
  ASSERT_FALSE(read_expiry(query_of("ttl=15m"), kNow, &expiry));
  EXPECT_EQ(expiry.expires_at_ms, kNow + 900'000);
  ASSERT_FALSE(read_expiry(query_of("expires_at=2023-11-14T23:13:21%2B01:00"), kNow, &expiry));
  EXPECT_EQ(expiry.expires_at_ms, kNow + 1000);
  ASSERT_FALSE(read_expiry(query_of("raw"), kNow, &expiry));
  EXPECT_FALSE(expiry.is_given);
}

TEST(WriteParameters, SayWhatIsWrongWithATime) {
  EXPECT_EQ(expiry_fault("ttl=5&expires_at=1800000000"),
            "give either 'ttl' or 'expires_at', not both");
  EXPECT_EQ(expiry_fault("ttl=0"), "the parameter 'ttl' must be more than zero");
  EXPECT_EQ(expiry_fault("expires_at=1600000000"),
            "the parameter 'expires_at' must lie in the future");
  EXPECT_NE(expiry_fault("ttl="), "taken");
  EXPECT_NE(expiry_fault("ttl"), "taken");
}

TEST(WriteParameters, SayTheStepOfACounter) {
  CounterStep step;
  ASSERT_FALSE(read_counter_step(query_of("incr=-5&init=9223372036854775807"), &step));
  EXPECT_EQ(step.delta, -5);
  EXPECT_EQ(step.initial, INT64_MAX);
  ASSERT_FALSE(read_counter_step(query_of("incr=1"), &step));
  EXPECT_EQ(step.initial, 0);
  for (const char* args : {"", "init=1", "incr=", "incr", "incr=x", "incr=1.5", "incr=+1",
                           "incr=9223372036854775808", "incr=1&init=", "incr=1&init=0x5"}) {
    const auto problem = read_counter_step(query_of(args), &step);
    ASSERT_TRUE(problem) << args;
    EXPECT_STREQ(problem->type, "urn:small-db:problem:invalid-query");
  }
}

TEST(WriteParameters, TheBodysFormFollowsTheContentType) {
  const Query none;
  for (const char* type : {"", "application/json", "Application/JSON; charset=utf-8",
                           "application/x-www-form-urlencoded", "application/json ;x=y"}) {
    EXPECT_EQ(body_form(type, none), BodyForm::kEnvelope) << type;
    EXPECT_EQ(body_form(type, query_of("raw")), BodyForm::kRaw) << type;
  }
  for (const char* type : {"text/plain", "application/octet-stream", "application/jsonx", "json",
                           "application/ld+json"}) {
    EXPECT_EQ(body_form(type, none), BodyForm::kRaw) << type;
    EXPECT_EQ(body_form(type, query_of("raw=false")), BodyForm::kEnvelope) << type;
  }
  EXPECT_EQ(body_form("multipart/form-data; boundary=x", none), BodyForm::kMultipart);
  EXPECT_EQ(body_form("multipart/form-data; boundary=x", query_of("raw=1")), BodyForm::kRaw);
}

TEST(WriteAnswers, AreTheDocumentedJson) {
  EXPECT_EQ(CounterBody(INT64_MIN, UINT64_MAX).text(),
            R"({"value":"-9223372036854775808","revision":18446744073709551615})");
  EXPECT_EQ(CountBody(UINT64_MAX, UINT64_MAX).text(),
            R"({"ok":true,"revision":18446744073709551615,"count":18446744073709551615})");
}

}  // namespace
}  // namespace small_db
