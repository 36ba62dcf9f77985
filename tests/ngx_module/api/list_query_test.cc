#include "ngx_module/api/list_query.h"

#include <gtest/gtest.h>

#include "ngx_module/api/base64.h"

namespace small_db {
namespace {

ListQuery list_of(std::string_view args) {
  Query query;
  EXPECT_FALSE(parse_query(args, &query)) << args;
  ListQuery list;
  const auto problem = parse_list_query(query, &list);
  EXPECT_FALSE(problem) << args << ": " << (problem ? problem->detail : "");
  return list;
}

std::string refusal_of(std::string_view args) {
  Query query;
  EXPECT_FALSE(parse_query(args, &query)) << args;
  ListQuery list;
  const auto problem = parse_list_query(query, &list);
  return problem ? problem->detail : "accepted";
}

TEST(ListQuery, HasTheKeysWithThePrefixBetweenStartAndEnd) {
  EXPECT_TRUE(list_of("").range.is_whole());
  const KeyRange prefix = list_of("prefix=a%ff").range;
  EXPECT_EQ(prefix.low, "a\xff");
  EXPECT_EQ(prefix.high, "b");
  EXPECT_TRUE(prefix.has("a\xff\xff"));
  EXPECT_FALSE(prefix.has("b"));
  const KeyRange all_high = list_of("prefix=%ff%ff").range;
  EXPECT_FALSE(all_high.has_high);
  const KeyRange cut = list_of("prefix=a&start=ab&end=ac").range;
  EXPECT_EQ(cut.low, "ab");
  EXPECT_EQ(cut.high, "ac");
  EXPECT_TRUE(list_of("prefix=a&start=b").range.is_empty());
  EXPECT_TRUE(list_of("start=b&end=b").range.is_empty());
  EXPECT_FALSE(list_of("end=").range.has_high);
}

TEST(ListQuery, HasDefaults) {
  const ListQuery list = list_of("");
  EXPECT_EQ(list.limit, 100u);
  EXPECT_FALSE(list.has_values || list.is_reverse || list.is_count);
  EXPECT_EQ(list_of("limit=1000").limit, 1000u);
  EXPECT_EQ(list_of("limit=1").limit, 1u);
}

TEST(ListQuery, GoesOnBehindItsCursor) {
  const ListQuery first = list_of("prefix=k/&delimiter=/");
  const auto next = [&](const ListPosition& last) {
    return list_of("prefix=k/&delimiter=/&cursor=" + list_cursor(first, last)).range;
  };
  EXPECT_EQ(next({ListPosition::Kind::kKey, "k/a"}).low, std::string("k/a\0", 4));
  EXPECT_EQ(next({ListPosition::Kind::kPrefix, "k/a/"}).low, "k/a0");
  EXPECT_EQ(next({ListPosition::Kind::kKey, "k/a"}).high, "k0");
  const ListQuery all = list_of("delimiter=%ff");
  EXPECT_TRUE(
      list_of("delimiter=%ff&cursor=" + list_cursor(all, {ListPosition::Kind::kPrefix, "\xff"}))
          .range.is_empty());
  const ListQuery reverse = list_of("reverse&end=x");
  const KeyRange before =
      list_of("end=x&reverse=true&cursor=" + list_cursor(reverse, {ListPosition::Kind::kKey, "m"}))
          .range;
  EXPECT_EQ(before.high, "m");
  EXPECT_TRUE(before.has_high);
}

// The cursor is part of addresses that clients keep over an upgrade.
TEST(ListQuery, WritesCursorsInTheirFormat) {
  const auto bytes =
      base64url_decode(list_cursor(list_of("prefix=a"), {ListPosition::Kind::kPrefix, "a\xff"}));
  ASSERT_TRUE(bytes);
  EXPECT_EQ(bytes->substr(0, 2), "\x01\x02");
  EXPECT_EQ(bytes->substr(6), "a\xff");
  EXPECT_EQ(list_cursor(list_of("prefix=a"), {ListPosition::Kind::kKey, "a?"}), "AQGyITW9YT8");
}

TEST(ListQuery, RefusesCursorsThatAreNotItsOwn) {
  const std::string refusal =
      "the parameter 'cursor' is none that was given for the same prefix, start, end, delimiter "
      "and reverse";
  const std::string cursor = list_cursor(list_of("prefix=a"), {ListPosition::Kind::kKey, "ab"});
  EXPECT_EQ(refusal_of("prefix=a&cursor=" + cursor), "accepted");
  EXPECT_EQ(refusal_of("prefix=a&limit=5&values&cursor=" + cursor), "accepted");
  for (const char* args : {"", "prefix=b&", "prefix=a&start=a&", "prefix=a&end=z&",
                           "prefix=a&delimiter=/&", "prefix=a&reverse&", "start=a&"}) {
    EXPECT_EQ(refusal_of(args + ("cursor=" + cursor)), refusal) << args;
  }
  for (size_t i = 0; i < cursor.size(); i++) {
    std::string damaged = cursor;
    damaged[i] = damaged[i] == 'A' ? 'B' : 'A';
    EXPECT_EQ(refusal_of("prefix=a&cursor=" + damaged), refusal) << i;
    EXPECT_EQ(refusal_of("prefix=a&cursor=" + cursor.substr(0, i)), refusal) << i;
  }
}

TEST(ListQuery, RefusesLimitsOutOfRange) {
  for (const char* limit : {"0", "1001", "-1", "x", "1x", "", "1%20", "%2b5"}) {
    EXPECT_EQ(refusal_of(std::string("limit=") + limit).substr(0, 63),
              "the parameter 'limit' must be a whole number from 1 to 1000, an");
  }
}

TEST(ListQuery, LetsACountHaveARangeAlone) {
  EXPECT_TRUE(list_of("count&prefix=a&start=b&end=c").is_count);
  EXPECT_FALSE(list_of("count=false&limit=5").is_count);
  for (const char* name :
       {"limit=5", "cursor=x", "delimiter=/", "values", "reverse", "encoding=x"}) {
    EXPECT_NE(refusal_of(std::string("count&") + name).find("means nothing to a count"),
              std::string::npos)
        << name;
  }
}

TEST(ListQuery, NeedsValuesForAnEncoding) {
  EXPECT_EQ(list_of("values&encoding=text").encoding, ValueEncoding::kUtf8);
  EXPECT_EQ(refusal_of("encoding=utf-8"),
            "the parameter 'encoding' is of values: it needs values=true");
}

}  // namespace
}  // namespace small_db
