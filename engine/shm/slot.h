// A worker slot: what one attached process shares with the owner. Its pins keep roots alive, its
// two rings carry requests and answers.
//
//   free {0, 0} ──claim──▶ held {pid, n} ──release──▶ leaving {0, n} ──sweep──▶ free
//                                └──sweep, process gone──▶ leaving
//
// The state is the one word `holder`; n is the incarnation, new for each claim.
//   free     Everything in the slot is zero. Entered by the owner's sweep (and at format), left by
//            any process that claims it: compare-and-swap to {own pid, new incarnation}. The
//            claimer resets nothing: what it takes is already empty.
//   held     The holder writes its pins, tail and head, the owner the others. Left by the holder,
//            which lets it go, or by the owner's sweep when the holder's process is gone.
//   leaving  The former holder touches the slot no more, and nobody else can claim it: the owner
//   may
//            still finish a batch that names it, into rings that nobody reads. Left by the owner's
//            sweep alone, when no batch in flight names the slot: everything is zeroed, then the
//            slot becomes free.
//
// So positions change hands only through the owner, while neither a holder nor a batch is there,
// and the zeroing is ordered before the claim by `holder` itself (the sweep's release store, the
// claim's acquire): no process can see a position of another incarnation, and whoever finds its
// incarnation in `holder` may go on with positions that it remembers. The owner reads rings of held
// slots; those of a leaving slot it may ignore or read to the end before it frees it, as long as it
// lives; a new owner must ignore them, since they can be half zeroed. Whoever dies in the middle
// leaves a state that the next owner's sweep continues from.
//
// Without an owner nothing becomes free, and claims take what is free already; a new owner sweeps
// when it takes over.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>

#include "engine/base/limits.h"
#include "engine/shm/region.h"

namespace small_db {

// Cache lines are grouped by writer.
struct alignas(64) Slot {
  std::atomic<uint64_t> holder;  // SlotHolder; 0: free
  // Of the holder's process (clock ticks since boot); 0: not told yet, or unknown
  std::atomic<uint64_t> start_time;
  std::atomic<uint32_t> wants_bell;   // 1: ring the holder's bell when there is something to read
  std::atomic<uint32_t> watches_log;  // 1: ring it when there is more log

  alignas(64) std::array<std::atomic<uint64_t>, kPinsPerSlot> pins;  // BlockRef of a root; 0: none

  // Positions count bytes (submissions) or entries (completions) since the claim and never wrap.
  // Written by the holder; pairs with the owner's acquire load in SubmissionConsumer.
  alignas(64) std::atomic<uint64_t> submission_tail;
  // Written by the owner; pairs with the holder's acquire load in SubmissionProducer.
  alignas(64) std::atomic<uint64_t> submission_head;
  // Written by the owner; pairs with the holder's acquire load in take_completion.
  alignas(64) std::atomic<uint64_t> completion_tail;
  // Written by the holder; pairs with the owner's acquire load in put_completion.
  alignas(64) std::atomic<uint64_t> completion_head;
};

struct SlotHolder {
  uint32_t pid = 0;          // 0: free or leaving
  uint32_t incarnation = 0;  // never repeats in one region; 0: free
  static SlotHolder unpack(uint64_t word) noexcept {
    return {static_cast<uint32_t>(word >> 32), static_cast<uint32_t>(word)};
  }
  uint64_t pack() const noexcept { return static_cast<uint64_t>(pid) << 32 | incarnation; }
  bool is_free() const noexcept { return incarnation == 0; }
  bool is_held() const noexcept { return pid != 0; }
  bool operator==(const SlotHolder&) const = default;
};

struct ClaimedSlot {
  uint32_t index = 0;
  SlotHolder holder;
};

// Who holds the slot. Any process.
SlotHolder slot_holder(Region region, uint32_t index) noexcept;

// Slots with an index below may have been claimed, those above never were. Any process.
uint32_t slots_touched(Region region) noexcept;

// Some process sends the log to followers (Client::watch_log). Any process.
bool log_is_watched(Region region) noexcept;

// Makes slots_touched() tell of the slot. Sequentially consistent: whoever then stores what the
// owner looks for in slots, and finds no trace of the owner's look, will be seen by its next one.
void touch_slot(Region region, uint32_t index) noexcept;

// Claims a free slot for the calling process, with empty rings and no pins, and asks the owner to
// sweep. Errors: kOverloaded when no slot is free; the owner was asked to sweep, so trying again
// later can succeed.
Result<ClaimedSlot> claim_slot(Region region) noexcept;

// Lets the slot go: pins are dropped, unread completions forgotten; requests that it submitted may
// still commit. The slot becomes free at the owner's next sweep, which it asks for.
// REQUIRES: the calling process claimed it, and no thread of it uses the slot any more.
void release_slot(Region region, ClaimedSlot slot) noexcept;

// True when the slot waits to be freed: it is leaving, or its process is gone. Owner only; makes
// system calls when the slot is held.
bool slot_abandoned(Region region, uint32_t index) noexcept;

// Frees an abandoned slot. Owner only. REQUIRES: slot_abandoned() said so, and no batch in flight
// names the slot.
void free_slot(Region region, uint32_t index) noexcept;

// Frees each abandoned slot. Owner only. REQUIRES: no batch in flight names an abandoned slot.
// Returns how many were freed.
uint32_t sweep_dead_slots(Region region) noexcept;

// True unless the process of `holder` (with that start time; 0: unknown, the pid decides alone) is
// certainly gone. A zombie is gone: it runs no more and only waits for its parent.
bool holder_lives(SlotHolder holder, uint64_t start_time) noexcept;

// Start time of a process in clock ticks since boot (field 22 of /proc/PID/stat, proc(5)); 0 when
// unknown.
uint64_t process_start_time(uint32_t pid) noexcept;

}  // namespace small_db
