// The owner's doorbell: a futex in the region, so that ringing needs no descriptor. It carries no
// data, and is rung only when the owner said that it sleeps.
//
// Why no ring is lost: the owner announces its sleep, then looks for work; a ringer publishes work,
// then looks at the announcement. Both accesses to `owner_sleeps` are read-modify-writes, so one
// comes first in its order and the other one reads it: either the ringer sees the announcement and
// rings, or the owner sees all that the ringer published before, whatever the memory order of that.
//
// A ringer never takes the announcement back: it could die before it wakes the owner, and no other
// ringer would do it then. It may remember which announcement it has answered itself: the doorbell
// has changed since, so that nobody sleeps on that announcement any more. No two are alike between
// which somebody rang.
#pragma once

#include <cstdint>

#include "engine/shm/region.h"

namespace small_db {

// Wakes the owner if it sleeps. Call after publishing what it should see. Any process. Makes a
// system call only when the owner said that it sleeps.
void ring_doorbell(Region region) noexcept;

// The same for one who rings often: for each sleep of the owner it makes one system call at most,
// however long the owner needs to get a processor. One thread.
class DoorbellRinger {
 public:
  explicit DoorbellRinger(Region region) noexcept : region_(region) {}

  void ring() noexcept;

 private:
  Region region_;
  uint32_t answered_ = 0;  // the announcement that was answered last
};

// How the owner sleeps without missing a ring:
//   DoorbellWait wait(region);          announces sleep
//   if (nothing to do) wait.sleep(…);   returns at once when rung since the announcement
// The announcement ends with the object. Owner's commit thread only. A second sleep of the same
// object returns at once if the first one was rung.
class DoorbellWait {
 public:
  explicit DoorbellWait(Region region) noexcept;
  ~DoorbellWait();
  DoorbellWait(const DoorbellWait&) = delete;
  DoorbellWait& operator=(const DoorbellWait&) = delete;

  // timeout_us: UINT64_MAX waits for ever. Returns false at the timeout; may return true without a
  // ring.
  bool sleep(uint64_t timeout_us) noexcept;

 private:
  Region region_;
  uint32_t seen_;  // the doorbell at the announcement
};

}  // namespace small_db
