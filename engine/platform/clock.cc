#include "engine/platform/clock.h"

#include <ctime>

namespace small_db {

namespace {

class SystemClock : public Clock {
 public:
  uint64_t wall_ms() override {
    const timespec now = read(CLOCK_REALTIME);
    return static_cast<uint64_t>(now.tv_sec) * 1000 + static_cast<uint64_t>(now.tv_nsec) / 1000000;
  }

  uint64_t monotonic_us() override {
    const timespec now = read(CLOCK_MONOTONIC);
    return static_cast<uint64_t>(now.tv_sec) * 1000000 + static_cast<uint64_t>(now.tv_nsec) / 1000;
  }

 private:
  // Neither clock can fail on a system that has it, and every Linux has both.
  static timespec read(clockid_t clock) noexcept {
    timespec now{};
    ::clock_gettime(clock, &now);
    return now;
  }
};

}  // namespace

Clock& system_clock() noexcept {
  static SystemClock clock;
  return clock;
}

}  // namespace small_db
