// The simulated disk's dice: how likely each fate is at a crash, and the numbers that decide.
#pragma once

#include <cstdint>

namespace small_db {

// splitmix64: the same seed gives the same numbers on every machine.
class SimRandom {
 public:
  explicit SimRandom(uint64_t seed) noexcept : state_(seed) {}

  uint64_t next() noexcept {
    uint64_t mixed = (state_ += 0x9E3779B97F4A7C15u);
    mixed = (mixed ^ (mixed >> 30)) * 0xBF58476D1CE4E5B9u;
    mixed = (mixed ^ (mixed >> 27)) * 0x94D049BB133111EBu;
    return mixed ^ (mixed >> 31);
  }

  // In [0, limit). REQUIRES: limit > 0.
  uint64_t below(uint64_t limit) noexcept { return next() % limit; }
  bool chance(unsigned percent) noexcept { return below(100) < percent; }

 private:
  uint64_t state_;
};

// Chances in percent that something unsynced survives a crash. With equal chances for all, the ends
// (all of it kept, none of it kept) would almost never come up, so each crash draws its own policy.
struct SimCrashPolicy {
  unsigned changes_kept = 50;    // each create, rename and remove
  unsigned sizes_kept = 50;      // each file's newest size
  unsigned sectors_kept = 50;    // each sector's newest bytes
  unsigned sectors_garbage = 5;  // each sector, before the others are asked

  static constexpr SimCrashPolicy lose_all() noexcept { return {0, 0, 0, 0}; }
  static constexpr SimCrashPolicy keep_all() noexcept { return {100, 100, 100, 0}; }

  static SimCrashPolicy draw(SimRandom& random) noexcept {
    constexpr unsigned kKept[] = {0, 10, 50, 90, 100};
    constexpr unsigned kGarbage[] = {0, 0, 5, 50};
    SimCrashPolicy policy;
    policy.changes_kept = kKept[random.below(5)];
    policy.sizes_kept = kKept[random.below(5)];
    policy.sectors_kept = kKept[random.below(5)];
    policy.sectors_garbage = kGarbage[random.below(4)];
    return policy;
  }
};

}  // namespace small_db
