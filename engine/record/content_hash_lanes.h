// Hashes of up to eight records at a time, as content_hash.h defines them. One hash is a chain of
// steps that each wait for the one before; here each lane of a vector has the chain of one record.
// Records of different lengths start together, and a lane whose record has ended idles.
//
// There is a version for each kind of processor; the best that the processor can run is chosen when
// the program starts. Pure functions over the caller's memory, in any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "engine/base/bytes.h"
#include "engine/record/content_hash.h"

namespace small_db {

inline constexpr size_t kHashLanes = 8;

// Fewer bytes of key and value have no whole second word; ContentHash::of_record takes them.
inline constexpr size_t kLaneBytesMin = 4;

// A record whose value lies right behind its key, as all encodings have it.
struct RecordInLane {
  Bytes key_and_value;
  uint32_t key_bytes = 0;
  uint64_t expires_at_ms = 0;
};

// Stores the hash of each record at its place in `hashes`. Reads no byte that is not a record's.
// REQUIRES: 1 to kHashLanes records, each of at least kLaneBytesMin bytes; room for their hashes.
void hash_in_lanes(std::span<const RecordInLane> records, Hash128* hashes) noexcept;

// For tests: the versions that this processor can run, the best first.
struct LaneVersion {
  const char* name;
  void (*hash)(std::span<const RecordInLane> records, Hash128* hashes) noexcept;
};
std::span<const LaneVersion> lane_versions() noexcept;

}  // namespace small_db
