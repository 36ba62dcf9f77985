// The shared-memory region of one store: what lies where. Every process maps the same bytes at an
// address of its own, so that all links are offsets from the region's start.
//
//   header (RegionHeader, one page) | replication (ReplicationState, whole pages) | slots (Slot
//   each) | per slot: submission ring, completion ring | arena
//
// The region is formatted once, by whoever created the mapping, before any process uses it. It is
// memory only: it is never written to disk, and a process whose layout version or sizes differ
// refuses to attach.
//
// Who writes what: the owner (the storage process that holds the directory's lock) writes state,
// published root, completion tails and submission heads; a slot's process writes its pins,
// submission tail and completion head. Nobody trusts what another process wrote beyond what it
// checks.
#pragma once

#include <atomic>
#include <cstdint>
#include <iterator>
#include <span>
#include <string>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/base/status.h"
#include "engine/shm/replication_state.h"
#include "engine/shm/shared_text.h"

namespace small_db {

inline constexpr uint64_t kRegionMagic = 0x31474552424d5353;  // "SSMBREG1"
inline constexpr uint32_t kRegionLayoutVersion = 9;
inline constexpr uint32_t kNoConfiguration = UINT32_MAX;

// What the store's clients are told. Written by the owner alone.
enum class StoreState : uint32_t {
  kStarting = 0,  // entered at format, and by a new owner; left when recovery begins
  kLoading,       // recovery runs; progress_permille says how far
  kServing,       // reads and writes
  kReadOnly,      // reads only: the log has failed, and no new generation is complete yet
  kRefused,       // neither: the files contradict themselves; the reason says which and where
  kHandedOver,    // the owner let go for good: what is still in the rings was not done, and only
                  // clients that are about to go read on from what it left
};

inline constexpr uint32_t kSubmissionBytesMin = 16 * kKiB;
inline constexpr uint32_t kDerivedSubmissionBytesMax = kMiB;
inline constexpr uint32_t kCompletionsMax = 8192;  // per slot: longer rings are for longer values

struct RegionConfig {
  uint32_t region_id = 0;    // 0: random
  uint32_t slot_count = 64;  // kSlotsMin to kSlotsMax
  // Per slot: a power of two, kSubmissionBytesMin or more. 0: the region's bytes / 32 / slot_count,
  // rounded down to a power of two, and kept between kSubmissionBytesMin and
  // kDerivedSubmissionBytesMax. A slot has one completion for every 64 bytes of it, and at most
  // kCompletionsMax.
  uint32_t submission_bytes = 0;
};

inline constexpr uint64_t kSyncBoundsUs[] = {100,   250,    500,    1'000,   2'500,
                                             5'000, 10'000, 25'000, 100'000, 1'000'000};
inline constexpr size_t kSyncCounts = std::size(kSyncBoundsUs) + 1;

inline constexpr size_t kReasonBytes = 1024;
inline constexpr size_t kCacheLineBytes = 64;
inline constexpr size_t kPageBytes = 4 * kKiB;  // header, slots, rings and arena start on one

// Cache lines are grouped by writer. Offsets and counts are set by format and never change.
struct RegionHeader {
  uint64_t magic;
  uint32_t layout_version;
  uint32_t slot_count;
  uint64_t region_bytes;
  uint64_t slots_offset;
  uint64_t rings_offset;
  uint64_t arena_offset;
  uint64_t arena_bytes;
  uint32_t submission_bytes;  // per slot, a power of two
  uint32_t completion_count;  // per slot, a power of two
  uint32_t config_crc;        // CRC32C of the fields above
  uint32_t region_id;         // random: tells regions apart where incarnations are kept (the log)

  // Written by the owner.
  alignas(64) std::atomic<uint64_t> published_root;  // BlockRef; 0: nothing is served yet
  std::atomic<uint32_t> state;                       // StoreState
  std::atomic<uint32_t> progress_permille;
  std::atomic<uint64_t> owner_epoch;  // +1 by each owner that takes the region over
  std::atomic<uint32_t> owner_pid;
  std::atomic<uint32_t> distrust;  // 1: the owner died by a fault: rebuild the region from disk
  // The latest time by which the owner decided that a record had expired, Unix time in
  // milliseconds: who reads takes no earlier one, even when the system's clock is set back.
  std::atomic<uint64_t> expiry_clock_ms;

  // Written by anyone who wants the owner to act.
  alignas(64) std::atomic<uint32_t> doorbell;  // futex word: +2 for each ring, so that it is even
  std::atomic<uint32_t> owner_sleeps;          // 0, or the owner waits: doorbell at that time, + 1
  std::atomic<uint32_t> handover_wanted;   // pid of a process that waits for the lock, 0 for none
  std::atomic<uint32_t> sweep_wanted;      // 1: a slot was claimed or let go: sweep
  std::atomic<uint32_t> next_incarnation;  // +1 by each claim of a slot
  // Number of the configuration that uses the region: +1 by nginx's master at each reload that
  // keeps it, kNoConfiguration at one that does not.
  std::atomic<uint32_t> configuration;
  // Slots from here on were never claimed: what looks at all slots for each batch stops here.
  std::atomic<uint32_t> slots_touched;

  // Counters for status and tests; relaxed, written by the owner.
  alignas(64) std::atomic<uint64_t> commits;  // frames written
  std::atomic<uint64_t> syncs;                // successful syncs of the log at commit
  std::atomic<uint64_t> operations;           // committed records
  std::atomic<uint64_t> log_bytes;            // bytes of frames written
  std::atomic<uint64_t> arena_used_bytes;
  std::atomic<uint64_t> arena_free_bytes;
  std::atomic<uint64_t> keys;
  std::atomic<uint64_t> revision;         // last published
  std::atomic<uint64_t> generation;       // of the active log
  std::atomic<uint64_t> log_failures;     // times that the active log failed
  std::atomic<uint32_t> disk_full;        // 1: no space for more log, so that puts are refused
  std::atomic<uint32_t> checkpoint_runs;  // 1: one is being made

  // Of checkpoints made, or tried, since the region was formatted.
  std::atomic<uint64_t> checkpoints;
  std::atomic<uint64_t> checkpoint_failures;
  // The last one that was made; generation 0: none yet.
  std::atomic<uint64_t> checkpoint_generation;
  std::atomic<uint64_t> checkpoint_revision;
  std::atomic<uint64_t> checkpoint_bytes;
  std::atomic<uint64_t> checkpoint_duration_us;
  std::atomic<uint64_t> checkpoint_end_ms;  // Unix time in milliseconds

  // How long the syncs took: counts of those of at most kSyncBoundsUs[i], and above the one before;
  // the last one of those above all bounds.
  std::atomic<uint64_t> sync_counts[kSyncCounts];
  std::atomic<uint64_t> sync_us;  // all together
  std::atomic<uint64_t> expired;  // records that were removed because their time had come
  std::atomic<uint64_t> epoch;    // of the owner that made the published state, as in the log

  // Why the state is what it is, as text for people.
  SharedText<kReasonBytes> reason;
};

// One completed request. Written by the owner into the completion ring of the slot that submitted
// it.
struct Completion {
  uint64_t sequence;
  uint64_t cookie;
  uint64_t revision;  // see WriteOutcome (client.h)
  int64_t number;     // see there
  uint32_t code;      // Code
  uint32_t records;   // see there
};

struct Slot;

// A checked view of a region in this process. Cheap to copy. The memory must outlive every copy.
class Region {
 public:
  // Lays out a fresh region over `memory`: header and slots are zeroed and filled in, rings and
  // arena are not touched (their bytes mean nothing until a position or a root says so).
  // Errors: kTooLarge when the arena would exceed kArenaBytesMax; kInvalidArgument when the memory
  // is misaligned or too small for the configuration, or the configuration is out of range. Nothing
  // was written then.
  // REQUIRES: `memory` is 64-byte aligned, and no other process uses it.
  static Status format(MutableBytes memory, const RegionConfig& config) noexcept;

  // Input: the memory that was formatted, of the same size; 64-byte aligned at any address.
  // Errors: kWrongFormat when the header is not one that this build's format() writes for this
  // size.
  static Result<Region> attach(MutableBytes memory) noexcept;

  RegionHeader& header() const noexcept { return *reinterpret_cast<RegionHeader*>(memory_.data()); }
  ReplicationState& replication() const noexcept {
    return *reinterpret_cast<ReplicationState*>(memory_.data() + kPageBytes);
  }
  uint32_t slot_count() const noexcept { return slot_count_; }
  Slot& slot(uint32_t index) const noexcept;                // REQUIRES: index < slot_count()
  MutableBytes submissions(uint32_t index) const noexcept;  // the submission ring's bytes
  std::span<Completion> completions(uint32_t index) const noexcept;
  MutableBytes arena() const noexcept;

  // The state that clients are told. An owner that takes a live region over does not interrupt it:
  // while a state is published the store is serving, whatever the new owner still does, and what is
  // submitted meanwhile it will read. Any process.
  StoreState told_state() const noexcept;
  // The reason as last set whole; empty if there is none, or if its writer died or was stopped in
  // the middle of it. Any process.
  std::string reason() const;
  // Sets the reason (cut to kReasonBytes - 1, at its first zero byte), then the state: who loads
  // the state with acquire order and then asks for the reason gets that state's or a later one.
  // Owner only, one thread at a time.
  void set_state(StoreState state, std::string_view reason) const noexcept;

 private:
  // Copies of what attach() checked: the header in shared memory is not looked at again for it.
  MutableBytes memory_;
  uint64_t rings_offset_ = 0;
  uint64_t arena_offset_ = 0;
  uint64_t arena_bytes_ = 0;
  uint32_t slot_count_ = 0;
  uint32_t submission_bytes_ = 0;
  uint32_t completion_count_ = 0;
};

// Bytes that a region with this configuration needs before its arena.
uint64_t region_overhead_bytes(uint64_t region_bytes, const RegionConfig& config) noexcept;

}  // namespace small_db
