// See arena.h. The list scheme is that of two-level segregated fit: M. Masmano and others, "TLSF: a
// New Dynamic Memory Allocator for Real-Time Systems" (2004), with the two levels in one array.
#include "engine/table/arena.h"

#include <algorithm>
#include <bit>

#include "engine/base/kill_point.h"

namespace small_db {
namespace {

constexpr uint32_t kExactBins = 16;
constexpr uint32_t kSubdivisionBits = 4;
constexpr int kSearchSteps = 64;  // in the one list whose runs may be too short

uint64_t ones(uint64_t count) noexcept {
  return count >= 64 ? ~uint64_t{0} : (uint64_t{1} << count) - 1;
}

}  // namespace

Arena::Arena(MutableBytes memory)
    : base_(memory.data()),
      granules_(memory.size() / kGranuleBytes),
      given_out_((granules_ + 63) / 64, ~uint64_t{0}) {
  SMALL_DB_ASSERT(granules_ > 1 && granules_ <= kArenaBytesMax / kGranuleBytes);
  SMALL_DB_ASSERT(reinterpret_cast<uintptr_t>(base_) % kGranuleBytes == 0);
}

BlockRef Arena::allocate(size_t bytes) noexcept {
  SMALL_DB_ASSERT(bytes > 0 && bytes <= kBlockBytesMax);
  const auto wanted = static_cast<uint32_t>((bytes + kGranuleBytes - 1) / kGranuleBytes);
  const uint32_t granule = find_run(wanted);
  if (granule == 0) return {};
  const uint32_t length = run_at(granule)->granules;
  remove_run(granule);
  if (length > wanted) insert_run(granule + wanted, length - wanted);
  set_bits(granule, wanted, true);
  reach_ = std::max(reach_, uint64_t{granule} + wanted);
  return BlockRef(granule, wanted);
}

void Arena::free(BlockRef block) noexcept {
  uint32_t first = block.granule();
  uint32_t length = block.granules();
  SMALL_DB_ASSERT(first != 0 && length != 0 && uint64_t{first} + length <= granules_);
  SMALL_DB_ASSERT(bits_are(first, length, true));
  set_bits(first, length, false);
  const uint64_t end = uint64_t{first} + length;
  if (end < granules_ && !is_given_out(end)) {
    const auto after = static_cast<uint32_t>(end);
    length += run_at(after)->granules;
    remove_run(after);
  }
  if (!is_given_out(first - 1)) {  // granule 0 always is
    const uint32_t before = length_before(first);
    first -= before;
    length += before;
    remove_run(first);
  }
  insert_run(first, length);
}

void Arena::clear() noexcept {
  begin_mark();
  if (granules_ > 1) insert_run(1, static_cast<uint32_t>(granules_ - 1));
}

void Arena::begin_mark() noexcept {
  std::fill(given_out_.begin(), given_out_.end(), 0);
  set_bits(0, 1, true);
  reach_ = 0;
  const uint64_t beyond = given_out_.size() * 64 - granules_;
  if (beyond != 0) set_bits(granules_, beyond, true);
  forget_free_runs();
}

MarkResult Arena::mark(BlockRef block) noexcept {
  const uint32_t first = block.granule();
  const uint32_t length = block.granules();
  if (first == 0 || length == 0 || uint64_t{first} + length > granules_) {
    return MarkResult::kInvalid;
  }
  const bool marked = is_given_out(first);
  if (!bits_are(first, length, marked)) return MarkResult::kInvalid;
  if (marked) return MarkResult::kAlreadyMarked;
  set_bits(first, length, true);
  reach_ = std::max(reach_, uint64_t{first} + length);
  return MarkResult::kMarked;
}

void Arena::end_mark() noexcept {
  forget_free_runs();
  for (uint64_t first = find_bit(0, false); first < granules_;) {
    const uint64_t end = find_bit(first, true);
    insert_run(static_cast<uint32_t>(first), static_cast<uint32_t>(end - first));
    first = find_bit(end, false);
  }
}

size_t Arena::largest_bytes() const noexcept {
  for (size_t word = bins_used_.size(); word-- > 0;) {
    if (bins_used_[word] == 0) continue;
    const size_t bin = word * 64 + 63 - std::countl_zero(bins_used_[word]);
    return std::min(run_at(bins_[bin])->granules * kGranuleBytes, kBlockBytesMax);
  }
  return 0;
}

uint32_t Arena::bin_of(uint32_t granules) noexcept {
  if (granules < kExactBins) return granules;
  const uint32_t power = std::bit_width(granules) - 1;
  const uint32_t part = granules >> (power - kSubdivisionBits) & (kExactBins - 1);
  return (power - kSubdivisionBits + 1) * kExactBins + part;
}

Arena::FreeRun* Arena::run_at(uint32_t granule) const noexcept {
  return reinterpret_cast<FreeRun*>(base_ + uint64_t{granule} * kGranuleBytes);
}

uint32_t Arena::length_before(uint32_t granule) const noexcept {
  return load<uint32_t>(base_ + uint64_t{granule} * kGranuleBytes - sizeof(uint32_t));
}

// The first run of the first list in which every run is long enough; failing that, one of the list
// that also holds shorter ones.
uint32_t Arena::find_run(uint32_t granules) const noexcept {
  const uint32_t own_bin = bin_of(granules);
  uint32_t bin = own_bin;
  if (granules >= kExactBins) {
    const uint32_t power = std::bit_width(granules) - 1;
    bin = bin_of(granules + (1U << (power - kSubdivisionBits)) - 1);
  }
  uint64_t used = bins_used_[bin / 64] & ~ones(bin % 64);
  for (size_t word = bin / 64;;) {
    if (used != 0) return bins_[word * 64 + std::countr_zero(used)];
    if (++word == bins_used_.size()) break;
    used = bins_used_[word];
  }
  uint32_t run = bins_[own_bin];
  for (int step = 0; run != 0 && step < kSearchSteps; ++step, run = run_at(run)->next) {
    if (run_at(run)->granules >= granules) return run;
  }
  return 0;
}

void Arena::insert_run(uint32_t granule, uint32_t granules) noexcept {
  const uint32_t bin = bin_of(granules);
  const uint32_t next = bins_[bin];
  *run_at(granule) = {granules, next, 0};
  store(base_ + (uint64_t{granule} + granules) * kGranuleBytes - sizeof(uint32_t), granules);
  SMALL_DB_KILL_POINT("arena: run half inserted");
  if (next != 0) run_at(next)->previous = granule;
  bins_[bin] = granule;
  bins_used_[bin / 64] |= uint64_t{1} << (bin % 64);
  free_granules_ += granules;
}

void Arena::remove_run(uint32_t granule) noexcept {
  const FreeRun run = *run_at(granule);
  const uint32_t bin = bin_of(run.granules);
  if (run.next != 0) run_at(run.next)->previous = run.previous;
  if (run.previous != 0) {
    run_at(run.previous)->next = run.next;
  } else {
    bins_[bin] = run.next;
    if (run.next == 0) bins_used_[bin / 64] &= ~(uint64_t{1} << (bin % 64));
  }
  free_granules_ -= run.granules;
}

void Arena::forget_free_runs() noexcept {
  bins_.fill(0);
  bins_used_.fill(0);
  free_granules_ = 0;
}

void Arena::set_bits(uint64_t first, uint64_t count, bool value) noexcept {
  while (count != 0) {
    const uint64_t shift = first % 64;
    const uint64_t here = std::min(count, 64 - shift);
    const uint64_t mask = ones(here) << shift;
    uint64_t& word = given_out_[first / 64];
    word = value ? word | mask : word & ~mask;
    first += here;
    count -= here;
  }
}

bool Arena::bits_are(uint64_t first, uint64_t count, bool value) const noexcept {
  while (count != 0) {
    const uint64_t shift = first % 64;
    const uint64_t here = std::min(count, 64 - shift);
    const uint64_t word = value ? given_out_[first / 64] : ~given_out_[first / 64];
    if ((word >> shift & ones(here)) != ones(here)) return false;
    first += here;
    count -= here;
  }
  return true;
}

// The first granule from `from` on whose bit is `value`; granules() when there is none.
uint64_t Arena::find_bit(uint64_t from, bool value) const noexcept {
  for (uint64_t index = from; index < granules_; index = (index / 64 + 1) * 64) {
    uint64_t word = value ? given_out_[index / 64] : ~given_out_[index / 64];
    word &= ~ones(index % 64);
    if (word != 0) return std::min<uint64_t>(index / 64 * 64 + std::countr_zero(word), granules_);
  }
  return granules_;
}

Status Arena::check() const {
  uint64_t runs = 0;
  uint64_t free_granules = 0;
  for (uint64_t first = find_bit(0, false); first < granules_; ++runs) {
    const uint64_t end = find_bit(first, true);
    const auto granule = static_cast<uint32_t>(first);
    if (run_at(granule)->granules != end - first ||
        load<uint32_t>(base_ + end * kGranuleBytes - sizeof(uint32_t)) != end - first) {
      return Status(Code::kCorruption, "arena: free run");
    }
    free_granules += end - first;
    first = find_bit(end, false);
  }
  if (free_granules != free_granules_) return Status(Code::kCorruption, "arena: free bytes");
  for (uint32_t bin = 0; bin < kBinCount; ++bin) {
    uint32_t previous = 0;
    for (uint32_t run = bins_[bin]; run != 0; previous = run, run = run_at(run)->next, --runs) {
      if (runs == 0 || is_given_out(run) || !is_given_out(run - 1) ||
          bin_of(run_at(run)->granules) != bin || run_at(run)->previous != previous) {
        return Status(Code::kCorruption, "arena: free list");
      }
    }
    if ((bins_[bin] != 0) != ((bins_used_[bin / 64] >> (bin % 64) & 1) != 0)) {
      return Status(Code::kCorruption, "arena: bins in use");
    }
  }
  return runs == 0 ? Status::ok() : Status(Code::kCorruption, "arena: lost free run");
}

}  // namespace small_db
