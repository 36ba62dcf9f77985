#include "engine/table/arena.h"

#include <gtest/gtest.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cstdlib>
#include <map>
#include <memory>
#include <random>
#include <vector>

namespace small_db {
namespace {

class ArenaMemory {
 public:
  explicit ArenaMemory(size_t bytes) : bytes_(bytes) {
    void* memory = mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    SMALL_DB_ASSERT(memory != MAP_FAILED);
    memory_ = static_cast<std::byte*>(memory);
  }
  ~ArenaMemory() { munmap(memory_, bytes_); }
  MutableBytes span() const { return {memory_, bytes_}; }

  size_t resident_pages() const {
    std::vector<unsigned char> pages(bytes_ / 4096);
    EXPECT_EQ(mincore(memory_, bytes_, pages.data()), 0);
    size_t count = 0;
    for (const unsigned char page : pages) count += page & 1;
    return count;
  }

 private:
  std::byte* memory_;
  size_t bytes_;
};

// Blocks that a test holds, each filled with a pattern of its own.
class Holder {
 public:
  Holder(Arena& arena, MutableBytes memory) : arena_(arena), view_(memory) {}

  bool allocate(size_t bytes) {
    const BlockRef block = arena_.allocate(bytes);
    if (block.is_null()) return false;
    EXPECT_GE(block.bytes(), bytes);
    EXPECT_LT(block.bytes(), bytes + kGranuleBytes);
    const auto after = blocks_.lower_bound(block.granule());
    if (after != blocks_.end()) {
      EXPECT_LE(block.granule() + block.granules(), after->first);
    }
    if (after != blocks_.begin()) {
      const BlockRef before = std::prev(after)->second;
      EXPECT_LE(before.granule() + before.granules(), block.granule());
    }
    blocks_[block.granule()] = block;
    used_ += block.bytes();
    for (std::byte& byte : view_.at(block)) byte = pattern(block);
    return true;
  }

  void free_any(uint64_t random) {
    auto victim = blocks_.lower_bound(static_cast<uint32_t>(random % arena_.granules()));
    if (victim == blocks_.end()) victim = blocks_.begin();
    for (const std::byte byte : view_.at(victim->second)) ASSERT_EQ(byte, pattern(victim->second));
    used_ -= victim->second.bytes();
    arena_.free(victim->second);
    blocks_.erase(victim);
  }

  const std::map<uint32_t, BlockRef>& blocks() const { return blocks_; }
  uint64_t used() const { return used_; }

 private:
  static std::byte pattern(BlockRef block) { return std::byte(block.granule() * 37 + 11); }

  Arena& arena_;
  ArenaView view_;
  std::map<uint32_t, BlockRef> blocks_;
  uint64_t used_ = 0;
};

size_t random_bytes(std::mt19937_64& random) {
  const size_t most[] = {64, 256, kNodeBytes, kBlockBytesMax};
  return 1 + random() % most[random() % 4];
}

TEST(Arena, AgreesWithAModelOverRandomAllocationsAndFrees) {
  ArenaMemory memory(kMiB + 4096 + 8);
  Arena arena(memory.span());
  arena.clear();
  const uint64_t all = arena.free_bytes();
  Holder holder(arena, memory.span());
  std::mt19937_64 random(1);
  for (int i = 0; i < 30000; ++i) {
    const bool grow = (i / 3000) % 2 == 0;
    if (random() % 8 < (grow ? 5U : 3U)) {
      holder.allocate(random_bytes(random));
    } else if (!holder.blocks().empty()) {
      ASSERT_NO_FATAL_FAILURE(holder.free_any(random()));
    }
    ASSERT_EQ(arena.used_bytes(), holder.used());
    if (i % 500 != 0) continue;
    ASSERT_TRUE(arena.check().is_ok()) << arena.check().text();
  }
  while (!holder.blocks().empty()) ASSERT_NO_FATAL_FAILURE(holder.free_any(random()));
  EXPECT_EQ(arena.free_bytes(), all);
  EXPECT_TRUE(arena.check().is_ok());
}

TEST(Arena, MergesFreedNeighboursInEveryOrder) {
  ArenaMemory memory(64 * kKiB);
  Arena arena(memory.span());
  const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
  for (const auto& order : orders) {
    arena.clear();
    const size_t whole = arena.largest_bytes();
    BlockRef blocks[3];
    for (BlockRef& block : blocks) block = arena.allocate(16);
    for (const int i : order) {
      arena.free(blocks[i]);
      ASSERT_TRUE(arena.check().is_ok()) << arena.check().text();
    }
    EXPECT_EQ(arena.largest_bytes(), whole);
    EXPECT_EQ(arena.used_bytes(), 0U);
  }
}

TEST(Arena, GivesOutEveryGranuleButTheFirst) {
  ArenaMemory memory(64 * kKiB);
  Arena arena(memory.span());
  arena.clear();
  size_t count = 0;
  while (!arena.allocate(1).is_null()) ++count;
  EXPECT_EQ(count, 64 * kKiB / kGranuleBytes - 1);
  EXPECT_EQ(arena.free_bytes(), 0U);
  EXPECT_EQ(arena.largest_bytes(), 0U);
  EXPECT_TRUE(arena.check().is_ok());
}

TEST(Arena, FindsTheLengthThatItNamesAsLargest) {
  ArenaMemory memory(256 * kKiB);
  Arena arena(memory.span());
  arena.clear();
  std::mt19937_64 random(2);
  while (arena.largest_bytes() != 0) {
    ASSERT_FALSE(arena.allocate(arena.largest_bytes()).is_null());
    if (random() % 2 == 0) arena.allocate(random_bytes(random));
  }
}

TEST(Arena, MarkAndSweepKeepsWhatIsMarkedAndFreesTheRest) {
  ArenaMemory memory(kMiB);
  Arena arena(memory.span());
  arena.clear();
  Holder holder(arena, memory.span());
  std::mt19937_64 random(3);
  for (int i = 0; i < 2000; ++i) holder.allocate(1 + random() % 400);

  Arena heir(memory.span());
  heir.begin_mark();
  uint64_t kept = 0;
  std::vector<BlockRef> marked;
  for (const auto& [granule, block] : holder.blocks()) {
    if (random() % 3 == 0) continue;
    ASSERT_EQ(heir.mark(block), MarkResult::kMarked);
    marked.push_back(block);
    kept += block.bytes();
  }
  heir.end_mark();
  EXPECT_EQ(heir.used_bytes(), kept);
  EXPECT_TRUE(heir.check().is_ok()) << heir.check().text();
  for (const BlockRef block : marked) heir.free(block);
  EXPECT_EQ(heir.used_bytes(), 0U);
  EXPECT_TRUE(heir.check().is_ok());
}

TEST(Arena, ReachesToTheFarthestBlockThatWasGivenOut) {
  ArenaMemory memory(kMiB);
  Arena arena(memory.span());
  arena.clear();
  EXPECT_EQ(arena.reach_bytes(), 0U);
  const BlockRef first = arena.allocate(100 * kGranuleBytes);
  const BlockRef second = arena.allocate(50 * kGranuleBytes);
  EXPECT_EQ(arena.reach_bytes(), 151 * kGranuleBytes);  // granule 0 is never given out
  arena.free(second);
  arena.free(first);
  EXPECT_FALSE(arena.allocate(kGranuleBytes).is_null());
  EXPECT_EQ(arena.reach_bytes(), 151 * kGranuleBytes);

  arena.begin_mark();
  EXPECT_EQ(arena.mark(BlockRef(200, 8)), MarkResult::kMarked);
  EXPECT_EQ(arena.mark(BlockRef(10, 8)), MarkResult::kMarked);
  arena.end_mark();
  EXPECT_EQ(arena.reach_bytes(), 208 * kGranuleBytes);
  arena.clear();
  EXPECT_EQ(arena.reach_bytes(), 0U);
}

TEST(Arena, RefusesMarksThatOverlapOrLieOutside) {
  ArenaMemory memory(64 * kKiB);
  Arena arena(memory.span());
  arena.begin_mark();
  EXPECT_EQ(arena.mark(BlockRef(100, 8)), MarkResult::kMarked);
  EXPECT_EQ(arena.mark(BlockRef(100, 8)), MarkResult::kAlreadyMarked);
  EXPECT_EQ(arena.mark(BlockRef(96, 8)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(104, 8)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(0, 1)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(50, 0)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(4095, 2)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(UINT32_MAX, 1)), MarkResult::kInvalid);
  EXPECT_EQ(arena.mark(BlockRef(4095, 1)), MarkResult::kMarked);
  arena.end_mark();
  EXPECT_EQ(arena.used_bytes(), 9 * kGranuleBytes);
  EXPECT_TRUE(arena.check().is_ok());
}

TEST(Arena, CheckSeesAFreeRunThatWasScribbledOn) {
  ArenaMemory memory(64 * kKiB);
  Arena arena(memory.span());
  arena.clear();
  const BlockRef block = arena.allocate(64);
  ASSERT_TRUE(arena.check().is_ok());
  std::byte* beyond = memory.span().data() + (block.granule() + block.granules()) * kGranuleBytes;
  store<uint32_t>(beyond, load<uint32_t>(beyond) - 1);
  EXPECT_EQ(arena.check().code(), Code::kCorruption);
}

TEST(Arena, ClearTouchesTwoPagesHoweverLargeTheArena) {
  ArenaMemory memory(4 * kGiB);
  Arena arena(memory.span());
  arena.clear();
  EXPECT_LE(memory.resident_pages(), 2U);
  EXPECT_EQ(arena.free_bytes(), 4 * kGiB - kGranuleBytes);
  EXPECT_FALSE(arena.allocate(kBlockBytesMax).is_null());
}

}  // namespace
}  // namespace small_db
