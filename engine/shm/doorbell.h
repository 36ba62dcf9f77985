// The owner's doorbell: a futex in the region, so that ringing needs no descriptor. It carries no
// data, and is rung only when the owner said that it sleeps.
#pragma once

#include <cstdint>

#include "engine/shm/region.h"

namespace small_db {

// Wakes the owner if it sleeps. Call after publishing what it should see. Any process.
void ring_doorbell(Region region) noexcept;

// How the owner sleeps without missing a ring:
//   DoorbellWait wait(region);          announces sleep
//   if (nothing to do) wait.sleep(…);   returns at once when rung since the announcement
// The announcement ends with the object.
class DoorbellWait {
 public:
  explicit DoorbellWait(Region region) noexcept;
  ~DoorbellWait();
  DoorbellWait(const DoorbellWait&) = delete;
  DoorbellWait& operator=(const DoorbellWait&) = delete;

  // timeout_us: UINT64_MAX waits for ever. Returns false at the timeout.
  bool sleep(uint64_t timeout_us) noexcept;

 private:
  Region region_;
  uint32_t seen_;
};

}  // namespace small_db
