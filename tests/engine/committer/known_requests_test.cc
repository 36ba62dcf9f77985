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
  const KnownRequests known({first, second});

  EXPECT_EQ(known.find(7, 100), 10u);
  EXPECT_EQ(known.find(7, 102), 12u);
  EXPECT_EQ(known.find(7, 103), 17u);
  EXPECT_EQ(known.find(7, 104), 14u);
  EXPECT_EQ(known.find(8, 5), 13u);
  EXPECT_EQ(known.find(8, 7), 16u);
  EXPECT_EQ(known.find(7, 99), std::nullopt);
  EXPECT_EQ(known.find(7, 105), std::nullopt);
  EXPECT_EQ(known.find(8, 8), std::nullopt);
  EXPECT_EQ(known.find(6, 100), std::nullopt);
  EXPECT_EQ(known.find(9, 5), std::nullopt);
}

TEST(KnownRequests, NoneIsKnownWithoutFrames) {
  EXPECT_TRUE(KnownRequests().empty());
  EXPECT_EQ(KnownRequests().find(1, 1), std::nullopt);
}

}  // namespace
}  // namespace small_db
