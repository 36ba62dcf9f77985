#include "tests/sim/sim_fs_inode.h"

#include <algorithm>

namespace small_db {

namespace {

bool all_zero(Bytes bytes) noexcept {
  return bytes[0] == std::byte{0} &&
         std::memcmp(bytes.data(), bytes.data() + 1, bytes.size() - 1) == 0;
}

}  // namespace

SimInode::Page& SimInode::writable(PagePointer& page) {
  if (!page) {
    page = std::make_shared<Page>();
  } else if (page.use_count() > 1) {
    page = std::make_shared<Page>(*page);
  }
  return *page;
}

// Pages of zeros take no memory, so that prepared logs are cheap to copy.
void SimInode::patch(PagePointer& page, size_t at, Bytes bytes) {
  if (bytes.size() == kPageBytes && all_zero(bytes)) {
    page.reset();
    return;
  }
  copy_bytes(writable(page).data() + at, bytes);
}

SimInode::Sector SimInode::sector_of(const PagePointer& page, size_t sector) noexcept {
  Sector bytes{};
  if (page) std::memcpy(bytes.data(), page->data() + sector * kSectorBytes, kSectorBytes);
  return bytes;
}

void SimInode::clear_from(PagePointer& page, size_t from) {
  if (!page) return;
  if (from == 0) {
    page.reset();
    return;
  }
  Page& bytes = writable(page);
  std::fill(bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.end(), std::byte{0});
}

size_t SimInode::read(uint64_t offset, MutableBytes into) const noexcept {
  if (offset >= size_) return 0;
  const size_t wanted = static_cast<size_t>(std::min<uint64_t>(into.size(), size_ - offset));
  for (size_t done = 0; done < wanted;) {
    const uint64_t at = offset + done;
    const size_t in_page = static_cast<size_t>(at % kPageBytes);
    const size_t count = std::min(wanted - done, kPageBytes - in_page);
    const PagePointer& page = slots_[at / kPageBytes].live;
    if (page) {
      std::memcpy(into.data() + done, page->data() + in_page, count);
    } else {
      std::memset(into.data() + done, 0, count);
    }
    done += count;
  }
  return wanted;
}

void SimInode::write(uint64_t offset, Bytes bytes) {
  if (bytes.empty()) return;
  extend(offset + bytes.size());
  for (size_t done = 0; done < bytes.size();) {
    const uint64_t at = offset + done;
    const size_t page = static_cast<size_t>(at / kPageBytes);
    const size_t in_page = static_cast<size_t>(at % kPageBytes);
    const size_t count = std::min(bytes.size() - done, kPageBytes - in_page);
    will_change(page, in_page, in_page + count);
    patch(slots_[page].live, in_page, bytes.subspan(done, count));
    done += count;
  }
}

void SimInode::truncate(uint64_t bytes) {
  if (bytes >= size_) {
    extend(bytes);
    return;
  }
  const size_t first = static_cast<size_t>(bytes / kPageBytes);
  const size_t pages = static_cast<size_t>(align_up(size_, kPageBytes) / kPageBytes);
  for (size_t page = first; page < pages; ++page) {
    clear_page_from(page, page == first ? static_cast<size_t>(bytes % kPageBytes) : 0);
  }
  set_size(bytes);
}

void SimInode::clear_page_from(size_t page, size_t from) {
  const PagePointer& live = slots_[page].live;
  if (!live) return;
  for (size_t begin = from; begin < kPageBytes;) {
    const size_t end = (begin / kSectorBytes + 1) * kSectorBytes;
    // Cutting zeros off changes no sector, only the size.
    if (!all_zero(Bytes(*live).subspan(begin, end - begin))) will_change(page, begin, end);
    begin = end;
  }
  clear_from(slots_[page].live, from);
}

void SimInode::extend(uint64_t bytes) {
  if (bytes <= size_) return;
  cover(bytes);
  set_size(bytes);
}

void SimInode::set_size(uint64_t bytes) {
  if (size_dirty_ || size_lost_) earlier_sizes_.push_back(size_);
  size_ = bytes;
  size_dirty_ = true;
  size_lost_ = false;
}

void SimInode::cover(uint64_t bytes) {
  const size_t pages = static_cast<size_t>(align_up(bytes, kPageBytes) / kPageBytes);
  if (slots_.size() < pages) slots_.resize(pages);
}

// Marks the sectors of [begin, end) dirty and remembers what unsynced bytes they had.
void SimInode::will_change(size_t page, size_t begin, size_t end) {
  Slot& slot = slots_[page];
  if ((slot.dirty | slot.lost) == 0) unsynced_.push_back(static_cast<uint32_t>(page));
  for (size_t sector = begin / kSectorBytes; sector * kSectorBytes < end; ++sector) {
    const uint8_t bit = static_cast<uint8_t>(1u << sector);
    if (((slot.dirty | slot.lost) & bit) != 0) {
      earlier_[page * kSectorsPerPage + sector].push_back(sector_of(slot.live, sector));
    }
    slot.dirty |= bit;
    slot.lost &= static_cast<uint8_t>(~bit);
  }
}

void SimInode::sync() {
  if (size_dirty_) {
    durable_size_ = size_;
    earlier_sizes_.clear();
    size_dirty_ = false;
  }
  for (const uint32_t page : unsynced_) sync_page(page);
  std::erase_if(unsynced_, [this](uint32_t page) { return slots_[page].lost == 0; });
}

void SimInode::sync_page(size_t page) {
  Slot& slot = slots_[page];
  if (slot.lost == 0) slot.durable = slot.live;
  for (size_t sector = 0; sector < kSectorsPerPage; ++sector) {
    if ((slot.dirty & (1u << sector)) == 0) continue;
    if (!earlier_.empty()) earlier_.erase(page * kSectorsPerPage + sector);
    if (slot.lost != 0) {
      patch(slot.durable, sector * kSectorBytes, sector_of(slot.live, sector));
    }
  }
  slot.dirty = 0;
}

void SimInode::fail_sync() {
  size_lost_ = size_lost_ || size_dirty_;
  size_dirty_ = false;
  for (const uint32_t page : unsynced_) {
    slots_[page].lost |= slots_[page].dirty;
    slots_[page].dirty = 0;
  }
}

std::shared_ptr<SimInode> SimInode::crash(const SimCrashPolicy& policy, SimRandom& random) const {
  auto after = std::make_shared<SimInode>();
  const uint64_t bytes = size_after_crash(policy, random);
  after->cover(bytes);
  after->size_ = after->durable_size_ = bytes;
  const size_t pages = after->slots_.size();
  for (size_t page = 0; page < pages && page < slots_.size(); ++page) {
    after->slots_[page].durable = slots_[page].durable;
  }
  for (const uint32_t page : unsynced_) {
    if (page < pages) after->slots_[page].durable = page_after_crash(page, policy, random);
  }
  if (bytes % kPageBytes != 0) clear_from(after->slots_.back().durable, bytes % kPageBytes);
  for (Slot& slot : after->slots_) slot.live = slot.durable;
  return after;
}

uint64_t SimInode::size_after_crash(const SimCrashPolicy& policy, SimRandom& random) const {
  if (!size_dirty_ && !size_lost_) return durable_size_;
  if (random.chance(policy.sizes_kept)) return size_;
  // The durable size as often as all sizes between together.
  if (earlier_sizes_.empty() || policy.sizes_kept == 0 || random.chance(50)) return durable_size_;
  return earlier_sizes_[random.below(earlier_sizes_.size())];
}

SimInode::PagePointer SimInode::page_after_crash(size_t page, const SimCrashPolicy& policy,
                                                 SimRandom& random) const {
  const Slot& slot = slots_[page];
  PagePointer result = slot.durable;
  for (size_t sector = 0; sector < kSectorsPerPage; ++sector) {
    if (((slot.dirty | slot.lost) & (1u << sector)) == 0) continue;
    const Sector bytes = sector_after_crash(page, sector, policy, random);
    if (bytes == sector_of(result, sector)) continue;
    patch(result, sector * kSectorBytes, bytes);
  }
  return result;
}

SimInode::Sector SimInode::sector_after_crash(size_t page, size_t sector,
                                              const SimCrashPolicy& policy,
                                              SimRandom& random) const {
  if (random.chance(policy.sectors_garbage)) return garbage(page, sector, random);
  if (random.chance(policy.sectors_kept)) return sector_of(slots_[page].live, sector);
  if (policy.sectors_kept != 0 && !earlier_.empty()) {
    const auto found = earlier_.find(page * kSectorsPerPage + sector);
    if (found != earlier_.end() && random.chance(50)) {
      return found->second[random.below(found->second.size())];
    }
  }
  return sector_of(slots_[page].durable, sector);
}

// Three kinds, because each deceives in its own way: noise, zeros that look never written, and new
// bytes that turn into old ones halfway.
SimInode::Sector SimInode::garbage(size_t page, size_t sector, SimRandom& random) const {
  Sector bytes{};
  const uint64_t kind = random.below(4);
  if (kind == 0) return bytes;
  if (kind == 1) {
    bytes = sector_of(slots_[page].durable, sector);
    const Sector live = sector_of(slots_[page].live, sector);
    std::memcpy(bytes.data(), live.data(), random.below(kSectorBytes + 1));
    return bytes;
  }
  for (size_t at = 0; at < kSectorBytes; at += sizeof(uint64_t)) {
    store<uint64_t>(bytes.data() + at, random.next());
  }
  return bytes;
}

void SimInode::poke(uint64_t offset, Bytes bytes) {
  for (size_t index = 0; index < bytes.size(); ++index) {
    Slot& slot = slots_[(offset + index) / kPageBytes];
    const size_t at = static_cast<size_t>((offset + index) % kPageBytes);
    const bool shared = slot.live == slot.durable;
    if (shared) slot.durable.reset();
    writable(slot.live)[at] = bytes[index];
    if (shared) {
      slot.durable = slot.live;
    } else {
      writable(slot.durable)[at] = bytes[index];
    }
  }
}

}  // namespace small_db
