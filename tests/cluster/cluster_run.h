// One run of a simulated cluster: everything in it follows from the seed.
//
// First a bad time: nodes fall in every way and come back, links work one way or not at all,
// connections break and are overtaken, an operator promotes whom he likes, reloads, asks for
// checkpoints, points nodes at right and wrong primaries, and replaces a disk. Then a good one: the
// operator settles on one primary, and all nodes must come to the same state within a bounded
// number of steps.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace small_db {

struct ClusterResult {
  std::string problem;  // empty: nothing was wrong
  uint64_t acknowledged = 0;
  uint64_t excused = 0;
  uint64_t promotions = 0;
  uint64_t falls = 0;
  uint64_t bootstraps = 0;
  uint64_t saved_tails = 0;
  uint64_t lost_disks = 0;
  uint64_t steps = 0;
  uint64_t fingerprint = 0;  // of all that happened

  void add(const ClusterResult& other);
};

// story: takes a line for each event; nullptr: nobody listens.
ClusterResult run_cluster(uint64_t seed, std::vector<std::string>* story = nullptr);

}  // namespace small_db
