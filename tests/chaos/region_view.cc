#include "tests/chaos/region_view.h"

#include <fcntl.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <fstream>
#include <memory>
#include <string>
#include <vector>

#include "engine/shm/region.h"
#include "engine/shm/slot.h"

namespace small_db::testing {
namespace {

class ProcessMemory {
 public:
  explicit ProcessMemory(pid_t pid)
      : file_(open(("/proc/" + std::to_string(pid) + "/mem").c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~ProcessMemory() {
    if (file_ >= 0) close(file_);
  }
  ProcessMemory(const ProcessMemory&) = delete;
  ProcessMemory& operator=(const ProcessMemory&) = delete;

  bool read(uint64_t address, void* to, size_t bytes) const {
    return pread(file_, to, bytes, static_cast<off_t>(address)) == static_cast<ssize_t>(bytes);
  }

 private:
  int file_;
};

// nginx's shared zones are anonymous shared mappings. The region starts on a page, behind the
// zone's own bookkeeping, which takes 0.6 % of it.
uint64_t find_region(pid_t pid, const ProcessMemory& memory) {
  std::ifstream maps("/proc/" + std::to_string(pid) + "/maps");
  for (std::string line; std::getline(maps, line);) {
    if (line.find("rw-s") == std::string::npos) continue;
    uint64_t start = 0;
    uint64_t end = 0;
    if (std::sscanf(line.c_str(), "%lx-%lx", &start, &end) != 2) continue;
    for (uint64_t page = start; page < start + (end - start) / 50; page += kPageBytes) {
      uint64_t magic = 0;
      if (memory.read(page, &magic, sizeof(magic)) && magic == kRegionMagic) return page;
    }
  }
  return 0;
}

}  // namespace

std::optional<RegionView> look_at_region(pid_t pid) {
  const ProcessMemory memory(pid);
  const uint64_t region = find_region(pid, memory);
  const auto header = std::make_unique<RegionHeader>();
  if (region == 0 || !memory.read(region, static_cast<void*>(header.get()), sizeof(RegionHeader))) {
    return std::nullopt;
  }
  RegionView view;
  view.slots = header->slot_count;
  view.keys = header->keys.load();
  view.arena_used_bytes = header->arena_used_bytes.load();
  view.owner_epoch = header->owner_epoch.load();
  std::vector<Slot> slots(view.slots);
  if (!memory.read(region + header->slots_offset, static_cast<void*>(slots.data()),
                   slots.size() * sizeof(Slot))) {
    return std::nullopt;
  }
  for (const Slot& slot : slots) {
    const SlotHolder holder = SlotHolder::unpack(slot.holder.load());
    if (slot.watches_log.load() != 0) view.log_watchers.push_back(static_cast<pid_t>(holder.pid));
    if (holder.is_free()) continue;
    view.held += holder.is_held() ? 1 : 0;
    view.leaving += holder.is_held() ? 0 : 1;
    for (const auto& pin : slot.pins) view.pins += pin.load() != 0 ? 1 : 0;
  }
  return view;
}

}  // namespace small_db::testing
