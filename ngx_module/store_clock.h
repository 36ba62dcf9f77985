// The time by which records expire. Not nginx's own, which is cached for as long as its event loop
// works; and never earlier than that by which the store's owner has removed records.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>

#include "engine/shm/region.h"

namespace small_db {

// Unix time in milliseconds.
inline uint64_t store_now_ms(const Region& region) noexcept {
  const auto now = std::chrono::system_clock::now().time_since_epoch();
  const auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(now).count();
  return std::max(static_cast<uint64_t>(ms),
                  region.header().expiry_clock_ms.load(std::memory_order_relaxed));
}

}  // namespace small_db
