// Reads a chain of logs, logfile.G and every one behind it, into a sink, and judges its end. Only
// reads; what must be put right is noted for recovery to do once nothing can be refused any more.
#pragma once

#include <cstddef>
#include <deque>
#include <memory>
#include <vector>

#include "engine/recovery/recovery.h"
#include "engine/wal/log_tail.h"

namespace small_db {

// A frame whose bytes in the log are damaged, and were found in logfile.N.last.
struct RestoredFrame {
  uint64_t generation = 0;
  uint64_t offset = 0;
  std::string bytes;
};

class LogReplay {
 public:
  LogReplay(Directory& directory, RecoverySink& sink, const RecoveryOptions& options,
            Recovered& recovered, Refusal& refusal)
      : directory_(directory),
        sink_(sink),
        options_(options),
        recovered_(recovered),
        refusal_(refusal) {}

  // Reads from the start of logfile.`first`. logs: the numbers of all log files, sorted.
  // checkpoint: what was loaded before; nothing for generation 0.
  Status run(const std::vector<uint64_t>& logs, uint64_t first, const LoadedCheckpoint* checkpoint);

  // Reads from a place in logfile.N on.
  Status run_from(const std::vector<uint64_t>& logs, const TailStart& from);

  // After an ok: what stands behind the last frame, of the last log.
  const TailScan& tail() const noexcept { return tail_; }
  const std::deque<RestoredFrame>& restored() const noexcept { return restored_; }
  // True when the last log has a frame that this replay read.
  bool read_last_frame() const noexcept { return read_last_frame_; }

 private:
  struct OpenLog {
    std::unique_ptr<LogReader> reader;
    bool started = false;  // its START is valid, or it needs none
    bool heals = false;
    StartBody start;
  };

  Status open_logs(const std::vector<uint64_t>& logs, uint64_t first);
  Status open_log(OpenLog& log);
  Status replay_all();
  Status read_log(size_t index, ReadOutcome* outcome);
  bool given_up_here(size_t index) const;
  Result<ReadOutcome> next_frame(LogReader& reader);
  Status take_frame(LogReader& reader, const LogFilePosition& before);
  Status check_successor(const LogReader& reader, const OpenLog& next);
  Status scan_end(size_t index, ReadOutcome* outcome, TailScan* scan);
  Status judge_tail(LogReader& reader, TailScan& scan);
  Status check_size(LogReader& reader, const TailScan& scan);
  void conclude(const LogReader& reader);
  void report_progress(const LogReader& reader, bool always);

  Status refuse(const Status& status, const LogReader& reader, uint64_t first_revision,
                uint64_t last_revision, const std::string& what);
  Status refuse_file(const Status& status, uint64_t generation, const std::string& what);

  Directory& directory_;
  RecoverySink& sink_;
  const RecoveryOptions& options_;
  Recovered& recovered_;
  Refusal& refusal_;
  std::vector<OpenLog> logs_;  // those in use
  bool resumed_ = false;       // by run_from
  LogFilePosition resumed_at_;
  uint64_t proven_revision_ = 0;  // by the checkpoint
  bool read_last_frame_ = false;
  TailScan tail_;
  std::deque<RestoredFrame> restored_;
  uint64_t bytes_before_ = 0;  // of the logs that are done
  uint64_t bytes_reported_ = 0;
  uint64_t bytes_total_ = 0;
};

}  // namespace small_db
