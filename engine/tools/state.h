// A store's content in this process's own memory: the engine's table over a mapping that grows, so
// that nobody has to say how large it must be. One thread.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/record/content_hash.h"
#include "engine/recovery/recovery.h"
#include "engine/table/table.h"

namespace small_db::tools {

class State {
 public:
  // expected_bytes: of keys and values; a guess.
  explicit State(uint64_t expected_bytes);
  ~State();
  State(const State&) = delete;
  State& operator=(const State&) = delete;

  // Makes it empty, with at least as much room as before. Errors of all: kNoMemory when the system
  // has none; as those of Table.
  Status clear();
  // As clear(), with twice the room.
  Status clear_and_double();

  Status put(const RecordView& record);
  Status erase(Bytes key, uint64_t revision);

  // After an ok clear(). For the loader of checkpoints.
  Table& table() { return *table_; }

  struct Totals {
    uint64_t keys = 0;
    uint64_t bytes = 0;  // of keys and values
    std::string hash;
  };
  // Errors: kCorruption.
  Result<Totals> totals() const;

  // Calls visit(const RecordView&), which returns a Status, for each record in key order. The
  // view's value is whole, in memory that the next call reuses.
  Status for_each(const std::function<Status(const RecordView&)>& visit) const;

 private:
  Status map(uint64_t bytes);
  void unmap();
  Status grow();

  uint64_t bytes_;  // of the mapping, or wanted
  MutableBytes memory_;
  std::unique_ptr<Table> table_;
};

// Puts what recovery reads into a State.
class StateSink : public RecoverySink {
 public:
  explicit StateSink(State& state) noexcept : state_(state) {}

  Status restart() override { return state_.clear(); }
  Status begin_frame(const FrameView& frame) override;
  Status apply(const RecordView& record) override;
  Status end_frame(const FrameView& frame, const LogFilePosition& after) override;

  // The frame that begins with this revision, and all behind it, are not taken: begin_frame then
  // gives kInterrupted.
  void stop_before(uint64_t revision) { stop_before_ = revision; }
  uint64_t frames() const { return frames_; }
  uint64_t last_revision() const { return last_revision_; }  // of the last whole frame
  uint64_t epoch() const { return epoch_; }
  // The first revision of a frame that was taken in part; 0: none was.
  uint64_t broken_frame() const { return in_frame_; }

 private:
  State& state_;
  uint64_t stop_before_ = UINT64_MAX;
  uint64_t frames_ = 0;
  uint64_t last_revision_ = 0;
  uint64_t epoch_ = 0;
  uint64_t in_frame_ = 0;
};

// Loads checkpoints into a State.
class StateCheckpoints : public CheckpointLoader {
 public:
  StateCheckpoints(State& state, std::function<void(uint64_t, uint64_t)> progress)
      : state_(state), progress_(std::move(progress)) {}

  Result<LoadedCheckpoint> load(Directory& directory, uint64_t generation,
                                RecoverySink& sink) override;
  uint64_t damage_offset() const override { return damage_offset_; }

 private:
  State& state_;
  std::function<void(uint64_t, uint64_t)> progress_;
  uint64_t damage_offset_ = 0;
};

}  // namespace small_db::tools
