// What a store's directives say about replication. Lives in the cycle's pool, with the store's
// configuration; the storage process copies what it needs.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/limits.h"
#include "ngx_module/api/upstream_settings.h"

namespace small_db {

// What becomes of a write that too few backups have made durable in time.
enum class OnAckTimeout : uint8_t {
  kRefuse = 0,  // its outcome is unknown
  kDegrade,     // it is answered as if none were asked for, until enough backups are back
};

struct ReplicationSettings {
  std::optional<UpstreamSettings> backup_of;  // the primary; nothing: this store follows none
  uint32_t ack_count = 0;                     // backups that a write waits for; 0: none
  uint32_t ack_timeout_ms = 5'000;
  OnAckTimeout on_ack_timeout = OnAckTimeout::kRefuse;
  uint64_t log_bytes = kGiB;  // of the log, kept for backups that are behind
};

}  // namespace small_db
