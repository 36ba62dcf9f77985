// How a store is set up. Defaults suit production; tests make them small.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

#include "engine/base/limits.h"

namespace small_db {

// How a store takes part in replication.
struct ReplicationOptions {
  // The primary to follow, by the name that its UpstreamFactory gives; empty: this node is one.
  std::string primary_name;
  uint32_t acks_required = 0;  // of backups, before a write is seen and answered; 0: of none
  uint64_t ack_timeout_us = 5'000'000;
  bool degrade = false;            // after it: answer without them, instead of refusing writes
  uint64_t kept_log_bytes = kGiB;  // of logs that only backups still need
};

struct StoreOptions {
  ReplicationOptions replication;
  size_t batch_bytes_max = kBatchBytesMax;
  size_t batch_requests_max = kBatchRequestsMax;
  size_t batch_bytes_enough = kBatchBytesEnough;
  size_t drain_bytes = kDrainBytes;
  // The log is written into space that was zero-filled and synced ahead of the writer.
  size_t log_ahead_bytes = 16 * kMiB;     // kept prepared beyond the last frame
  size_t log_prepare_step_bytes = kMiB;   // prepared in steps of
  size_t log_reserve_bytes = 512 * kKiB;  // of the prepared space, that only deletes may use
  // Checkpoints in the background: after so many seconds, bytes of log, or committed records since
  // the last one. 0: never for that reason. Nothing is written when nothing has changed.
  uint64_t checkpoint_interval_us = 60'000'000;
  uint64_t checkpoint_log_bytes = 64 * kMiB;
  uint64_t checkpoint_updates = 0;
  // Of records, between two moments at which others that wait for the processor get it: some 50 us.
  size_t checkpoint_step_bytes = 8 * kKiB;
  // Threads beside those that call: one reads ahead while a checkpoint is loaded, one has pages of
  // the arena made ahead of their use.
  bool helper_threads = false;
  size_t keep_generations = 1;            // before the one in force
  uint64_t idle_frame_after_us = 50'000;  // an IDLE frame this long after the last commit
};

}  // namespace small_db
