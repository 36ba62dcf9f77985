// Shared memory where pages can be huge, and what the kernel says of it, for tests.
#pragma once

#include <sys/mman.h>
#include <sys/types.h>

#include <algorithm>
#include <fstream>
#include <string>
#include <vector>

#include "engine/base/assert.h"
#include "engine/platform/huge_pages.h"

namespace small_db {

class SharedMapping {
 public:
  explicit SharedMapping(size_t bytes) {
    void* const mapping =
        mmap(nullptr, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    SMALL_DB_ASSERT(mapping != MAP_FAILED);
    bytes_ = {static_cast<std::byte*>(align_for_huge_pages(mapping, bytes)), bytes};
  }
  ~SharedMapping() { munmap(bytes_.data(), bytes_.size()); }
  SharedMapping(const SharedMapping&) = delete;
  SharedMapping& operator=(const SharedMapping&) = delete;

  MutableBytes bytes() const { return bytes_; }

  size_t resident_bytes() const {
    std::vector<unsigned char> pages(bytes_.size() / kSmallPageBytes);
    SMALL_DB_ASSERT(mincore(bytes_.data(), bytes_.size(), pages.data()) == 0);
    return kSmallPageBytes * std::count_if(pages.begin(), pages.end(),
                                           [](unsigned char page) { return (page & 1) != 0; });
  }

 private:
  static constexpr size_t kSmallPageBytes = 4096;
  MutableBytes bytes_;
};

// What the kernel of this machine can do, asked without the code that is tested.
inline bool kernel_has_advice(int advice) {
  const size_t bytes = 2 * kHugePageBytes;
  void* const room = mmap(nullptr, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  SMALL_DB_ASSERT(room != MAP_FAILED);
  const uintptr_t begin = align_up(reinterpret_cast<uintptr_t>(room), kHugePageBytes);
  void* const huge_page =
      mmap(reinterpret_cast<void*>(begin), kHugePageBytes, PROT_READ | PROT_WRITE,
           MAP_SHARED | MAP_ANONYMOUS | MAP_FIXED, -1, 0);
  SMALL_DB_ASSERT(huge_page != MAP_FAILED);
  *static_cast<char*>(huge_page) = 1;
  const bool is_taken = madvise(huge_page, kHugePageBytes, advice) == 0;
  munmap(room, bytes);
  return is_taken;
}
inline bool kernel_makes_pages() { return kernel_has_advice(23); }       // MADV_POPULATE_WRITE
inline bool kernel_makes_huge_pages() { return kernel_has_advice(25); }  // MADV_COLLAPSE

// How much shared memory a process has mapped as huge pages.
inline size_t huge_page_bytes_of(pid_t pid) {
  std::ifstream lines("/proc/" + std::to_string(pid) + "/smaps");
  size_t bytes = 0;
  for (std::string line; std::getline(lines, line);) {
    if (line.rfind("ShmemPmdMapped:", 0) != 0) continue;
    bytes += std::stoul(line.substr(line.find_first_of("0123456789"))) * kKiB;
  }
  return bytes;
}

// Addresses that this process has mapped, whether there is memory or not.
inline size_t mapped_bytes_of_this_process() {
  size_t pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  return pages * 4096;
}

}  // namespace small_db
