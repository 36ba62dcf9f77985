#include "engine/platform/huge_pages.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "engine/base/assert.h"

namespace small_db {
namespace {

// <sys/mman.h> may be older than the kernel.
constexpr int kMadvPopulateWrite = 23;
constexpr int kMadvCollapse = 25;

}  // namespace

void* align_for_huge_pages(void* mapping, size_t bytes) noexcept {
  const uint64_t length = align_up(bytes, static_cast<uint64_t>(sysconf(_SC_PAGESIZE)));
  const size_t room_bytes = length + kHugePageBytes;
  void* const room = mmap(nullptr, room_bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (room == MAP_FAILED) return mapping;
  auto* const begin = static_cast<std::byte*>(room);
  const auto address = reinterpret_cast<uintptr_t>(room);
  const size_t before = align_up(address, kHugePageBytes) - address;
  std::byte* const aligned = begin + before;
  const int flags = MREMAP_MAYMOVE | MREMAP_FIXED;
  if (mremap(mapping, length, length, flags, aligned) == MAP_FAILED) {
    munmap(room, room_bytes);
    return mapping;
  }
  if (before != 0) munmap(begin, before);
  munmap(aligned + length, kHugePageBytes - before);
  return aligned;
}

HugePages make_huge_pages(MutableBytes memory) noexcept {
  SMALL_DB_ASSERT(reinterpret_cast<uintptr_t>(memory.data()) % kHugePageBytes == 0);
  SMALL_DB_ASSERT(memory.size() % kHugePageBytes == 0);
  // The kernel leaves out what it has no table for.
  for (size_t at = 0; at < memory.size(); at += kHugePageBytes) {
    if (madvise(memory.data() + at, 1, kMadvPopulateWrite) != 0) {
      return errno == EINVAL ? HugePages::kNever : HugePages::kNotNow;
    }
  }
  if (madvise(memory.data(), memory.size(), kMadvCollapse) == 0) return HugePages::kMade;
  if (errno == EAGAIN) return HugePages::kInUse;
  return errno == EINVAL ? HugePages::kNever : HugePages::kNotNow;
}

bool make_pages(MutableBytes memory) noexcept {
  return madvise(memory.data(), memory.size(), kMadvPopulateWrite) == 0;
}

}  // namespace small_db
