#include "ngx_module/api/representation.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

std::string choice_of(std::string_view args, std::string_view accept_field = "*/*") {
  Query query;
  EXPECT_FALSE(parse_query(args, &query)) << args;
  Accept accept;
  accept.add(accept_field);
  Representation choice = Representation::kBase64;
  if (const auto problem = choose_representation(query, accept, &choice)) return problem->detail;
  return choice == Representation::kBytes  ? "bytes"
         : choice == Representation::kUtf8 ? "utf-8"
                                           : "base64";
}

TEST(Representation, IsBase64UnlessToldOtherwise) {
  EXPECT_EQ(choice_of(""), "base64");
  EXPECT_EQ(choice_of("", "application/octet-stream"), "bytes");
  EXPECT_EQ(choice_of("raw"), "bytes");
  EXPECT_EQ(choice_of("raw", "application/json"), "bytes");
  for (const char* name : {"utf-8", "UTF-8", "utf8", "plain", "Text"}) {
    EXPECT_EQ(choice_of(std::string("encoding=") + name), "utf-8") << name;
  }
}

TEST(Representation, FollowsParametersBeforeAccept) {
  EXPECT_EQ(choice_of("encoding=base64", "application/octet-stream"), "base64");
  EXPECT_EQ(choice_of("encoding=utf-8", "application/octet-stream"), "utf-8");
  EXPECT_EQ(choice_of("raw=false", "application/octet-stream"), "base64");
  EXPECT_EQ(choice_of("raw=false&encoding=utf-8"), "utf-8");
}

TEST(Representation, RefusesUnknownAndContradictoryParameters) {
  EXPECT_EQ(choice_of("raw&encoding=base64"),
            "the parameters 'raw' and 'encoding' contradict each other");
  EXPECT_EQ(choice_of("encoding=hex"),
            "the parameter 'encoding' must be base64 or utf-8, and not 'hex'");
  EXPECT_EQ(choice_of("encoding="), "the parameter 'encoding' must be base64 or utf-8, and not ''");
}

}  // namespace
}  // namespace small_db
