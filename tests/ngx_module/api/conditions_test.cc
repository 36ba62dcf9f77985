#include "ngx_module/api/conditions.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

using Header = std::optional<std::string_view>;

// Whether a write under these conditions goes through, by the guards that the store evaluates.
bool holds(Header if_match, Header if_none_match, uint64_t revision) {
  Conditions conditions;
  EXPECT_FALSE(parse_conditions(if_match, if_none_match, &conditions));
  WriteSetBuilder set;
  add_guards(conditions, as_bytes("key"), &set);
  set.erase(as_bytes("key"));
  WriteSetReader reader(set.bytes());
  EXPECT_TRUE(reader.begin().is_ok());
  bool all = true;
  for (uint32_t i = 0; i < reader.guards(); i++) {
    const Result<GuardView> guard = reader.next_guard();
    EXPECT_EQ(as_text(guard.value().key), "key");
    all = all && guard.value().holds(revision);
  }
  return all;
}

std::string problem_of(Header if_match, Header if_none_match, uint64_t revision) {
  Conditions conditions;
  EXPECT_FALSE(parse_conditions(if_match, if_none_match, &conditions));
  const Problem problem = condition_problem(conditions, revision);
  EXPECT_EQ(problem.status, 412);
  return problem.detail;
}

TEST(Conditions, BecomeTheGuardsThatTheyMean) {
  EXPECT_TRUE(holds("*", {}, 5));
  EXPECT_FALSE(holds("*", {}, 0));
  EXPECT_TRUE(holds({}, "*", 0));
  EXPECT_FALSE(holds({}, "*", 5));
  EXPECT_TRUE(holds(R"("4", "5")", {}, 5));
  EXPECT_FALSE(holds(R"("4", "5")", {}, 6));
  EXPECT_FALSE(holds(R"("4", "5")", {}, 0));
  EXPECT_TRUE(holds({}, R"("4", "5")", 6));
  EXPECT_TRUE(holds({}, R"("4", "5")", 0));
  EXPECT_FALSE(holds({}, R"("4", "5")", 5));
  EXPECT_TRUE(holds(R"("5")", R"("4")", 5));
  EXPECT_FALSE(holds(R"("5")", R"("5")", 5));
  EXPECT_TRUE(holds({}, {}, 0));
}

TEST(Conditions, AWeakTagIsNoMatchForIfMatchAndOneForIfNoneMatch) {
  EXPECT_FALSE(holds(R"(W/"5")", {}, 5));
  EXPECT_TRUE(holds(R"(W/"5", "5")", {}, 5));
  EXPECT_FALSE(holds({}, R"(W/"5")", 5));
}

TEST(Conditions, ATagOfAnotherServerNeverMatches) {
  EXPECT_FALSE(holds(R"("abc")", {}, 5));
  EXPECT_FALSE(holds(R"("abc")", {}, 0));
  EXPECT_TRUE(holds({}, R"("abc")", 5));
}

TEST(Conditions, SayWhatStandsInTheWay) {
  EXPECT_EQ(problem_of(R"("4")", {}, 5), "If-Match does not hold: the key's ETag is \"5\"");
  EXPECT_EQ(problem_of(R"("4")", {}, 0), "If-Match does not hold: the key is absent");
  EXPECT_EQ(problem_of({}, "*", 5), "If-None-Match does not hold: the key's ETag is \"5\"");
  EXPECT_EQ(problem_of(R"("5")", R"("5")", 5),
            "If-None-Match does not hold: the key's ETag is \"5\"");
  EXPECT_EQ(problem_of(R"(W/"5")", {}, 5),
            "If-Match does not hold: the key's ETag is \"5\"; a weak tag (W/) never matches in "
            "If-Match");
}

TEST(Conditions, AMalformedHeaderIsNamed) {
  Conditions conditions;
  EXPECT_NE(parse_conditions("5", {}, &conditions)->detail.find("If-Match"), std::string::npos);
  EXPECT_NE(parse_conditions({}, "5", &conditions)->detail.find("If-None-Match"),
            std::string::npos);
}

}  // namespace
}  // namespace small_db
