// The simulated directory: which name means which file, now and after a crash.
//
// Each create, rename and remove is one change, kept or not as a whole and independently of all
// others, until a directory sync makes it durable. A failed sync does to changes what it does to
// sectors: they stay visible, and no later sync makes them durable; only a new change of the same
// name replaces them. One thread only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/sim/sim_fs_random.h"

namespace small_db {

inline constexpr uint32_t kNoInode = UINT32_MAX;

class SimNames {
 public:
  struct Entry {
    std::string name;
    uint32_t inode;
  };

  // kNoInode where there is no such name.
  uint32_t find(std::string_view name) const noexcept { return find_in(live_, name); }
  const std::vector<Entry>& live() const noexcept { return live_; }
  bool refers_to(uint32_t inode) const noexcept;
  bool is_durable() const noexcept { return unsynced_.empty(); }

  void create(std::string_view name, uint32_t inode);
  // REQUIRES: `from` exists.
  void rename(std::string_view from, std::string_view to);
  void remove(std::string_view name);

  void sync();
  void fail_sync();
  // Drops what does not survive; the rest is durable.
  void crash(const SimCrashPolicy& policy, SimRandom& random);

  // Changes the name at once and durably, behind the file system's back.
  void force(std::string_view name, uint32_t inode);

  // Replaces the inode number of the live entry at `index` after a crash.
  void renumber(size_t index, uint32_t inode);

 private:
  // One name's part of a change; the parts of a rename are neighbours with the same number.
  struct Effect {
    std::string name;
    uint32_t inode;
    uint32_t change;
    bool lost;
  };

  static uint32_t find_in(const std::vector<Entry>& entries, std::string_view name) noexcept;
  static void put_in(std::vector<Entry>& entries, std::string_view name, uint32_t inode);
  void record(std::string_view name, uint32_t inode);

  std::vector<Entry> live_;
  std::vector<Entry> durable_;
  std::vector<Effect> unsynced_;
  uint32_t changes_ = 0;
};

}  // namespace small_db
