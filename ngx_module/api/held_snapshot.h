// A snapshot that is held from one turn of the event loop to another, while a request's work goes
// on in slices. Few may be: they share the process's pins with all other reads. And it is taken
// back when this process lets its slot go: what is read in it must be asked for anew at each turn.
//
// Runs in a worker's event loop.
#pragma once

#include <optional>

#include "engine/client/client.h"

namespace small_db {

// Half of a slot's pins: the others are for reads that end where they begin.
inline constexpr uint32_t kHeldSnapshotsMax = kPinsPerSlot / 2;

class HeldSnapshot {
 public:
  HeldSnapshot() noexcept;
  ~HeldSnapshot();
  HeldSnapshot(const HeldSnapshot&) = delete;
  HeldSnapshot& operator=(const HeldSnapshot&) = delete;

  // Errors: as of Client::snapshot; kOverloaded also when too many are held.
  Status take(Client& client) noexcept;
  void let_go() noexcept;

  // nullptr: none was taken, or it was taken back.
  const Snapshot* get() const noexcept { return snapshot_ ? &*snapshot_ : nullptr; }

 private:
  friend void take_back_snapshots(const Client* client) noexcept;

  std::optional<Snapshot> snapshot_;
  const Client* client_ = nullptr;
  HeldSnapshot* next_;  // all that exist
  HeldSnapshot* previous_ = nullptr;
};

// Takes back what is held of this client, which is about to end; of all clients with nullptr.
void take_back_snapshots(const Client* client) noexcept;

}  // namespace small_db
