// Runs of a simulated cluster (cluster_run.h), each of a seed, in shares that ctest runs side by
// side.
//
// SMALL_DB_CLUSTER_SEEDS: how many seeds (600); SMALL_DB_CLUSTER_SEED: the first one (1), and the
// one whose story is told; SMALL_DB_CLUSTER_STORY: tells it although nothing is wrong.
#include <gtest/gtest.h>

#include <cstdlib>

#include "tests/cluster/cluster_run.h"

namespace small_db {
namespace {

constexpr uint64_t kShares = 6;
constexpr uint64_t kSeeds = 600;

uint64_t number_of(const char* name, uint64_t otherwise) {
  const char* text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Cluster : public testing::TestWithParam<uint64_t> {};

TEST_P(Cluster, KeepsWhatItPromises) {
  const uint64_t seeds = number_of("SMALL_DB_CLUSTER_SEEDS", kSeeds);
  const uint64_t first = number_of("SMALL_DB_CLUSTER_SEED", 1);
  ClusterResult sum;
  for (uint64_t seed = first + GetParam(); seed < first + seeds; seed += kShares) {
    const ClusterResult result = run_cluster(seed);
    ASSERT_EQ(result.problem, "") << "again: SMALL_DB_CLUSTER_SEED=" << seed
                                  << " cluster_tests --gtest_filter=ClusterRun.TellsItsStory";
    sum.add(result);
  }
  std::printf(
      "%lu steps, %lu acknowledged (%lu excused), %lu promotions, %lu falls, %lu bootstraps, "
      "%lu saved, %lu disks lost\n",
      sum.steps, sum.acknowledged, sum.excused, sum.promotions, sum.falls, sum.bootstraps,
      sum.saved_tails, sum.lost_disks);
}

INSTANTIATE_TEST_SUITE_P(Share, Cluster, testing::Range(uint64_t{0}, kShares));

TEST(ClusterRun, IsTheSameEachTime) {
  for (uint64_t seed = 1; seed <= 4; ++seed) {
    EXPECT_EQ(run_cluster(seed).fingerprint, run_cluster(seed).fingerprint) << seed;
  }
}

// The run of SMALL_DB_CLUSTER_SEED, with all that happens in it.
TEST(ClusterRun, TellsItsStory) {
  std::vector<std::string> story;
  const ClusterResult result = run_cluster(number_of("SMALL_DB_CLUSTER_SEED", 1), &story);
  EXPECT_FALSE(story.empty());
  if (!result.problem.empty() || std::getenv("SMALL_DB_CLUSTER_STORY") != nullptr) {
    for (const std::string& line : story) std::printf("%s\n", line.c_str());
  }
  EXPECT_EQ(result.problem, "");
}

}  // namespace
}  // namespace small_db
