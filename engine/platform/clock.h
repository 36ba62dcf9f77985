// Time, as an interface so that tests decide what it is.
#pragma once

#include <cstdint>

namespace small_db {

class Clock {
 public:
  virtual ~Clock() = default;
  // Wall-clock time in milliseconds since 1970-01-01 UTC; may jump.
  virtual uint64_t wall_ms() = 0;
  // Monotonic time in microseconds since an arbitrary start.
  virtual uint64_t monotonic_us() = 0;
};

// How long the calling thread has been running on a processor, in microseconds.
uint64_t thread_running_us() noexcept;

// The system's clocks (CLOCK_REALTIME, CLOCK_MONOTONIC). Any thread.
Clock& system_clock() noexcept;

}  // namespace small_db
