#include "tests/sim/sim_fs_names.h"

#include <algorithm>

namespace small_db {

uint32_t SimNames::find_in(const std::vector<Entry>& entries, std::string_view name) noexcept {
  for (const Entry& entry : entries) {
    if (entry.name == name) return entry.inode;
  }
  return kNoInode;
}

void SimNames::put_in(std::vector<Entry>& entries, std::string_view name, uint32_t inode) {
  const auto found = std::find_if(entries.begin(), entries.end(),
                                  [&](const Entry& entry) { return entry.name == name; });
  if (found == entries.end()) {
    if (inode != kNoInode) entries.push_back({std::string(name), inode});
  } else if (inode == kNoInode) {
    entries.erase(found);
  } else {
    found->inode = inode;
  }
}

bool SimNames::refers_to(uint32_t inode) const noexcept {
  const auto is_it = [inode](const auto& entry) { return entry.inode == inode; };
  return std::any_of(live_.begin(), live_.end(), is_it) ||
         std::any_of(durable_.begin(), durable_.end(), is_it) ||
         std::any_of(unsynced_.begin(), unsynced_.end(), is_it);
}

void SimNames::record(std::string_view name, uint32_t inode) {
  put_in(live_, name, inode);
  unsynced_.push_back({std::string(name), inode, changes_, false});
}

void SimNames::create(std::string_view name, uint32_t inode) {
  ++changes_;
  record(name, inode);
}

void SimNames::rename(std::string_view from, std::string_view to) {
  if (from == to) return;
  ++changes_;
  const uint32_t inode = find(from);
  record(from, kNoInode);
  record(to, inode);
}

void SimNames::remove(std::string_view name) {
  ++changes_;
  record(name, kNoInode);
}

void SimNames::sync() {
  // What was lost stays uncertain, except for names that changed again since.
  std::vector<Effect> uncertain;
  for (const Effect& effect : unsynced_) {
    if (effect.lost) {
      uncertain.push_back(effect);
      continue;
    }
    put_in(durable_, effect.name, effect.inode);
    std::erase_if(uncertain, [&](const Effect& lost) { return lost.name == effect.name; });
  }
  unsynced_ = std::move(uncertain);
}

void SimNames::fail_sync() {
  for (Effect& effect : unsynced_) effect.lost = true;
}

void SimNames::crash(const SimCrashPolicy& policy, SimRandom& random) {
  bool kept = false;
  uint32_t decided = 0;  // changes are numbered from 1
  for (const Effect& effect : unsynced_) {
    if (effect.change != decided) {
      kept = random.chance(policy.changes_kept);
      decided = effect.change;
    }
    if (kept) put_in(durable_, effect.name, effect.inode);
  }
  unsynced_.clear();
  live_ = durable_;
}

void SimNames::force(std::string_view name, uint32_t inode) {
  put_in(live_, name, inode);
  put_in(durable_, name, inode);
  std::erase_if(unsynced_, [&](const Effect& effect) { return effect.name == name; });
}

void SimNames::renumber(size_t index, uint32_t inode) {
  live_[index].inode = inode;
  durable_[index].inode = inode;
}

}  // namespace small_db
