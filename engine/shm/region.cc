// Formats and checks a region. format() and attach() share plan_layout(), so that attach() accepts
// exactly what format() writes.
#include "engine/shm/region.h"

#include <sys/random.h>

#include <algorithm>
#include <bit>
#include <cstddef>
#include <cstring>

#include "engine/base/assert.h"
#include "engine/base/crc32c.h"
#include "engine/shm/slot.h"

namespace small_db {
namespace {

constexpr size_t kConfigBytes = offsetof(RegionHeader, config_crc);
constexpr uint64_t kDerivedShare = 32;          // of the region, for all submission rings together
constexpr uint32_t kCompletionEveryBytes = 64;  // of the submission ring
constexpr uint64_t kSlotsOffset = kPageBytes + align_up(sizeof(ReplicationState), kPageBytes);

static_assert(sizeof(RegionHeader) <= kPageBytes);
static_assert(kConfigBytes == 64 && offsetof(RegionHeader, published_root) == 128);
static_assert(sizeof(Completion) == 40);
static_assert(std::atomic<uint64_t>::is_always_lock_free &&
                  std::atomic<uint32_t>::is_always_lock_free &&
                  std::atomic<char>::is_always_lock_free,
              "processes share these: a lock of one process would not hold the others");
static_assert(sizeof(std::atomic<uint64_t>) == 8 && sizeof(std::atomic<char>) == 1);

struct Layout {
  uint32_t submission_bytes;
  uint32_t completion_count;
  uint64_t rings_offset;
  uint64_t arena_offset;
};

constexpr uint64_t ring_stride(uint32_t submission_bytes, uint32_t completion_count) noexcept {
  return submission_bytes + uint64_t{completion_count} * sizeof(Completion);
}

Layout plan_layout(uint64_t region_bytes, const RegionConfig& config) noexcept {
  Layout layout{};
  layout.submission_bytes = config.submission_bytes;
  if (layout.submission_bytes == 0) {
    // A slot count of 0 is refused later, by check_config.
    const uint64_t share = region_bytes / kDerivedShare / std::max(config.slot_count, 1u);
    layout.submission_bytes = static_cast<uint32_t>(std::clamp<uint64_t>(
        std::bit_floor(share), kSubmissionBytesMin, kDerivedSubmissionBytesMax));
  }
  layout.completion_count =
      std::min(layout.submission_bytes / kCompletionEveryBytes, kCompletionsMax);
  layout.rings_offset =
      align_up(kSlotsOffset + uint64_t{config.slot_count} * sizeof(Slot), kPageBytes);
  const uint64_t ring_bytes = ring_stride(layout.submission_bytes, layout.completion_count);
  layout.arena_offset = align_up(layout.rings_offset + config.slot_count * ring_bytes, kPageBytes);
  return layout;
}

Status check_config(uint64_t region_bytes, const RegionConfig& config,
                    const Layout& layout) noexcept {
  if (region_bytes < kRegionBytesMin) return {Code::kInvalidArgument, "region: size"};
  if (config.slot_count < kSlotsMin || config.slot_count > kSlotsMax) {
    return {Code::kInvalidArgument, "region: slot count"};
  }
  if (layout.submission_bytes < kSubmissionBytesMin ||
      !std::has_single_bit(layout.submission_bytes)) {
    return {Code::kInvalidArgument, "region: submission bytes"};
  }
  if (layout.arena_offset + kCacheLineBytes > region_bytes) {
    return {Code::kInvalidArgument, "region: no room for an arena"};
  }
  if (region_bytes - layout.arena_offset > kArenaBytesMax) {
    return {Code::kTooLarge, "region: arena"};
  }
  return Status::ok();
}

bool is_aligned(MutableBytes memory) noexcept {
  return reinterpret_cast<uintptr_t>(memory.data()) % kCacheLineBytes == 0;
}

uint64_t arena_bytes(uint64_t region_bytes, const Layout& layout) noexcept {
  return (region_bytes - layout.arena_offset) / kCacheLineBytes * kCacheLineBytes;
}

uint32_t config_crc(const RegionHeader& header) noexcept {
  return crc32c({reinterpret_cast<const std::byte*>(&header), kConfigBytes});
}

bool config_matches(const RegionHeader& header, const Layout& layout,
                    uint64_t region_bytes) noexcept {
  return header.region_bytes == region_bytes && header.slots_offset == kSlotsOffset &&
         header.rings_offset == layout.rings_offset && header.arena_offset == layout.arena_offset &&
         header.arena_bytes == arena_bytes(region_bytes, layout) &&
         header.completion_count == layout.completion_count;
}

uint32_t random_id() noexcept {
  uint32_t id = 0;
  // Cannot fail for so few bytes once the kernel's pool is ready (getrandom(2)); 0 would do, too.
  (void)!getrandom(&id, sizeof id, 0);
  return id;
}

}  // namespace

Status Region::format(MutableBytes memory, const RegionConfig& config) noexcept {
  if (!is_aligned(memory)) return {Code::kInvalidArgument, "region: alignment"};
  const Layout layout = plan_layout(memory.size(), config);
  SMALL_DB_RETURN_IF_ERROR(check_config(memory.size(), config, layout));

  // Zero bytes are a header and slots whose atomics are all zero, and no padding keeps old bytes.
  std::memset(memory.data(), 0, layout.rings_offset);
  auto* header = reinterpret_cast<RegionHeader*>(memory.data());
  header->layout_version = kRegionLayoutVersion;
  header->slot_count = config.slot_count;
  header->region_bytes = memory.size();
  header->slots_offset = kSlotsOffset;
  header->rings_offset = layout.rings_offset;
  header->arena_offset = layout.arena_offset;
  header->arena_bytes = arena_bytes(memory.size(), layout);
  header->submission_bytes = layout.submission_bytes;
  header->completion_count = layout.completion_count;
  header->magic = kRegionMagic;
  header->config_crc = config_crc(*header);
  header->region_id = config.region_id != 0 ? config.region_id : random_id();
  return Status::ok();
}

Result<Region> Region::attach(MutableBytes memory) noexcept {
  if (!is_aligned(memory) || memory.size() < kRegionBytesMin) {
    return Status(Code::kWrongFormat, "region: size or alignment");
  }
  const auto& header = *reinterpret_cast<const RegionHeader*>(memory.data());
  if (header.magic != kRegionMagic || header.layout_version != kRegionLayoutVersion) {
    return Status(Code::kWrongFormat, "region: magic or layout version");
  }
  if (header.config_crc != config_crc(header)) return Status(Code::kWrongFormat, "region: crc");

  RegionConfig config;
  config.slot_count = header.slot_count;
  config.submission_bytes = header.submission_bytes;
  // 0 would mean "derived" to plan_layout; format() never writes it.
  if (config.submission_bytes == 0) return Status(Code::kWrongFormat, "region: submission bytes");
  const Layout layout = plan_layout(memory.size(), config);
  if (!check_config(memory.size(), config, layout).is_ok() ||
      !config_matches(header, layout, memory.size())) {
    return Status(Code::kWrongFormat, "region: layout");
  }

  Region region;
  region.memory_ = memory;
  region.rings_offset_ = layout.rings_offset;
  region.arena_offset_ = layout.arena_offset;
  region.arena_bytes_ = arena_bytes(memory.size(), layout);
  region.slot_count_ = config.slot_count;
  region.submission_bytes_ = layout.submission_bytes;
  region.completion_count_ = layout.completion_count;
  return region;
}

Slot& Region::slot(uint32_t index) const noexcept {
  SMALL_DB_ASSERT(index < slot_count_);
  return *reinterpret_cast<Slot*>(memory_.data() + kSlotsOffset + index * sizeof(Slot));
}

MutableBytes Region::submissions(uint32_t index) const noexcept {
  SMALL_DB_ASSERT(index < slot_count_);
  const uint64_t stride = ring_stride(submission_bytes_, completion_count_);
  return memory_.subspan(rings_offset_ + index * stride, submission_bytes_);
}

std::span<Completion> Region::completions(uint32_t index) const noexcept {
  const MutableBytes before = submissions(index);
  return {reinterpret_cast<Completion*>(before.data() + before.size()), completion_count_};
}

MutableBytes Region::arena() const noexcept { return memory_.subspan(arena_offset_, arena_bytes_); }

StoreState Region::told_state() const noexcept {
  // Both pair with the owner's release: of set_state, and of publish_root.
  const auto state = static_cast<StoreState>(header().state.load(std::memory_order_acquire));
  const bool is_opening = state == StoreState::kStarting || state == StoreState::kLoading;
  const bool has_root = is_opening && header().published_root.load(std::memory_order_acquire) != 0;
  return has_root ? StoreState::kServing : state;
}

std::string Region::reason() const { return header().reason.get(); }

void Region::set_state(StoreState state, std::string_view reason) const noexcept {
  header().reason.set(reason);
  // Pairs with the acquire load of whoever asks for the state before the reason.
  header().state.store(static_cast<uint32_t>(state), std::memory_order_release);
}

uint64_t region_overhead_bytes(uint64_t region_bytes, const RegionConfig& config) noexcept {
  return plan_layout(region_bytes, config).arena_offset;
}

}  // namespace small_db
