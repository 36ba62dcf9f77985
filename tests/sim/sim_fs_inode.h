// One simulated file's bytes: what reads see, what is durable, and what a crash may make of the
// difference.
//
// Invariants: a page without memory is all zero; `live` pages are zero beyond the size; a sector is
// in at most one of `dirty` (the next sync makes it durable) and `lost` (a failed sync made it
// clean: only writing it again can make it durable). Pages and whole inodes are shared between
// copies of a disk until somebody writes. One thread only.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "tests/sim/sim_fs_random.h"

namespace small_db {

class SimInode {
 public:
  uint64_t size() const noexcept { return size_; }

  // Returns the bytes copied: fewer than asked for at the end of the file.
  size_t read(uint64_t offset, MutableBytes into) const noexcept;

  void write(uint64_t offset, Bytes bytes);
  void truncate(uint64_t bytes);
  // Makes the file at least `bytes` long; the new bytes are zero.
  void extend(uint64_t bytes);

  void sync();
  // All that sync would have made durable is clean and not durable.
  void fail_sync();

  bool is_durable() const noexcept { return unsynced_.empty() && !size_dirty_ && !size_lost_; }

  // The file after a power failure, with nothing unsynced.
  std::shared_ptr<SimInode> crash(const SimCrashPolicy& policy, SimRandom& random) const;

  // Changes bytes behind the file system's back: rot. REQUIRES: a range within the file.
  void poke(uint64_t offset, Bytes bytes);

 private:
  static constexpr size_t kPageBytes = 4096;
  static constexpr size_t kSectorsPerPage = kPageBytes / kSectorBytes;
  static_assert(kSectorsPerPage == 8, "one bit per sector in a byte");

  using Sector = std::array<std::byte, kSectorBytes>;
  using Page = std::array<std::byte, kPageBytes>;
  using PagePointer = std::shared_ptr<Page>;

  struct Slot {
    PagePointer live;
    PagePointer durable;
    uint8_t dirty = 0;
    uint8_t lost = 0;
  };

  static Page& writable(PagePointer& page);
  static void patch(PagePointer& page, size_t at, Bytes bytes);
  static Sector sector_of(const PagePointer& page, size_t sector) noexcept;
  static void clear_from(PagePointer& page, size_t from);

  void set_size(uint64_t bytes);
  void cover(uint64_t bytes);
  void will_change(size_t page, size_t begin, size_t end);
  void clear_page_from(size_t page, size_t from);
  void sync_page(size_t page);

  uint64_t size_after_crash(const SimCrashPolicy& policy, SimRandom& random) const;
  PagePointer page_after_crash(size_t page, const SimCrashPolicy& policy, SimRandom& random) const;
  Sector sector_after_crash(size_t page, size_t sector, const SimCrashPolicy& policy,
                            SimRandom& random) const;
  Sector garbage(size_t page, size_t sector, SimRandom& random) const;

  std::vector<Slot> slots_;
  std::vector<uint32_t> unsynced_;  // pages with a dirty or lost sector
  // Bytes that a sector had since it was last durable, without its present ones.
  std::map<uint64_t, std::vector<Sector>> earlier_;

  uint64_t size_ = 0;
  uint64_t durable_size_ = 0;
  std::vector<uint64_t> earlier_sizes_;  // since the size was last durable
  bool size_dirty_ = false;
  bool size_lost_ = false;
};

}  // namespace small_db
