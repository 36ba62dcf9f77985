// What can be kept of a damaged data directory, and what would be lost. Only reads.
//
// A state is kept as it was at one revision: a checkpoint (or the empty state) and the log's frames
// from there, in order, up to the first that is damaged or missing. Frames behind a gap are never
// applied. Of all such states, the one that reaches the highest revision is taken.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "engine/recovery/data_directory.h"
#include "engine/recovery/recovery.h"
#include "engine/tools/command.h"
#include "engine/tools/state.h"

namespace small_db::tools {

struct Salvage {
  uint64_t base = 0;      // generation that the state was read from; 0: the empty state
  uint64_t revision = 0;  // of the state
  // Nothing that any file proves is missing from the state.
  bool complete = false;
  // The checkpoint's walk changed to a newer state, and the log that it needs is damaged: some keys
  // are older than others.
  bool mixed = false;
  uint64_t proven_revision = 0;      // was acknowledged, as far as files tell
  std::vector<std::string> damages;  // whole sentences, with file and offset

  // For the generation that takes the place of all.
  Uid cluster_id{};
  uint64_t epoch = 0;
  uint64_t generation = 1;
  uint64_t last_revision = 0;  // no revision up to here may be given again
};

class Salvager {
 public:
  Salvager(Directory& directory, const DirectoryListing& listing, State& state, Console& console)
      : directory_(directory), listing_(listing), state_(state), console_(console) {}

  // Fills the state with what can be kept. Errors: when the machine, not the store, is at fault.
  Result<Salvage> run();

 private:
  struct Attempt {
    uint64_t base = 0;
    bool possible = false;
    bool whole = false;  // up to the end of the last log that there is
    bool mixed = false;
    uint64_t revision = 0;
    uint64_t epoch = 0;
    std::optional<Uid> cluster_id;
    std::optional<Refusal> refusal;  // why it is not whole
  };

  Result<Attempt> attempt(uint64_t base, uint64_t stop_before);
  Status replay(Attempt& attempt, const LoadedCheckpoint* checkpoint, uint64_t stop_before,
                uint64_t* broken_frame);
  static bool is_better(const Attempt& left, const Attempt& right);
  void gather_evidence(Salvage& salvage);
  void look_at_log(uint64_t generation, Salvage& salvage);

  Directory& directory_;
  const DirectoryListing& listing_;
  State& state_;
  Console& console_;
  std::optional<Uid> seen_cluster_id_;
  uint64_t log_bytes_ = 0;
};

}  // namespace small_db::tools
