// Has the kernel make the pages of memory that is about to be filled from its beginning on, in a
// thread of its own: so whoever fills it does not stop at each of them, and they are huge where the
// kernel has such pages (huge_pages.h). Only a hint: what it can't make is made when it is touched.
//
// Pages are made ahead of their use, and not of memory in use, since whoever touched that meanwhile
// would wait.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <thread>

#include "engine/base/bytes.h"

namespace small_db {

class PagesAhead {
 public:
  // Of the first `used` bytes no page is made. `memory` must stay mapped until this object ends,
  // which ends the thread, too, and waits for one try at a step of its work.
  PagesAhead(MutableBytes memory, uint64_t used);
  ~PagesAhead();
  PagesAhead(const PagesAhead&) = delete;
  PagesAhead& operator=(const PagesAhead&) = delete;

  // For these two: one thread, that which fills the memory; cheap when there is nothing to do.
  // The first `bytes` will be used soon.
  void want(uint64_t bytes);
  // The first `bytes` are in use: an eighth more is made, but at least 2 MiB and at most 64 MiB.
  void reached(uint64_t bytes);

 private:
  void run();
  bool make(uint64_t begin, uint64_t end) noexcept;

  const MutableBytes memory_;
  const uint64_t used_;
  uint64_t asked_;  // the filling thread's copy of wanted_

  std::mutex mutex_;
  std::condition_variable work_;     // wanted_, ending_
  uint64_t wanted_;                  // guarded by mutex_
  std::atomic<bool> ending_{false};  // stored under mutex_
  bool can_be_huge_ = true;          // this object's thread's own
  std::thread thread_;
};

}  // namespace small_db
