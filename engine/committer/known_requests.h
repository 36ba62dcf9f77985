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
      const size_t first_result = results_.size();
      size_t done = 0;
      for (const RequestRun& run : frame.runs) {
        runs_.push_back({run.incarnation, run.first_sequence, run.count,
                         frame.first_revision + done, first_result + done});
        done += run.count;
      }
      results_.insert(results_.end(), frame.results.begin(), frame.results.end());
      results_.resize(first_result + done);
    }
    std::sort(runs_.begin(), runs_.end(), [](const Run& a, const Run& b) {
      return a.incarnation != b.incarnation ? a.incarnation < b.incarnation
                                            : a.first_sequence < b.first_sequence;
    });
  }

  bool empty() const noexcept { return runs_.empty(); }

  struct Known {
    uint64_t revision = 0;  // under which the request was committed
    RequestResult result;
  };
  std::optional<Known> find(uint64_t incarnation, uint64_t sequence) const {
    // The last run that does not begin behind the request.
    const auto behind = std::partition_point(runs_.begin(), runs_.end(), [&](const Run& run) {
      return run.incarnation != incarnation ? run.incarnation < incarnation
                                            : run.first_sequence <= sequence;
    });
    if (behind == runs_.begin()) return std::nullopt;
    const Run& run = *std::prev(behind);
    if (run.incarnation != incarnation || sequence - run.first_sequence >= run.count)
      return std::nullopt;
    const uint64_t nth = sequence - run.first_sequence;
    return Known{run.first_revision + nth, results_[run.first_result + nth]};
  }

 private:
  struct Run {
    uint64_t incarnation;
    uint64_t first_sequence;
    uint32_t count;
    uint64_t first_revision;
    size_t first_result;
  };
  std::vector<RequestResult> results_;
  std::vector<Run> runs_;  // by incarnation, then sequence; they do not overlap
};

}  // namespace small_db
