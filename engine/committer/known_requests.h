// Requests that the log holds already, as its frames name them. An owner that takes a live region
// over finds them in the rings again when the one before died between writing and answering: it
// answers them and does not execute them twice.
#pragma once

#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "engine/recovery/recovery.h"

namespace small_db {

class KnownRequests {
 public:
  KnownRequests() = default;
  // frames: those of the log whose requests may still be in the rings, in order.
  explicit KnownRequests(std::vector<FrameRequests> frames) : frames_(std::move(frames)) {}

  bool empty() const noexcept { return frames_.empty(); }

  // The frame that is furthest back. REQUIRES: not empty.
  const FrameRequests& oldest() const { return frames_.front(); }

  // The revision under which the request was committed.
  std::optional<uint64_t> find(uint64_t incarnation, uint64_t sequence) const {
    for (const FrameRequests& frame : frames_) {
      uint64_t revision = frame.first_revision;
      for (const RequestRun& run : frame.runs) {
        if (run.incarnation == incarnation && sequence - run.first_sequence < run.count) {
          return revision + (sequence - run.first_sequence);
        }
        revision += run.count;
      }
    }
    return std::nullopt;
  }

 private:
  std::vector<FrameRequests> frames_;
};

}  // namespace small_db
