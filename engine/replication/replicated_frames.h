// What a backup has received of its primary's log and not yet made its own: a queue from the thread
// that receives to the commit thread. Bounded in bytes: who receives waits for room, so that a
// primary is never read faster than this node commits.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <optional>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"

namespace small_db {

// A frame of the primary's log; or, without requests, the hash of the content that this node must
// have when the next revision is first_revision.
struct ReplicatedFrame {
  uint64_t epoch = 0;
  uint64_t first_revision = 0;
  uint32_t requests = 0;  // = revisions
  uint32_t records = 0;
  uint64_t time_ms = 0;         // of its commit at the primary
  std::vector<std::byte> body;  // the records, as in the log: verified; or the hash

  uint64_t next_revision() const noexcept { return first_revision + requests; }
};

class ReplicatedFrames {
 public:
  // Receiving thread. Waits for room. False: closed, the frame was not taken.
  bool push(ReplicatedFrame&& frame);

  // Commit thread. The oldest frame, or nullptr. What it points to stays until pop() or the next
  // front(), whatever the other threads do.
  const ReplicatedFrame* front();
  void pop();
  bool empty() const;

  // Any thread. close(): until open(), nothing is taken. open() forgets what is there.
  bool is_closed() const;
  void close();
  void open();

 private:
  static constexpr size_t kBytesMax = 16 * kMiB;  // and two frames of any size

  bool has_taken() const noexcept { return taken_ && taken_in_ == opened_; }

  mutable std::mutex mutex_;
  std::condition_variable room_;
  std::deque<ReplicatedFrame> frames_;  // guarded by mutex_, as all but the last two
  size_t bytes_ = 0;                    // of frames_
  bool closed_ = false;
  uint64_t opened_ = 0;  // how often
  // The commit thread's own: the frame that front() returned, and when. open() leaves it alone,
  // since that thread may be reading it, but it is not returned again.
  std::optional<ReplicatedFrame> taken_;
  uint64_t taken_in_ = 0;
};

}  // namespace small_db
