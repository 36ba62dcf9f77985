// How much of the processors' time a checkpoint takes while others commit: it rests for a multiple
// of the time that its work took, with all waiting in it, so that it takes the less the busier the
// machine is.
//
// Between its steps, when it holds nothing, the checkpoint's thread gives way to whoever waits for
// its processor. On a machine without idle time that may be for long, each time: one that has
// waited for much longer than its work would rest gives way no more, until it has made up for that,
// so that each checkpoint ends.
#pragma once

#include <algorithm>
#include <cstdint>

namespace small_db {

class CheckpointPace {
 public:
  static constexpr uint64_t kRestPerWork = 6;
  static constexpr uint64_t kRestMaxUs = 100'000;
  static constexpr uint64_t kWaitedMaxUs = 5'000'000;

  // After some work, of which the thread ran for `worked_us` and waited for `waited_us`.
  // Returns: how long to rest now.
  uint64_t rest_us(uint64_t worked_us, uint64_t waited_us) noexcept {
    waited_us_ += waited_us;
    waited_us_ -= std::min(waited_us_, worked_us * kRestPerWork);
    return std::min((worked_us + waited_us) * kRestPerWork, kRestMaxUs);
  }

  bool gives_way() const noexcept { return waited_us_ < kWaitedMaxUs; }

 private:
  uint64_t waited_us_ = 0;  // more than its work would rest
};

}  // namespace small_db
