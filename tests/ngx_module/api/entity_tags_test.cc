#include "ngx_module/api/entity_tags.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

EntityTags tags_of(std::string_view text) {
  EntityTags tags;
  const auto problem = parse_entity_tags("If-Match", text, &tags);
  EXPECT_FALSE(problem) << text << ": " << (problem ? problem->detail : "");
  return tags;
}

TEST(EntityTags, AStarMatchesEveryRecordAndNoAbsentOne) {
  for (const char* text : {"*", " * ", "*\t"}) {
    const EntityTags tags = tags_of(text);
    EXPECT_TRUE(tags.match_strongly(1));
    EXPECT_TRUE(tags.match_weakly(UINT64_MAX));
    EXPECT_FALSE(tags.match_strongly(0));
    EXPECT_FALSE(tags.match_weakly(0));
  }
}

TEST(EntityTags, AListMatchesEachOfItsRevisions) {
  for (const char* text : {R"("7", "18446744073709551615")", R"("7","18446744073709551615")",
                           R"(, "7" ,, "18446744073709551615" ,)"}) {
    const EntityTags tags = tags_of(text);
    EXPECT_EQ(tags.tags.size(), 2u) << text;
    EXPECT_TRUE(tags.match_strongly(7));
    EXPECT_TRUE(tags.match_strongly(UINT64_MAX));
    EXPECT_FALSE(tags.match_strongly(8));
    EXPECT_FALSE(tags.has_weak());
  }
}

TEST(EntityTags, AWeakTagMatchesWeaklyOnly) {
  const EntityTags tags = tags_of(R"(W/"7", "8")");
  EXPECT_TRUE(tags.has_weak());
  EXPECT_FALSE(tags.match_strongly(7));
  EXPECT_TRUE(tags.match_weakly(7));
  EXPECT_TRUE(tags.match_strongly(8));
}

TEST(EntityTags, ATagThatIsNoRevisionMatchesNothing) {
  for (const char* text : {R"("")", R"("abc")", R"("07")", R"("0")", R"("+7")", R"("7 ")",
                           R"("-7")", R"("18446744073709551616")", "\"\xc3\xa4\"", R"("7,8")"}) {
    const bool has_space = std::string_view(text).find(' ') != std::string_view::npos;
    EntityTags tags;
    const auto problem = parse_entity_tags("If-Match", text, &tags);
    EXPECT_EQ(problem.has_value(), has_space) << text;
    for (const uint64_t revision : {0ull, 7ull, 8ull}) {
      EXPECT_FALSE(tags.match_strongly(revision)) << text;
      EXPECT_FALSE(tags.match_weakly(revision)) << text;
    }
  }
}

TEST(EntityTags, SaysWhereItBreaks) {
  const std::pair<std::string, size_t> cases[] = {
      {"", 0},       {"  ", 2},        {",", 1},           {"7", 0},       {"\"7", 2},
      {"* , *", 2},  {"\"7\", *", 5},  {"\"7\" \"8\"", 4}, {"w/\"7\"", 0}, {"W/7", 2},
      {"\"7\";", 3}, {"\"7\x7f\"", 2}, {"'7'", 0},
  };
  for (const auto& [text, position] : cases) {
    EntityTags tags;
    const auto problem = parse_entity_tags("If-None-Match", text, &tags);
    ASSERT_TRUE(problem) << text;
    EXPECT_EQ(problem->status, 400);
    EXPECT_EQ(problem->detail, "at byte " + std::to_string(position) +
                                   " of If-None-Match: it must be * or a list of entity tags such "
                                   "as \"17\", \"18\"")
        << text;
  }
}

}  // namespace
}  // namespace small_db
