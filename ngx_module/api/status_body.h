// The body of GET …/status: what the store's owner tells of itself, as JSON for people and scripts.
// Members may be added; those that are there keep their names and meaning.
#pragma once

#include <cstdint>
#include <string>

#include "engine/shm/region.h"
#include "ngx_module/api/replication_figures.h"

namespace small_db {

// Figures of a store at about one moment: each is right by itself, two may be a commit apart.
struct StatusFigures {
  StoreState state = StoreState::kStarting;
  std::string reason;              // empty while it serves
  uint32_t progress_permille = 0;  // of loading
  uint32_t owner_pid = 0;          // of the storage process; 0: none is at work
  uint64_t owner_epoch = 0;        // owners that this memory has had
  uint64_t revision = 0;           // last published
  uint64_t epoch = 0;              // of the owner that published it, as in the log
  uint64_t generation = 0;         // of the active log
  uint64_t keys = 0;
  uint64_t memory_used_bytes = 0;
  uint64_t memory_free_bytes = 0;
  uint64_t memory_limit_bytes = 0;
  uint32_t slots_used = 0;
  uint32_t slots_limit = 0;
  uint32_t pins = 0;             // states that readers and a checkpoint hold in memory
  uint64_t oldest_revision = 0;  // of the oldest of them; 0: none
  bool disk_full = false;
  uint64_t commits = 0;  // since the memory was made, as all counts
  uint64_t syncs = 0;
  uint64_t operations = 0;
  uint64_t log_bytes = 0;
  uint64_t log_failures = 0;
  uint64_t sync_counts[kSyncCounts] = {};  // by kSyncBoundsUs
  uint64_t sync_us = 0;
  uint64_t expired = 0;
  bool checkpoint_runs = false;
  uint64_t checkpoints = 0;
  uint64_t checkpoint_failures = 0;
  uint64_t checkpoint_generation = 0;  // of the last one; 0: none was made
  uint64_t checkpoint_revision = 0;
  uint64_t checkpoint_bytes = 0;
  uint64_t checkpoint_duration_us = 0;
  uint64_t checkpoint_end_ms = 0;  // Unix time in milliseconds
  ReplicationFigures replication;
};

// Reads the figures from the region. Any process. May throw std::bad_alloc.
StatusFigures read_status(const Region& region);

// {"role":"primary","state":"serving","revision":7,…}. Throws std::bad_alloc.
std::string status_body(const StatusFigures& figures);

}  // namespace small_db
