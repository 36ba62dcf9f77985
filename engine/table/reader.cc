#include "engine/table/reader.h"

#include <bit>
#include <utility>

#include "engine/base/kill_point.h"

namespace small_db {

SlotPins::SlotPins(Region region, uint32_t slot) noexcept
    : region_(region), slot_(&region.slot(slot)) {
  touch_slot(region, slot);
}

Result<Snapshot> Snapshot::take(SlotPins& pins) noexcept {
  if (pins.free_ == 0) return Status(Code::kOverloaded, "snapshot: pins");
  const auto index = static_cast<uint32_t>(std::countr_zero(pins.free_));
  pins.free_ &= ~(uint32_t{1} << index);
  Snapshot snapshot(pins, index);

  std::atomic<uint64_t>& pin = pins.slot_->pins[index];
  const std::atomic<uint64_t>& published = pins.region_.header().published_root;
  uint64_t word = published.load();
  for (;;) {
    // The store and the load after it must not change places: both are in the one order of
    // sequentially consistent operations, as are publish_root's store and the reclaimer's loads.
    pin.store(word);
    SMALL_DB_KILL_POINT("snapshot: pinned, not confirmed");
    const uint64_t now = published.load();
    if (now == word) break;
    word = now;
  }
  SMALL_DB_KILL_POINT("snapshot: pinned");
  if (word == 0) return Status(Code::kUnavailable, "snapshot: nothing is published");

  snapshot.arena_ = ArenaView(pins.region_.arena());
  const RootBlock* block = root_at(snapshot.arena_, BlockRef::from_word(word));
  if (block == nullptr) return Status(Code::kCorruption, "snapshot: root");
  snapshot.root_ = &block->root;
  snapshot.tree_ = block->root.by_key();
  return snapshot;
}

Snapshot::Snapshot(Snapshot&& other) noexcept
    : pins_(std::exchange(other.pins_, nullptr)),
      pin_(other.pin_),
      arena_(other.arena_),
      tree_(other.tree_),
      root_(other.root_) {}

Snapshot& Snapshot::operator=(Snapshot&& other) noexcept {
  if (this != &other) {
    let_go();
    pins_ = std::exchange(other.pins_, nullptr);
    pin_ = other.pin_;
    arena_ = other.arena_;
    tree_ = other.tree_;
    root_ = other.root_;
  }
  return *this;
}

Result<StoredRecord> Snapshot::find(Bytes key) const noexcept {
  return find_record(arena_, tree_, key);
}

void Snapshot::let_go() noexcept {
  if (pins_ == nullptr) return;
  // Release: what was read was read before. Pairs with the reclaimer's load of the pin.
  pins_->slot_->pins[pin_].store(0, std::memory_order_release);
  pins_->free_ |= uint32_t{1} << pin_;
}

}  // namespace small_db
