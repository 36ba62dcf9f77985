// Requests that the log holds already, as its frames name them. An owner that takes a live region
// over finds them in the rings again when the one before died between writing and answering: it
// answers them and does not execute them twice.
#pragma once

#include <algorithm>
#include <cstdint>
#include <optional>
#include <vector>

#include "engine/recovery/recovery.h"

namespace small_db {

class KnownRequests {
 public:
  KnownRequests() = default;

  // frames: those of the log whose requests may still be in the rings, in order.
  explicit KnownRequests(const std::vector<FrameRequests>& frames) {
    for (const FrameRequests& frame : frames) {
      uint64_t revision = frame.first_revision;
      for (const RequestRun& run : frame.runs) {
        runs_.push_back({run.incarnation, run.first_sequence, run.count, revision});
        revision += run.count;
      }
    }
    std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) {
      return a.incarnation != b.incarnation ? a.incarnation < b.incarnation
                                            : a.first_sequence < b.first_sequence;
    });
  }

  bool empty() const noexcept { return runs_.empty(); }

  // The revision under which the request was committed.
  std::optional<uint64_t> find(uint64_t incarnation, uint64_t sequence) const {
    // The last run that does not begin behind the request.
    const auto behind = std::partition_point(runs_.begin(), runs_.end(), [&](const Run& run) {
      return run.incarnation != incarnation ? run.incarnation < incarnation
                                            : run.first_sequence <= sequence;
    });
    if (behind == runs_.begin()) return std::nullopt;
    const Run& run = *std::prev(behind);
    if (run.incarnation != incarnation || sequence - run.first_sequence >= run.count)
      return std::nullopt;
    return run.first_revision + (sequence - run.first_sequence);
  }

 private:
  struct Run {
    uint64_t incarnation;
    uint64_t first_sequence;
    uint32_t count;
    uint64_t first_revision;
  };
  std::vector<Run> runs_;  // by incarnation, then sequence; they do not overlap
};

}  // namespace small_db
