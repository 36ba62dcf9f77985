// A worker slot: what one attached process shares with the owner. Its pins keep roots alive, its
// two rings carry requests and answers.
//
//   free ──claim──▶ held ──release──▶ free
//                     └─(process dies)── sweep ──▶ free
//
// claim   by any process: compare-and-swap of `holder` from 0 to {pid, incarnation}.
// release by the holder; sweep by the owner, when no batch that names the slot is in flight.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "engine/base/limits.h"
#include "engine/shm/region.h"

namespace small_db {

struct alignas(64) Slot {
  std::atomic<uint64_t> holder;  // pid << 32 | incarnation; 0: free
  std::atomic<uint64_t>
      start_time;  // of the holder's process (clock ticks since boot); 0: not told yet
  std::atomic<uint32_t> wants_bell;  // 1: ring the holder's bell when there is something to read

  alignas(64) std::array<std::atomic<uint64_t>, kPinsPerSlot> pins;  // BlockRef of a root; 0: none

  // Positions count bytes (submissions) or entries (completions) since the claim and never wrap.
  alignas(
      64) std::atomic<uint64_t> submission_tail;  // by the holder; pairs with the owner's acquire
  alignas(
      64) std::atomic<uint64_t> submission_head;  // by the owner;  pairs with the holder's acquire
  alignas(
      64) std::atomic<uint64_t> completion_tail;  // by the owner;  pairs with the holder's acquire
  alignas(
      64) std::atomic<uint64_t> completion_head;  // by the holder; pairs with the owner's acquire
};

struct SlotHolder {
  uint32_t pid = 0;
  uint32_t incarnation = 0;  // never repeats in one region; 0: nobody
  static SlotHolder unpack(uint64_t word) noexcept {
    return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word)};
  }
  uint64_t pack() const noexcept { return static_cast<uint64_t>(pid) << 32 | incarnation; }
  bool operator==(const SlotHolder&) const = default;
};

struct ClaimedSlot {
  uint32_t index = 0;
  SlotHolder holder;
};

// Claims a free slot for the calling process, with empty rings and no pins, and asks the owner to
// sweep. Errors: kOverloaded when no slot is free; the owner was asked to sweep, so trying again
// later can succeed.
Result<ClaimedSlot> claim_slot(Region region) noexcept;

// Lets the slot go: pins are dropped, unread completions forgotten; requests that it submitted may
// still commit.
void release_slot(Region region, ClaimedSlot slot) noexcept;

// Frees each slot whose process is gone. Owner only. REQUIRES: no batch in flight names a dead
// slot. Returns how many were freed.
uint32_t sweep_dead_slots(Region region) noexcept;

// True unless the process of `holder` (with that start time) is certainly gone.
bool holder_lives(SlotHolder holder, uint64_t start_time) noexcept;

// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 when
// unknown.
uint64_t process_start_time(uint32_t pid) noexcept;

}  // namespace small_db
