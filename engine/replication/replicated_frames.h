// What a backup has received of its primary's log and not yet made its own: a queue from the thread
// that receives to the commit thread. Bounded in bytes: who receives waits for room, so that a
// primary is never read faster than this node commits.
//
//   closed ──(ask_to_open)──▶ asked for ──(open)──▶ open ──(close, ask_to_open)──▶ …
//
// The commit thread opens it, when all that it has taken is on disk: what a new connection asks
// for, and what comes by it, depends on nothing that a former one, perhaps to another primary, has
// left on its way.
#pragma once

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
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
  // Receiving thread. Closes it, and asks for it to be opened. Ring the doorbell then.
  void ask_to_open();
  // Waits for room. False: closed, the frame was not taken.
  bool push(ReplicatedFrame&& frame);

  // Commit thread. The oldest frame, or nullptr; it stays until pop() or open().
  const ReplicatedFrame* front();
  void pop();
  bool empty() const;
  bool is_asked_to_open() const noexcept { return asked_.load(std::memory_order_seq_cst); }
  // Forgets what is there, and takes what comes.
  void open();

  // Any thread. Until open(), nothing is taken or given out.
  void close();
  bool is_closed() const;

 private:
  static constexpr size_t kBytesMax = 16 * kMiB;  // and one frame of any size

  mutable std::mutex mutex_;
  std::condition_variable room_;
  // Guarded by mutex_. Only the commit thread removes, so that its front() stays valid.
  std::deque<ReplicatedFrame> frames_;
  size_t bytes_ = 0;
  bool closed_ = true;
  std::atomic<bool> asked_{false};
};

}  // namespace small_db
