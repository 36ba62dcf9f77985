// Has the kernel make the pages of memory that is about to be filled, in a thread of its own, so
// that whoever fills it does not stop at each of them (MADV_POPULATE_WRITE). Only a hint: a kernel
// that cannot do it (before 5.14) makes them one by one later, as does one that has no memory left.
#pragma once

#include <atomic>
#include <thread>

#include "engine/base/bytes.h"

namespace small_db {

inline constexpr int kMadvPopulateWrite = 23;  // <sys/mman.h> may be older than the kernel

class PagesAhead {
 public:
  // Nothing in `memory` is changed; it must stay mapped until this object ends, which ends the
  // thread, too.
  explicit PagesAhead(MutableBytes memory);
  ~PagesAhead();
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

 private:
  void run() noexcept;

  MutableBytes memory_;
  std::atomic<bool> stopping_{false};
  std::thread thread_;
};

}  // namespace small_db
