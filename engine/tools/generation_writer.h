// Writes a state as a new generation of a data directory, durable and in force when it returns: the
// checkpoint, the log that goes on from it, then `version`. Until the last step nothing that was
// there means anything else than before. REQUIRES: the directory's lock is held.
#pragma once

#include "engine/platform/file_system.h"
#include "engine/tools/state.h"
#include "engine/wal/format.h"

namespace small_db::tools {

struct NewGeneration {
  Uid cluster_id{};
  uint64_t generation = 1;  // above every number in the directory, and above 0
  uint64_t revision = 0;    // the state's last; none of its records has a higher one
  uint64_t epoch = 1;
  uint64_t now_ms = 0;
};

// Errors: those of the file system; nothing is in force then that was not before, and files of that
// generation may be left.
Status write_generation(Directory& directory, State& state, const NewGeneration& generation);

}  // namespace small_db::tools
