// The arena's allocator: which granules are given out. Blocks are runs of granules; free runs lie
// in lists by size, so that a run that fits well is found in constant time, and neighbours merge at
// once when freed.
//
// Free memory describes itself: a free run begins with {granules, next, previous} and ends with its
// length, as 32-bit words. All else is private to the process that owns the region: the list heads,
// and one bit per granule that says whether it is given out. An owner that takes a region over
// marks what the tree reaches and rebuilds the rest from the bits. Nothing of a given out block is
// ever touched, and clear() touches two pages of the arena however large it is.
//
// Runs in the owner's commit thread only. That free runs, lists and bits agree is an invariant of
// this class; free() of what is not given out is a programmer's error.
#pragma once

#include <array>
#include <cstdint>
#include <vector>

#include "engine/base/status.h"
#include "engine/table/memory.h"

namespace small_db {

enum class MarkResult : uint8_t {
  kMarked,
  kAlreadyMarked,
  kInvalid,  // out of range, or it overlaps another block
};

class Arena {
 public:
  // Everything counts as given out until clear() or end_mark(). REQUIRES: `memory` is aligned to a
  // granule, and outlives the arena.
  explicit Arena(MutableBytes memory);

  // A block of at least `bytes`; null when no free run is long enough.
  // REQUIRES: 0 < bytes <= kBlockBytesMax.
  BlockRef allocate(size_t bytes) noexcept;
  void free(BlockRef block) noexcept;
  void clear() noexcept;

  // Mark and sweep: begin_mark, mark what is in use, end_mark, which frees everything else.
  void begin_mark() noexcept;
  MarkResult mark(BlockRef block) noexcept;
  void end_mark() noexcept;

  uint64_t used_bytes() const noexcept { return (granules_ - 1 - free_granules_) * kGranuleBytes; }
  uint64_t free_bytes() const noexcept { return free_granules_ * kGranuleBytes; }
  // A length that allocate() is sure to find, near the longest that it could; 0 when all is used.
  size_t largest_bytes() const noexcept;

  // Where the block ends that lies farthest from the beginning, of all that were given out since
  // clear(), or that are marked. Where no owner was before, memory behind it was not touched.
  uint64_t reach_bytes() const noexcept { return reach_ * kGranuleBytes; }

  uint64_t granules() const noexcept { return granules_; }
  bool is_given_out(uint64_t granule) const noexcept {
    return (given_out_[granule / 64] >> (granule % 64) & 1) != 0;
  }

  // For tests. Errors: kCorruption when lists, free runs and bits disagree anywhere.
  Status check() const;

 private:
  struct FreeRun {
    uint32_t granules;
    uint32_t next;      // granule of the next run of the list; 0: none
    uint32_t previous;  // 0: this is the first
  };

  // Lengths below 16 have a list each; above, each power of two is divided into 16.
  static constexpr uint32_t kBinCount = 16 + 28 * 16;
  static uint32_t bin_of(uint32_t granules) noexcept;

  FreeRun* run_at(uint32_t granule) const noexcept;
  uint32_t length_before(uint32_t granule) const noexcept;  // of the free run that ends there
  uint32_t find_run(uint32_t granules) const noexcept;
  void insert_run(uint32_t granule, uint32_t granules) noexcept;
  void remove_run(uint32_t granule) noexcept;
  void forget_free_runs() noexcept;
  void set_bits(uint64_t first, uint64_t count, bool value) noexcept;
  bool bits_are(uint64_t first, uint64_t count, bool value) const noexcept;
  uint64_t find_bit(uint64_t from, bool value) const noexcept;

  std::byte* base_;
  uint64_t granules_;
  uint64_t free_granules_ = 0;
  uint64_t reach_ = 0;  // granules
  std::vector<uint64_t> given_out_;
  std::array<uint32_t, kBinCount> bins_{};  // granule of each list's first run; 0: empty
  std::array<uint64_t, (kBinCount + 63) / 64> bins_used_{};
};

}  // namespace small_db
