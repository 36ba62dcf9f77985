// From a data directory to the state that it holds: reads the generation in force and every log
// since, gives the records to a sink, and puts the end of the log right. Runs in the storage
// worker, with the directory's lock held, before anything is served.
//
//   decide ─▶ checkpoint ─▶ logfile.G … ─▶ end of the last log ─▶ Recovered
//      └───────────┴─────────────┴────────────────┴──▶ Refusal
//
// Architecture invariants: nothing on disk is changed before it is certain that no acknowledged
// write is damaged. A refusal changes nothing at all, and doing it again gives the same answer. The
// rule is in engine/wal/format.h, the decision at open in data_directory.h.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "engine/platform/file_system.h"
#include "engine/record/record.h"
#include "engine/wal/format.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"

namespace small_db {

// Takes the state, in order. A status other than ok ends the recovery with it.
class RecoverySink {
 public:
  virtual ~RecoverySink() = default;
  // Forget everything: a checkpoint turned out to be damaged half-way, another base is tried.
  virtual Status restart() = 0;
  // A frame with requests begins; frames without (IDLE, SEAL, START) are not shown.
  virtual Status begin_frame(const FrameView& frame) = 0;
  // Points into the reader's buffer: copy what is kept.
  virtual Status apply(const RecordView& record) = 0;
  // after: behind this frame.
  virtual Status end_frame(const FrameView& frame, const LogFilePosition& after) = 0;
};

struct LoadedCheckpoint {
  Uid cluster_id{};
  uint64_t start_revision = 0;  // the log must go on from here at the latest
  uint64_t end_revision = 0;    // the log must reach this: it was durable
};

// Loads checkpoint.G for generations above 0.
class CheckpointLoader {
 public:
  virtual ~CheckpointLoader() = default;
  virtual Result<LoadedCheckpoint> load(Directory& directory, uint64_t generation,
                                        RecoverySink& sink) = 0;
  // Where in the file the last error of load() was found; 0 when unknown.
  virtual uint64_t damage_offset() const { return 0; }
};

struct RecoveryProgress {
  uint64_t bytes_done = 0;
  uint64_t bytes_total = 0;  // of all logs, with space that is only prepared
};

struct RecoveryOptions {
  LogOptions log;
  CheckpointLoader* checkpoints = nullptr;                // none: a generation above 0 is refused
  std::function<void(const RecoveryProgress&)> progress;  // about once per MiB
  uint64_t now_ms = 0;                                    // for files that are made
  // Off: only reads, so that it needs no lock, and an owner may write meanwhile. What recovery
  // would put right stays as it is, and no empty store is made.
  bool settle = true;
};

// Why a store is not opened.
struct Refusal {
  Status status;
  std::string file;     // of the directory; empty when it is the directory itself
  uint64_t offset = 0;  // in the file
  // Revisions that are damaged or missing, as far as is known: from..at least; both 0 when unknown.
  uint64_t first_revision = 0;
  uint64_t last_revision = 0;
  std::string reason;  // what is wrong and how to go on, whole sentences

  // One line for the error log.
  std::string text() const;
};

// The checkpoint in force is damaged, and the state was read from an older generation and all logs
// since: it is the same.
struct Fallback {
  uint64_t generation = 0;  // that was used instead; 0: the empty state
  std::string reason;       // what is wrong with the newer ones
};

struct TornTail {
  std::string file;
  uint64_t offset = 0;
  uint64_t bytes = 0;
  std::string saved_as;  // empty: the disk was full, or it was only read
};

// What a request of the log did.
struct RequestResult {
  uint32_t records = 0;  // that it put and deleted
  int64_t number = 0;    // the counter's value, if that is what the last of them put
};

// The requests of one frame, for answering them again after the owner died.
struct FrameRequests {
  uint64_t first_revision = 0;
  LogFilePosition before;  // where the log stood before the frame
  std::vector<RequestRun> runs;
  std::vector<RequestResult> results;  // one for each request, in the order of their revisions
};

struct Recovered {
  uint64_t generation = 0;   // that `version` names
  bool initialised = false;  // the directory was empty; only read, it still is: there is no log
  LogEnd log;                // for LogWriter::open
  uint64_t last_revision = 0;
  uint64_t epoch = 0;
  Uid cluster_id{};
  uint64_t frames = 0;
  uint64_t records = 0;
  std::optional<TornTail> torn_tail;
  std::optional<Fallback> fallback;
  std::vector<FrameRequests>
      recent;  // of the last two frames with requests, in order; of all that read_tail read
};

// Opens the store in `directory`, making an empty one where there is none (but see settle).
// Returns: ok with *recovered set, or an error with *refusal set. The sink may have taken records
// before a refusal: its state is then to be thrown away.
Status recover(Directory& directory, RecoverySink& sink, const RecoveryOptions& options,
               Recovered* recovered, Refusal* refusal);

// Where an owner that takes a live region over reads on.
struct TailStart {
  LogFilePosition position;  // behind the last published frame
  uint64_t revision = 0;     // the last that it contains
  uint64_t epoch = 0;
};

// Reads the frames behind `from`, by the same rule. Errors also when the log does not agree that
// `from` is a place in it: kCorruption; recover() is then the way.
Status read_tail(Directory& directory, const TailStart& from, RecoverySink& sink,
                 const RecoveryOptions& options, Recovered* recovered, Refusal* refusal);

}  // namespace small_db
