#include "engine/shm/region.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstddef>
#include <cstdio>
#include <cstring>
#include <string>
#include <vector>

#include "engine/base/crc32c.h"
#include "engine/shm/slot.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

constexpr size_t kConfigBytes = 68;  // with the checksum
constexpr size_t kFormatBytes = 72;  // all that format() fills in

std::string to_hex(Bytes bytes) {
  std::string text;
  for (std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text;
}

RegionConfig config_of(uint32_t slot_count, uint32_t submission_bytes = 0) {
  RegionConfig config;
  config.slot_count = slot_count;
  config.submission_bytes = submission_bytes;
  return config;
}

// Memory that a failing format() must not touch: none of it is there.
Status format_without_memory(size_t region_bytes, const RegionConfig& config) {
  alignas(64) static std::byte place[64];
  return Region::format(MutableBytes(place, region_bytes), config);
}

TEST(Region, KeepsOffsetsOfTheLayoutVersion) {
  EXPECT_EQ(offsetof(RegionHeader, magic), 0u);
  EXPECT_EQ(offsetof(RegionHeader, layout_version), 8u);
  EXPECT_EQ(offsetof(RegionHeader, slot_count), 12u);
  EXPECT_EQ(offsetof(RegionHeader, region_bytes), 16u);
  EXPECT_EQ(offsetof(RegionHeader, slots_offset), 24u);
  EXPECT_EQ(offsetof(RegionHeader, rings_offset), 32u);
  EXPECT_EQ(offsetof(RegionHeader, arena_offset), 40u);
  EXPECT_EQ(offsetof(RegionHeader, arena_bytes), 48u);
  EXPECT_EQ(offsetof(RegionHeader, submission_bytes), 56u);
  EXPECT_EQ(offsetof(RegionHeader, completion_count), 60u);
  EXPECT_EQ(offsetof(RegionHeader, config_crc), 64u);
  EXPECT_EQ(offsetof(RegionHeader, region_id), 68u);
  EXPECT_EQ(offsetof(RegionHeader, published_root), 128u);
  EXPECT_EQ(offsetof(RegionHeader, state), 136u);
  EXPECT_EQ(offsetof(RegionHeader, owner_epoch), 144u);
  EXPECT_EQ(offsetof(RegionHeader, distrust), 156u);
  EXPECT_EQ(offsetof(RegionHeader, expiry_clock_ms), 160u);
  EXPECT_EQ(offsetof(RegionHeader, doorbell), 192u);
  EXPECT_EQ(offsetof(RegionHeader, owner_sleeps), 196u);
  EXPECT_EQ(offsetof(RegionHeader, next_incarnation), 208u);
  EXPECT_EQ(offsetof(RegionHeader, configuration), 212u);
  EXPECT_EQ(offsetof(RegionHeader, slots_touched), 216u);
  EXPECT_EQ(offsetof(RegionHeader, commits), 256u);
  EXPECT_EQ(offsetof(RegionHeader, generation), 320u);
  EXPECT_EQ(offsetof(RegionHeader, checkpoint_end_ms), 392u);
  EXPECT_EQ(offsetof(RegionHeader, expired), 496u);
  EXPECT_EQ(offsetof(RegionHeader, epoch), 504u);
  EXPECT_EQ(offsetof(RegionHeader, reason), 512u);
  EXPECT_EQ(sizeof(RegionHeader), 1600u);
  EXPECT_EQ(sizeof(Slot), 576u);
  EXPECT_EQ(sizeof(Completion), 40u);
}

TEST(Region, SeparatesCacheLinesByWriter) {
  const auto line = [](size_t offset) { return offset / kCacheLineBytes; };
  // Owner | whoever wants the owner to act | counters | reason.
  EXPECT_LT(line(offsetof(RegionHeader, region_id)), line(offsetof(RegionHeader, published_root)));
  EXPECT_LT(line(offsetof(RegionHeader, distrust)), line(offsetof(RegionHeader, doorbell)));
  EXPECT_EQ(line(offsetof(RegionHeader, doorbell)), line(offsetof(RegionHeader, next_incarnation)));
  EXPECT_LT(line(offsetof(RegionHeader, next_incarnation)), line(offsetof(RegionHeader, commits)));
  EXPECT_LT(line(offsetof(RegionHeader, epoch)), line(offsetof(RegionHeader, reason)));
  // Each position of a slot is alone.
  EXPECT_EQ(offsetof(Slot, pins), 64u);
  EXPECT_EQ(offsetof(Slot, submission_tail), 320u);
  EXPECT_EQ(offsetof(Slot, submission_head), 384u);
  EXPECT_EQ(offsetof(Slot, completion_tail), 448u);
  EXPECT_EQ(offsetof(Slot, completion_head), 512u);
}

TEST(Region, WritesTheGoldenConfiguration) {
  SharedRegion shared(64, 0);
  EXPECT_EQ(to_hex(shared.memory().first(kConfigBytes)),
            "53534d4252454731"  // "SSMBREG1"
            "0900000040000000"  // layout version 9, 64 slots
            "0000400000000000"  // 4 MiB
            "0030000000000000"  // slots at 12 KiB
            "00c0000000000000"  // rings at 48 KiB
            "00c01a0000000000"  // arena at 1712 KiB
            "0040250000000000"  // to the end
            "0040000000010000"  // 16 KiB of submissions, 256 completions
            "838a8983");
}

TEST(Region, DerivesTheSubmissionRingFromTheSize) {
  const struct {
    size_t region_bytes;
    uint32_t slot_count;
    uint32_t expected;
  } cases[] = {
      {4 * kMiB, 64, 16 * kKiB},   {32 * kMiB, 64, 16 * kKiB},   {64 * kMiB, 64, 32 * kKiB},
      {127 * kMiB, 64, 32 * kKiB}, {128 * kMiB, 64, 64 * kKiB},  {kGiB, 64, 512 * kKiB},
      {16 * kGiB, 64, kMiB},       {64 * kMiB, 1024, 16 * kKiB}, {4 * kMiB, 4, 32 * kKiB},
  };
  for (const auto& c : cases) {
    SharedRegion shared(c.slot_count, 0, c.region_bytes);
    EXPECT_EQ(shared.region().header().submission_bytes, c.expected) << c.region_bytes;
    EXPECT_EQ(shared.region().header().completion_count, std::min(c.expected / 64, kCompletionsMax))
        << c.region_bytes;
  }
}

TEST(Region, PlacesRingsAndArenaSideBySide) {
  SharedRegion shared(5, 32 * kKiB);
  const Region region = shared.region();
  const std::byte* end = reinterpret_cast<std::byte*>(&region.slot(4)) + sizeof(Slot);
  EXPECT_EQ(region.slot_count(), 5u);
  for (uint32_t i = 0; i < 5; ++i) {
    EXPECT_GE(region.submissions(i).data(), end);
    EXPECT_EQ(region.submissions(i).size(), 32 * kKiB);
    end = region.submissions(i).data() + 32 * kKiB;
    EXPECT_EQ(reinterpret_cast<std::byte*>(region.completions(i).data()), end);
    EXPECT_EQ(region.completions(i).size(), 512u);
    end += 512 * sizeof(Completion);
  }
  EXPECT_GE(region.arena().data(), end);
  EXPECT_EQ((region.arena().data() - shared.memory().data()) % kPageBytes, 0u);
  EXPECT_EQ(region.arena().data() + region.arena().size(),
            shared.memory().data() + shared.memory().size());
  EXPECT_EQ(region_overhead_bytes(shared.memory().size(), config_of(5, 32 * kKiB)),
            static_cast<size_t>(region.arena().data() - shared.memory().data()));
}

TEST(Region, FormatRefusesWhatIsOutOfRange) {
  const auto code = [](size_t bytes, const RegionConfig& config) {
    return format_without_memory(bytes, config).code();
  };
  EXPECT_EQ(code(kRegionBytesMin - 1, config_of(4)), Code::kInvalidArgument);
  EXPECT_EQ(code(kRegionBytesMin, config_of(0)), Code::kInvalidArgument);
  EXPECT_EQ(code(kRegionBytesMin, config_of(kSlotsMin - 1)), Code::kInvalidArgument);
  EXPECT_EQ(code(kGiB, config_of(kSlotsMax + 1)), Code::kInvalidArgument);
  EXPECT_EQ(code(kGiB, config_of(4, 8 * kKiB)), Code::kInvalidArgument);
  EXPECT_EQ(code(kGiB, config_of(4, 48 * kKiB)), Code::kInvalidArgument);
  EXPECT_EQ(code(kRegionBytesMin, config_of(kSlotsMax)), Code::kInvalidArgument);
  EXPECT_EQ(code(kRegionBytesMin, config_of(4, 1u << 31)), Code::kInvalidArgument);
  const size_t overhead = region_overhead_bytes(kArenaBytesMax, config_of(4));
  EXPECT_EQ(code(kArenaBytesMax + overhead + 1, config_of(4)), Code::kTooLarge);
  EXPECT_EQ(code(SIZE_MAX / 2, config_of(4)), Code::kTooLarge);
}

TEST(Region, HasTheIdOfItsConfigurationOrARandomOne) {
  SharedRegion first;
  SharedRegion second;
  EXPECT_NE(first.region().header().region_id, second.region().header().region_id);
  RegionConfig config = config_of(4);
  config.region_id = 0x01020304;
  ASSERT_TRUE(Region::format(first.memory(), config).is_ok());
  EXPECT_EQ(to_hex(first.memory().subspan(kConfigBytes, 4)), "04030201");
  EXPECT_TRUE(Region::attach(first.memory()).is_ok());
}

TEST(Region, FormatZeroesHeaderAndSlotsAndTouchesNothingElse) {
  SharedRegion shared(4);
  std::fill(shared.memory().begin(), shared.memory().end(), std::byte{0xab});
  ASSERT_TRUE(Region::format(shared.memory(), config_of(4)).is_ok());
  const Region region = Region::attach(shared.memory()).value();
  const auto is = [](Bytes bytes, int value) {
    return std::all_of(bytes.begin(), bytes.end(),
                       [&](std::byte byte) { return byte == static_cast<std::byte>(value); });
  };
  EXPECT_TRUE(is(shared.memory().subspan(kFormatBytes, kPageBytes - kFormatBytes), 0));
  EXPECT_TRUE(is(shared.memory().subspan(kPageBytes, 4 * sizeof(Slot)), 0));
  const auto rings = static_cast<size_t>(region.submissions(0).data() - shared.memory().data());
  EXPECT_TRUE(is(shared.memory().subspan(rings), 0xab));
}

TEST(Region, AttachesAtAnyAddressOfCacheLineAlignment) {
  SharedRegion shared(4, 0, 2 * kRegionBytesMin);
  const MutableBytes within = shared.memory().subspan(3 * kCacheLineBytes);
  ASSERT_TRUE(Region::format(within, config_of(4)).is_ok());
  EXPECT_TRUE(Region::attach(within).is_ok());
  const MutableBytes misaligned = shared.memory().subspan(32);
  EXPECT_EQ(Region::format(misaligned, config_of(4)).code(), Code::kInvalidArgument);
  EXPECT_EQ(Region::attach(misaligned).status().code(), Code::kWrongFormat);
}

TEST(Region, AttachRefusesAnotherSize) {
  SharedRegion shared(4, 0, 2 * kRegionBytesMin);
  for (size_t cut : {size_t{1}, kCacheLineBytes, kPageBytes, kRegionBytesMin}) {
    EXPECT_EQ(Region::attach(shared.memory().first(2 * kRegionBytesMin - cut)).status().code(),
              Code::kWrongFormat);
  }
  EXPECT_EQ(Region::attach({}).status().code(), Code::kWrongFormat);
}

TEST(Region, AttachRefusesEachChangedByteOfTheConfiguration) {
  SharedRegion shared;
  for (size_t i = 0; i < kConfigBytes; ++i) {
    shared.memory()[i] ^= std::byte{1};
    EXPECT_EQ(Region::attach(shared.memory()).status().code(), Code::kWrongFormat) << i;
    shared.memory()[i] ^= std::byte{1};
  }
  EXPECT_TRUE(Region::attach(shared.memory()).is_ok());
}

TEST(Region, AttachTakesNoSubmissionBytesForDerivedOnes) {
  SharedRegion shared(4, 0);
  RegionHeader& header = shared.region().header();
  header.submission_bytes = 0;
  header.config_crc = crc32c(shared.memory().first(64));
  EXPECT_EQ(Region::attach(shared.memory()).status().code(), Code::kWrongFormat);
}

TEST(Region, AttachRefusesEachChangedFieldUnderAValidChecksum) {
  SharedRegion shared;
  RegionHeader& header = shared.region().header();
  const auto refused = [&](auto& field, auto value) {
    const auto saved = field;
    field = value;
    header.config_crc = crc32c(shared.memory().first(64));
    const Code code = Region::attach(shared.memory()).status().code();
    field = saved;
    header.config_crc = crc32c(shared.memory().first(64));
    return code == Code::kWrongFormat;
  };
  EXPECT_TRUE(refused(header.magic, kRegionMagic + 1));
  EXPECT_TRUE(refused(header.layout_version, kRegionLayoutVersion + 1));
  for (uint32_t count : {0u, kSlotsMin - 1, kSlotsMin + 1, kSlotsMax, kSlotsMax + 1, UINT32_MAX}) {
    EXPECT_TRUE(refused(header.slot_count, count)) << count;
  }
  for (uint64_t delta : {uint64_t{1}, uint64_t{kPageBytes}, UINT64_MAX, uint64_t{1} << 63}) {
    EXPECT_TRUE(refused(header.region_bytes, header.region_bytes + delta)) << delta;
    EXPECT_TRUE(refused(header.slots_offset, header.slots_offset + delta)) << delta;
    EXPECT_TRUE(refused(header.rings_offset, header.rings_offset + delta)) << delta;
    EXPECT_TRUE(refused(header.arena_offset, header.arena_offset + delta)) << delta;
    EXPECT_TRUE(refused(header.arena_bytes, header.arena_bytes + delta)) << delta;
  }
  for (uint32_t bytes : {0u, 1u, 8192u, 16385u, 32768u, 1u << 31, UINT32_MAX}) {
    EXPECT_TRUE(refused(header.submission_bytes, bytes)) << bytes;
  }
  for (uint32_t count : {0u, 255u, 512u, UINT32_MAX}) {
    EXPECT_TRUE(refused(header.completion_count, count)) << count;
  }
  EXPECT_TRUE(Region::attach(shared.memory()).is_ok());
}

}  // namespace
}  // namespace small_db
