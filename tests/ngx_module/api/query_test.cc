#include "ngx_module/api/query.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

Query query_of(std::string_view args) {
  Query query;
  const auto problem = parse_query(args, &query);
  EXPECT_FALSE(problem) << args << ": " << (problem ? problem->detail : "");
  return query;
}

std::string refusal_of(std::string_view args) {
  Query query;
  const auto problem = parse_query(args, &query);
  if (!problem) return "accepted";
  EXPECT_EQ(problem->status, 400);
  EXPECT_STREQ(problem->type, "urn:small-db:problem:invalid-query");
  return problem->detail;
}

TEST(Query, DecodesValuesOnce) {
  const Query query = query_of("prefix=a%2Fb+c%25&start=%00%ff&end=");
  EXPECT_EQ(query.text(Parameter::kPrefix), "a/b+c%");
  EXPECT_EQ(query.text(Parameter::kStart), std::string_view("\0\xff", 2));
  EXPECT_EQ(query.value(Parameter::kEnd), std::string_view());
  EXPECT_EQ(query.value(Parameter::kLimit), std::nullopt);
  EXPECT_TRUE(query_of("").is_empty());
}

TEST(Query, ReadsFlags) {
  for (const char* args : {"raw", "raw=", "raw=true", "raw=1", "raw=%31"}) {
    EXPECT_TRUE(query_of(args).flag(Parameter::kRaw)) << args;
  }
  for (const char* args : {"raw=false", "raw=0", "", "values"}) {
    EXPECT_FALSE(query_of(args).flag(Parameter::kRaw)) << args;
  }
  EXPECT_EQ(refusal_of("raw=yes"),
            "the parameter 'raw' is a flag: it takes no value, true or 1, false or 0, and not "
            "'yes'");
}

TEST(Query, RefusesWhatItDoesNotUnderstand) {
  const std::pair<const char*, const char*> cases[] = {
      {"x=1", "unknown parameter 'x'"},
      {"RAW", "unknown parameter 'RAW'"},
      {"r%61w", "unknown parameter 'r%61w'"},
      {"raw&raw=false", "the parameter 'raw' is given twice"},
      {"raw&", "unknown parameter ''"},
      {"=raw", "unknown parameter ''"},
      {"prefix=ab%4",
       "at byte 2 of the parameter 'prefix': a % needs two hexadecimal digits after it"},
  };
  for (const auto& [args, refusal] : cases) EXPECT_EQ(refusal_of(args), refusal) << args;
}

TEST(Query, SaysWhatIsTakenInstead) {
  const Query query = query_of("raw&ttl=5");
  EXPECT_FALSE(query.check({Parameter::kRaw, Parameter::kTtl}));
  const auto some = query.check({Parameter::kRaw, Parameter::kKey});
  EXPECT_EQ(some.value().detail,
            "the parameter 'ttl' means nothing to this request; the ones it takes: key, raw");
  EXPECT_EQ(query.check({}).value().detail,
            "the parameter 'raw' means nothing to this request; the ones it takes: none");
}

}  // namespace
}  // namespace small_db
