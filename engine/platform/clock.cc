#include "engine/platform/clock.h"

#include <ctime>

namespace small_db {

namespace {

// No clock can fail on a system that has it, and every Linux has those that are read here.
timespec read_clock(clockid_t clock) noexcept {
  timespec now{};
  ::clock_gettime(clock, &now);
  return now;
}

uint64_t microseconds(timespec time) noexcept {
  return static_cast<uint64_t>(time.tv_sec) * 1000000 + static_cast<uint64_t>(time.tv_nsec) / 1000;
}

class SystemClock : public Clock {
 public:
  uint64_t wall_ms() override { return microseconds(read_clock(CLOCK_REALTIME)) / 1000; }
  uint64_t monotonic_us() override { return microseconds(read_clock(CLOCK_MONOTONIC)); }
};

}  // namespace

uint64_t thread_running_us() noexcept { return microseconds(read_clock(CLOCK_THREAD_CPUTIME_ID)); }

Clock& system_clock() noexcept {
  static SystemClock clock;
  return clock;
}

}  // namespace small_db
