// What a store's shared region says of itself, read from outside: out of the memory of nginx's
// master, which maps the region as its workers do, through /proc/PID/mem (proc(5)). Needs the right
// to trace the process, which a parent has.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <vector>

namespace small_db::testing {

struct RegionView {
  uint32_t slots = 0;
  uint32_t held = 0;                // by a process
  uint32_t leaving = 0;             // let go, and not swept yet
  uint32_t pins = 0;                // of all slots
  std::vector<pid_t> log_watchers;  // whose bells ring for each commit; 0: a slot that nobody holds
  uint64_t keys = 0;
  uint64_t arena_used_bytes = 0;
  uint64_t owner_epoch = 0;
};

// Nothing when the process maps no region.
std::optional<RegionView> look_at_region(pid_t pid);

}  // namespace small_db::testing
