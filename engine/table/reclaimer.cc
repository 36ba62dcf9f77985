#include "engine/table/reclaimer.h"

#include <algorithm>
#include <utility>

#include "engine/base/kill_point.h"
#include "engine/shm/slot.h"

namespace small_db {

void Reclaimer::clear() noexcept {
  first_ = own_from_ = open_batch_ = change_revision_ = 0;
  roots_.clear();
  waiting_.clear();
  parked_.clear();
  pinned_.clear();
}

void Reclaimer::retire(BlockRef block, uint64_t birth) {
  if (is_own(birth)) {
    blocks_.free(block);
  } else {
    waiting_.push_back({block, birth, open_batch_});
  }
}

void Reclaimer::retire_after(BlockRef block, uint64_t birth, uint64_t last) {
  waiting_.push_back({block, birth, last + 1});
}

void Reclaimer::begin_change(uint64_t revision) noexcept {
  own_from_ = ++open_batch_;
  change_revision_ = revision;
  waiting_before_ = waiting_.size();
}

void Reclaimer::keep_change() {
  own_from_ = first_;
  change_revision_ = 0;
  const auto is_free = [this](const Garbage& garbage) { return is_own(garbage.birth); };
  const auto from = waiting_.begin() + static_cast<ptrdiff_t>(waiting_before_);
  std::for_each(from, waiting_.end(), [&](const Garbage& garbage) {
    if (is_free(garbage)) blocks_.free(garbage.block);
  });
  waiting_.erase(std::remove_if(from, waiting_.end(), is_free), waiting_.end());
}

void Reclaimer::undo_change() {
  waiting_.erase(waiting_.begin() + static_cast<ptrdiff_t>(waiting_before_), waiting_.end());
  own_from_ = first_;
  change_revision_ = 0;
}

void Reclaimer::collect() {
  if (roots_.empty()) return;
  const uint64_t published = published_batch();  // before the pins: see reader.h
  pinned_ = pinned_batches();
  drop_roots(published);
  unpark();
  while (!waiting_.empty() && waiting_.front().death <= published) {
    free_or_park(waiting_.front());
    waiting_.pop_front();
  }
}

uint64_t Reclaimer::birth_of_record(BlockRef record) const noexcept {
  const Bytes block = ArenaView(region_.arena()).at(record);
  const auto revision = load<uint64_t>(block.data() + kRecordRevisionOffset);
  const auto root = std::lower_bound(
      roots_.begin(), roots_.end(), revision,
      [](const LiveRoot& live, uint64_t sought) { return live.revision_max < sought; });
  if (root != roots_.end()) return root->batch;
  return revision < change_revision_ ? own_from_ - 1 : open_batch_;
}

std::vector<uint64_t> Reclaimer::pinned_words() const {
  std::vector<uint64_t> words;
  // Whoever pins has touched its slot before, sequentially consistent as the pins are.
  const uint32_t slots = slots_touched(region_);
  for (uint32_t i = 0; i < slots; ++i) {
    for (const std::atomic<uint64_t>& pin : region_.slot(i).pins) {
      // Sequentially consistent, see reader.h; and acquires what a reader released.
      if (const uint64_t word = pin.load(); word != 0) words.push_back(word);
    }
  }
  std::sort(words.begin(), words.end());
  return words;
}

// 0: nothing is published.
uint64_t Reclaimer::published_batch() const noexcept {
  const uint64_t word = region_.header().published_root.load();
  for (const LiveRoot& root : roots_) {
    if (root.ref.word() == word) return root.batch;
  }
  return 0;
}

// A word that is no live root's is one that its reader is about to take back.
std::vector<uint64_t> Reclaimer::pinned_batches() const {
  const std::vector<uint64_t> words = pinned_words();
  std::vector<uint64_t> batches;
  for (const LiveRoot& root : roots_) {
    if (std::binary_search(words.begin(), words.end(), root.ref.word())) {
      batches.push_back(root.batch);
    }
  }
  return batches;
}

// A root that is neither pinned nor published nor to be published is gone. Its seal is broken
// before anything that it reached is freed, so that no later owner takes it for a live one.
void Reclaimer::drop_roots(uint64_t published) {
  const auto is_dead = [&](const LiveRoot& root) {
    return root.batch < published &&
           !std::binary_search(pinned_.begin(), pinned_.end(), root.batch);
  };
  for (const LiveRoot& root : roots_) {
    if (is_dead(root)) break_seal(root.ref);
  }
  SMALL_DB_KILL_POINT("root: seals broken");
  // This process may be killed at any instruction: what was stored before it counts for the next
  // owner. So only the compiler must keep the order.
  std::atomic_signal_fence(std::memory_order_release);
  for (const LiveRoot& root : roots_) {
    if (is_dead(root)) blocks_.free(root.ref);
  }
  roots_.erase(std::remove_if(roots_.begin(), roots_.end(), is_dead), roots_.end());
}

void Reclaimer::break_seal(BlockRef root) noexcept {
  reinterpret_cast<RootBlock*>(ArenaView(region_.arena()).at(root).data())->seal = 0;
}

void Reclaimer::break_unpublished_seals() noexcept {
  const uint64_t published = published_batch();
  for (const LiveRoot& root : roots_) {
    if (root.batch > published) break_seal(root.ref);
  }
}

void Reclaimer::free_or_park(const Garbage& garbage) {
  const auto pin = std::lower_bound(pinned_.begin(), pinned_.end(), garbage.birth);
  if (pin != pinned_.end() && *pin < garbage.death) {
    parked_[*pin].push_back(garbage);
  } else {
    blocks_.free(garbage.block);
  }
}

void Reclaimer::unpark() {
  std::vector<Garbage> freed_of_pin;
  for (auto parked = parked_.begin(); parked != parked_.end();) {
    if (std::binary_search(pinned_.begin(), pinned_.end(), parked->first)) {
      ++parked;
      continue;
    }
    freed_of_pin.insert(freed_of_pin.end(), parked->second.begin(), parked->second.end());
    parked = parked_.erase(parked);
  }
  for (const Garbage& garbage : freed_of_pin) free_or_park(garbage);
}

}  // namespace small_db
