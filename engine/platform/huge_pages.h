// Huge pages for shared memory. A processor keeps the places of few pages at hand: among gigabytes
// of small ones nearly every access begins with a walk through the page tables, which are not in
// the cache either, and in a virtual machine with another one for each of its steps.
//
// The kernel makes a page of a shared mapping huge when it is asked to, for a range that begins at
// a multiple of kHugePageBytes in memory as in the mapping (MADV_COLLAPSE, Linux 6.1). What
// /sys/kernel/mm/transparent_hugepage/shmem_enabled says counts for other ways, but for "deny".
#pragma once

#include <cstddef>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"

namespace small_db {

inline constexpr size_t kHugePageBytes = 2 * kMiB;

// Moves a shared mapping of `bytes` to an address where its pages can be huge. Returns the new
// address, or the old one when the kernel has no room; the old one is void if it moved. REQUIRES:
// no other thread of this process uses the mapping. Other processes keep theirs.
void* align_for_huge_pages(void* mapping, size_t bytes) noexcept;

enum class HugePages {
  kMade,
  kInUse,   // some of it is touched just now: try again
  kNotNow,  // there is none free: small pages may have been made in part
  kNever,   // the kernel can't, may not, or the mapping is not aligned
};
// Makes the pages of `memory` huge, those that are there already, too; nothing in it is changed.
// Whoever touches it meanwhile waits. REQUIRES: begin and length are multiples of kHugePageBytes.
HugePages make_huge_pages(MutableBytes memory) noexcept;

// Makes pages of the usual size where there are none. Nothing in `memory` is changed. False when
// the kernel can't (before 5.14), or has no memory left. REQUIRES: begin and length are multiples
// of a page.
bool make_pages(MutableBytes memory) noexcept;

}  // namespace small_db
