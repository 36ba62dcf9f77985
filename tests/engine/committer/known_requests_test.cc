#include "engine/committer/known_requests.h"

#include <gtest/gtest.h>

namespace small_db {
namespace {

TEST(KnownRequests, FindsEveryRequestOfTheFramesAndNoOther) {
  FrameRequests first;
  first.first_revision = 10;
  first.runs = {{1, 3, 7, 100}, {2, 1, 8, 5}};  // revisions 10, 11, 12; 13
  FrameRequests second;
  second.first_revision = 14;
  second.runs = {{1, 1, 7, 104}, {2, 2, 8, 6}, {1, 1, 7, 103}};  // 14; 15, 16; 17
  for (uint32_t i = 0; i < 4; ++i) first.results.push_back({i, 100 + i});
  for (uint32_t i = 4; i < 8; ++i) second.results.push_back({i, 100 + i});
  const KnownRequests known({first, second});
  const auto revision_of = [&](uint64_t incarnation, uint64_t sequence) {
    const auto found = known.find(incarnation, sequence);
    if (!found) return std::optional<uint64_t>();
    // Records and number are those of the request with that revision.
    EXPECT_EQ(found->result.records, found->revision - 10);
    EXPECT_EQ(found->result.number, static_cast<int64_t>(found->revision + 90));
    return std::optional<uint64_t>(found->revision);
  };

  EXPECT_EQ(revision_of(7, 100), 10u);
  EXPECT_EQ(revision_of(7, 102), 12u);
  EXPECT_EQ(revision_of(7, 103), 17u);
  EXPECT_EQ(revision_of(7, 104), 14u);
  EXPECT_EQ(revision_of(8, 5), 13u);
  EXPECT_EQ(revision_of(8, 7), 16u);
  EXPECT_EQ(revision_of(7, 99), std::nullopt);
  EXPECT_EQ(revision_of(7, 105), std::nullopt);
  EXPECT_EQ(revision_of(8, 8), std::nullopt);
  EXPECT_EQ(revision_of(6, 100), std::nullopt);
  EXPECT_EQ(revision_of(9, 5), std::nullopt);
}

TEST(KnownRequests, NoneIsKnownWithoutFrames) {
  EXPECT_TRUE(KnownRequests().empty());
  EXPECT_FALSE(KnownRequests().find(1, 1).has_value());
}

}  // namespace
}  // namespace small_db
