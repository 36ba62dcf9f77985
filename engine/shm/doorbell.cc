// The owner's doorbell over futex(2). The protocol is in doorbell.h.
#include "engine/shm/doorbell.h"

#include "engine/base/kill_point.h"
#include "engine/platform/futex.h"

namespace small_db {

namespace {

// 0: the owner is awake.
uint32_t announced_sleep(RegionHeader& header) noexcept {
  // A read that is ordered as a write: pairs with the exchanges in DoorbellWait.
  return header.owner_sleeps.fetch_add(0, std::memory_order_acq_rel);
}

void wake_owner(RegionHeader& header) noexcept {
  // Pairs with the loads in DoorbellWait's constructor and in the kernel.
  header.doorbell.fetch_add(2, std::memory_order_release);
  SMALL_DB_KILL_POINT("doorbell: rung, nobody woken");
  futex_wake(header.doorbell, 1);
}

}  // namespace

void ring_doorbell(Region region) noexcept {
  if (announced_sleep(region.header()) != 0) wake_owner(region.header());
}

void DoorbellRinger::ring() noexcept {
  const uint32_t announcement = announced_sleep(region_.header());
  if (announcement == 0 || announcement == answered_) return;
  wake_owner(region_.header());
  answered_ = announcement;
}

DoorbellWait::DoorbellWait(Region region) noexcept
    : region_(region),
      // Before the announcement: a ring that answers it must differ. Pairs with wake_owner.
      seen_(region.header().doorbell.load(std::memory_order_acquire)) {
  // Pairs with the fetch_add in announced_sleep.
  region_.header().owner_sleeps.exchange(seen_ + 1, std::memory_order_acq_rel);
}

DoorbellWait::~DoorbellWait() {
  // An exchange and not a store, so that the next announcement still pairs with ringers of this
  // one.
  region_.header().owner_sleeps.exchange(0, std::memory_order_acq_rel);
}

bool DoorbellWait::sleep(uint64_t timeout_us) noexcept {
  return futex_wait(region_.header().doorbell, seen_, timeout_us);
}

}  // namespace small_db
