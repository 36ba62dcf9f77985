// The arena as a reader sees it: a span of memory and references into it. A reader checks each
// reference that it follows, so that a damaged tree gives an error and not a crash.
#pragma once

#include <cstdint>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"

namespace small_db {

inline constexpr size_t kGranuleBytes = 16;

// Where a block of the arena is and how long: 32 bits of granule index, 12 bits of length in
// granules, and bit 63, which says that the block is a record whose value lies in extents (so that
// marking need not touch the records that have none). The other bits are zero. 0 is no block:
// granule 0 is never given out.
class BlockRef {
 public:
  constexpr BlockRef() noexcept = default;
  constexpr BlockRef(uint32_t granule, uint32_t granules) noexcept
      : word_(static_cast<uint64_t>(granules) << 32 | granule) {}
  static constexpr BlockRef from_word(uint64_t word) noexcept {
    BlockRef ref;
    ref.word_ = word;
    return ref;
  }

  constexpr uint64_t word() const noexcept { return word_; }
  constexpr bool is_null() const noexcept { return word_ == 0; }
  constexpr uint32_t granule() const noexcept { return static_cast<uint32_t>(word_); }
  constexpr uint32_t granules() const noexcept {
    return static_cast<uint32_t>(word_ >> 32) & 0xfff;
  }
  constexpr size_t bytes() const noexcept { return granules() * kGranuleBytes; }
  constexpr bool has_extents() const noexcept { return (word_ & kHasExtents) != 0; }
  constexpr BlockRef with_extents() const noexcept { return from_word(word_ | kHasExtents); }
  constexpr bool operator==(const BlockRef&) const = default;

 private:
  static constexpr uint64_t kHasExtents = uint64_t{1} << 63;
  uint64_t word_ = 0;
};

inline constexpr size_t kBlockBytesMax = 0xfff * kGranuleBytes;
static_assert(kInlineRecordBytesMax <= kBlockBytesMax && kExtentBytesMax <= kBlockBytesMax);
static_assert(kArenaBytesMax / kGranuleBytes <= uint64_t{1} << 32);

class ArenaView {
 public:
  ArenaView() = default;
  explicit ArenaView(MutableBytes memory) noexcept : memory_(memory) {}

  // The block's bytes; empty when the reference is null or points outside of the arena.
  MutableBytes at(BlockRef ref) const noexcept {
    const uint64_t offset = static_cast<uint64_t>(ref.granule()) * kGranuleBytes;
    if (ref.is_null() || offset + ref.bytes() > memory_.size()) return {};
    return memory_.subspan(offset, ref.bytes());
  }
  size_t size() const noexcept { return memory_.size(); }

 private:
  MutableBytes memory_;
};

// Asks the memory for the first bytes of a block, at most `bytes_max`, before they are used. A
// lookup waits for memory and not for instructions: a node and a record lie in many cache lines
// each, and what one step needs is known only when the line of the step before has come. So whoever
// is about to use a block asks for all that it may touch, at once.
inline void prefetch(Bytes block, size_t bytes_max) noexcept {
  constexpr size_t kStride = 64;  // a cache line
  const size_t bytes = block.size() < bytes_max ? block.size() : bytes_max;
  for (size_t at = 0; at < bytes; at += kStride) __builtin_prefetch(block.data() + at);
  // A compiler may take a function that only prefetches for one without effect, and leave out the
  // calls of it and of its callers (gcc 12 does).
  asm volatile("" : : "r"(block.data()));
}

}  // namespace small_db
