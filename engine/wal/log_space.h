// The space of one log file that is ready to be written: allocated, zero-filled and durable, so
// that a commit neither allocates nor changes metadata. A helper thread calls prepare_step ahead of
// the writer; every thread may ask prepared_end.
//
// The helper has an open file of its own: the kernel reports a failed write-back once to each open
// file, so neither thread's sync can swallow what the other must hear of.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>

#include "engine/platform/file_system.h"
#include "engine/wal/format.h"

namespace small_db {

inline constexpr uint64_t kPrepareStepBytes = kMiB;

class LogSpace {
 public:
  // file: the log, already `prepared_end` long and durable up to there.
  LogSpace(std::unique_ptr<File> file, uint64_t prepared_end, uint64_t step_bytes);

  // Any thread. What is below may be written and survives a crash as zeros until then.
  uint64_t prepared_end() const noexcept {
    return prepared_end_.load(std::memory_order_acquire);  // pairs with prepare_step's release
  }

  // Prepares one more step when prepared_end() is below `wanted_end`.
  // Returns: true when another step is still needed.
  // Errors: kNoDiskSpace, and nothing is changed: try again later. Anything else is sticky, and
  // fails the log's writer as well: a sync of this file failed, or may have.
  // Runs in: one helper thread.
  Result<bool> prepare_step(uint64_t wanted_end);

  // As File::bypass_cache, of the zeros. Runs in: the helper.
  void bypass_cache(bool bypasses) noexcept { file_->bypass_cache(bypasses); }

  // Gives back what is prepared behind `end`, where nothing will be written any more. The file
  // keeps its length, which its frames name. Runs in: the helper.
  void release_from(uint64_t end) noexcept;

  // True after a sticky error. Any thread.
  bool failed() const noexcept { return failed_.load(std::memory_order_acquire); }

 private:
  Status prepare(uint64_t begin, uint64_t end);
  Status cut_to(uint64_t prepared_end);

  std::unique_ptr<File> file_;
  const uint64_t step_bytes_;
  std::atomic<uint64_t> prepared_end_;  // written by the helper; read by writer and commit thread
  std::atomic<bool> failed_{false};     // written by the helper; read by the writer
  Status failure_;                      // the helper's own
  bool cut_ = false;                    // the helper's own: nothing stands behind prepared_end
};

// Writes zeros over [begin, end). Does not sync.
Status write_zeros(File& file, uint64_t begin, uint64_t end);

}  // namespace small_db
