// Writes frames to the active log. Three threads, each with its own functions: the commit thread
// reserves room, the sync thread writes and syncs, a helper prepares space (space()).
//
//   open ──write──▶ written ──sync──▶ open
//     └────── any failure of write, sync or space ──▶ failed (for good)
//
// Architecture invariant: a failed log is never touched again. The kernel has marked its pages
// clean, so a later sync that succeeds would prove nothing. Going on takes another file.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>

#include "engine/platform/file_system.h"
#include "engine/wal/format.h"
#include "engine/wal/frame_builder.h"
#include "engine/wal/log_space.h"

namespace small_db {

// Where a log stands: all that a writer needs to go on with it. Recovery makes it.
struct LogEnd {
  LogHeader header;          // of the file
  LogFilePosition position;  // behind its last frame
  uint64_t prepared_end = kLogHeaderBytes;
  uint64_t last_revision = 0;
  uint64_t epoch = 0;          // of the last frame
  bool sealed = false;         // nothing may follow: the next frame is START of the next file
  bool heal = false;           // the file is given up: as sealed, but START says HEAL
  bool start_missing = false;  // the file has no frame yet and needs START first, with `previous`
  bool start_heals = false;    // that START says HEAL
  StartBody previous;
};

struct LogOptions {
  uint64_t prepare_step_bytes = kPrepareStepBytes;  // multiple of 512
  // Fills bytes with randomness; by default from the kernel.
  std::function<void(MutableBytes)> random;
};

// What is needed to make a log file; see LogHeader.
struct NewLog {
  Uid cluster_id{};
  uint64_t generation = 0;
  uint64_t epoch = 0;
  uint64_t first_revision = 1;
  uint64_t created_ms = 0;
};

// Random bytes from `options.random`, or from the kernel.
Uid make_uid(const LogOptions& options);

// Makes logfile.N with one step of prepared space, durable with its name: written under
// logfile.N.tmp, synced, renamed, directory synced. An older file of that name is replaced.
// Returns: the end of the new, empty log.
Result<LogEnd> create_log(Directory& directory, const NewLog& log, const LogOptions& options);

// Makes logfile.N for a generation that begins with its checkpoint: as create_log, and START, which
// names an end of the log before that nobody reads. REQUIRES: N > 0.
Status create_started_log(Directory& directory, const NewLog& log, const LogOptions& options);

class LogWriter {
 public:
  // Goes on at `end`; when it is sealed or has no START yet, makes the next file or writes START,
  // durable. epoch and now_ms: for a file or frame that is made here.
  static Result<std::unique_ptr<LogWriter>> open(Directory& directory, const LogEnd& end,
                                                 uint64_t epoch, uint64_t now_ms,
                                                 const LogOptions& options);

  // For FrameBuilder::reset. Any thread.
  uint32_t seed() const noexcept { return header_.seed; }
  const LogHeader& header() const noexcept { return header_; }

  // Commit thread. Prepared bytes that no frame has reserved yet.
  uint64_t available_bytes() const noexcept;
  // Commit thread. Takes room for a frame of that many bytes (FrameBuilder::frame_bytes) in the
  // order in which frames will be written. False when there is not enough prepared space.
  bool reserve(uint64_t frame_bytes) noexcept;
  // Commit thread. Where the next frame to be reserved will start: for LogSpace::prepare_step.
  uint64_t reserved_end() const noexcept { return reserved_end_; }

  // Sync thread. As File::bypass_cache, of the frames. It is so when the log is opened.
  void bypass_cache(bool bypasses) noexcept { file_->bypass_cache(bypasses); }

  // Sync thread. Stamps and chains the frame's header and writes the frame, in one write.
  // durable_revision: the last revision whose sync has succeeded.
  // Errors: sticky; the outcome of this frame is unknown.
  // Requires: frame finished and reserved; the frame before is synced.
  Status write(FrameBuilder& frame, uint64_t durable_revision, uint64_t epoch, uint64_t time_ms);

  // Sync thread. Makes what was written durable. Errors: sticky.
  Status sync();

  // Sync thread. Behind the last frame written.
  LogFilePosition position() const noexcept { return position_; }
  // Sync thread. Behind the last frame that is known durable: where the file ends for whoever gives
  // it up after a failure.
  LogFilePosition durable_position() const noexcept { return durable_position_; }
  bool sealed() const noexcept { return sealed_; }
  const Status& failure() const noexcept { return failure_; }

  // Helper, when the next log has taken over: gives back the space behind SEAL. A log without one
  // is left as it is.
  void release_unused() noexcept;

  // Any thread; prepare_step in the helper only.
  LogSpace& space() noexcept { return space_; }

 private:
  LogWriter(std::unique_ptr<File> file, std::unique_ptr<File> space_file, const LogEnd& end,
            uint64_t step_bytes);
  Status write_start(const LogEnd& end, uint64_t epoch, uint64_t now_ms);
  Status fail(Status status);

  std::unique_ptr<File> file_;
  LogSpace space_;
  const LogHeader header_;
  LogFilePosition position_;          // sync thread
  LogFilePosition durable_position_;  // sync thread
  uint64_t next_revision_;            // sync thread
  uint64_t reserved_end_;             // commit thread
  bool sealed_ = false;               // sync thread
  bool written_ = false;              // sync thread: a frame waits for sync
  Status failure_;                    // sync thread
};

}  // namespace small_db
