// Every limit of the engine, and the relations between them.
#pragma once

#include <cstddef>
#include <cstdint>

namespace small_db {

inline constexpr size_t kKiB = 1024;
inline constexpr size_t kMiB = 1024 * kKiB;
inline constexpr size_t kGiB = 1024 * kMiB;

// Keys and values. A store may be configured lower, never higher.
inline constexpr size_t kKeyBytesMax = 32 * kKiB;
inline constexpr size_t kValueBytesMax = 64 * kMiB;

// A record whose encoding is at most this long is one block of the arena; a longer one keeps its
// value in extents of at most this size, so that no value needs contiguous memory.
inline constexpr size_t kInlineRecordBytesMax = 32 * kKiB;
inline constexpr size_t kExtentBytesMax = 32 * kKiB;

// One group commit. A single operation may exceed the bytes: it is then alone in its batch.
inline constexpr size_t kBatchBytesMax = 4 * kMiB;
inline constexpr size_t kBatchRequestsMax = 16 * 1024;
// A batch this long waits for no more requests: to write it takes longer than all else of its sync.
inline constexpr size_t kBatchBytesEnough = kMiB;
// And a drain that has added so much looks up: the sync before may have ended.
inline constexpr size_t kDrainBytes = 128 * kKiB;

// A disk's atomic unit in the crash model: frames of the log start on this boundary.
inline constexpr size_t kSectorBytes = 512;

// Tree nodes.
inline constexpr size_t kNodeBytes = 2 * kKiB;

// Worker slots: one per attached process and store.
inline constexpr uint32_t kSlotsMin = 4;
inline constexpr uint32_t kSlotsMax = 1024;
inline constexpr uint32_t kPinsPerSlot = 32;

// Shared zone.
inline constexpr size_t kRegionBytesMin = 4 * kMiB;
inline constexpr size_t kArenaBytesMax = 64 * kGiB;  // 2^32 granules of 16 bytes

static_assert(kInlineRecordBytesMax % 16 == 0 && kExtentBytesMax % 16 == 0);
static_assert(kBatchBytesMax % kSectorBytes == 0);
static_assert(kKeyBytesMax <= UINT16_MAX);

}  // namespace small_db
