// Loads a checkpoint into the table, which grows bottom-up from the sorted file. Runs in the thread
// that owns the table; with read-ahead, a second thread reads and verifies the blocks meanwhile.
#pragma once

#include <cstdint>
#include <functional>

#include "engine/checkpoint/format.h"
#include "engine/platform/file_system.h"
#include "engine/platform/pages_ahead.h"
#include "engine/table/table.h"

namespace small_db {

struct CheckpointLoadOptions {
  // Read and verify in a thread of its own. Off: no thread is made.
  bool read_ahead = false;
  // Of the table's arena: is told how much will be filled. May be null.
  PagesAhead* pages = nullptr;
  // Called in the calling thread, about once per block.
  std::function<void(uint64_t bytes_done, uint64_t bytes_total)> progress;
};

struct CheckpointState {
  CheckpointHeader header;
  CheckpointFooter
      footer;  // replay the log from its start revision; it must reach the end revision
};

// Puts all records of checkpoint.G into `table`. The open batch stays open: the log's records come
// on top of it by put and erase.
// damage_offset: where in the file an error was found; may be null.
// Errors: kNotFound; kCorruption, kWrongFormat: see reader.h; kNoMemory. The table is to be cleared
// then. REQUIRES: a batch is open, and the table is empty.
Result<CheckpointState> load_checkpoint(Directory& directory, uint64_t generation, Table& table,
                                        const CheckpointLoadOptions& options,
                                        uint64_t* damage_offset);

}  // namespace small_db
