// One group commit on its way: made by the commit thread, written, published and answered by the
// sync thread. Never in two threads at once: the hand-over between them orders everything in it.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/shm/region.h"
#include "engine/table/memory.h"
#include "engine/wal/frame_builder.h"

namespace small_db {

// What an answer stands on, and so what becomes of it when the batch can't be made durable.
enum class Basis : uint8_t {
  kNothing,    // it stays as it is
  kState,      // a state that may be lost: nothing was done, and it is to be asked again
  kKnown,      // a request that the log held when this owner came: perhaps on no follower
  kCommitted,  // a request of the frame
};

// What one request of a slot will be told when the batch is done.
struct Answer {
  uint32_t slot = 0;
  Completion completion{};
  Basis basis = Basis::kNothing;
};

// A slot that the batch has something for, and how far its submissions may be given back when the
// batch is done: 0 for not at all.
struct Release {
  uint32_t slot = 0;
  uint64_t position = 0;
};

struct Batch {
  FrameBuilder frame;  // empty when nothing of the batch changes the store
  std::vector<Answer> answers;
  std::vector<Release> releases;  // the last one of a slot counts
  BlockRef root;                  // the state after the batch; null when the frame is empty
  uint64_t last_revision = 0;
  uint64_t epoch = 0;          // of the frame
  bool settles_known = false;  // with it, every request that the log held at the start is answered

  bool has_frame() const noexcept { return frame.requests() != 0; }
  bool has_work() const noexcept { return has_frame() || !answers.empty() || !releases.empty(); }

  // Notes how far the slot was read. Requests of a slot come in runs, so that runs are what is
  // kept.
  void release(uint32_t slot, uint64_t position) {
    if (releases.empty() || releases.back().slot != slot) releases.push_back({slot, 0});
    releases.back().position = position;
  }

  // Starts an empty batch, whose first commit gets `first_revision`, for the log with `log_seed`.
  void reset(uint64_t first_revision, uint32_t log_seed) {
    frame.reset(first_revision, log_seed);
    answers.clear();
    releases.clear();
    root = BlockRef();
    last_revision = 0;
    epoch = 0;
    settles_known = false;
  }
};

}  // namespace small_db
