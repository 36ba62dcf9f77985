// The submission ring of a slot: one producer (the slot's process), one consumer (the owner),
// entries of variable length that are contiguous in memory. The tail is the only thing that
// publishes an entry: a producer that dies before it leaves nothing to repair.
//
// An entry: SubmissionHeader, then `payload_bytes` of payload, then padding to a multiple of 16. An
// entry never wraps round the ring's end; a kPadding entry, published together with the entry that
// it makes room for, fills what is left there. That can be 16 bytes: of a kPadding entry only
// entry_bytes and kind exist.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/shm/region.h"
#include "engine/shm/slot.h"

namespace small_db {

enum class SubmissionKind : uint32_t {
  kPadding = 0,
  kOperation = 1,    // payload: one whole record, revision 0
  kStreamBegin = 2,  // payload: a put's record prefix; value_bytes of value follow in chunks
  kStreamChunk = 3,  // payload: the next bytes of that value, or write set
  kStreamEnd = 4,    // payload: the last bytes of that: the request is complete
  kStreamAbort = 5,  // no payload: forget the stream; answered like any request
  kCheckpoint =
      6,  // no payload: answered when a checkpoint that began later, or was at work, is done
  kWriteSet = 7,       // payload: one whole write set (record/write_set.h)
  kWriteSetBegin = 8,  // payload: u64, the bytes of a write set that follows in chunks
  kPromote = 9,        // no payload: answered when this node is the primary
};

inline constexpr size_t kEntryAlignment = 16;

struct SubmissionHeader {
  uint32_t entry_bytes;  // whole entry, a multiple of kEntryAlignment
  SubmissionKind kind;
  // Of the request, from 1, per slot and incarnation; a stream's entries share one.
  uint64_t sequence;
  uint64_t cookie;  // returned in the completion, meaningless to the owner
  uint32_t payload_bytes;
  uint32_t reserved;  // 0
};
static_assert(sizeof(SubmissionHeader) == 32);

inline constexpr size_t submission_entry_bytes(size_t payload_bytes) noexcept {
  return align_up(sizeof(SubmissionHeader) + payload_bytes, kEntryAlignment);
}

// The longest payload that one entry of a ring of this size may have: a quarter, so that an entry
// and the padding before it always fit into an empty ring.
inline constexpr size_t submission_payload_bytes_max(size_t ring_bytes) noexcept {
  return ring_bytes / 4;
}

// Writes entries. Runs in the slot's process, one thread.
class SubmissionProducer {
 public:
  SubmissionProducer(Region region, uint32_t slot) noexcept;

  // Of this ring: submission_payload_bytes_max().
  size_t payload_bytes_max() const noexcept;

  // Room for a payload of `bytes`, to be filled in place; nullptr when the ring is full. Another
  // reserve without a publish replaces the reservation. REQUIRES: bytes <= payload_bytes_max().
  std::byte* reserve(size_t bytes) noexcept;

  // True when the last reserve found no room and would find it now (it is reserved then). After
  // want_bell() (completion_ring.h): else the bell rings when room comes.
  bool room_came() noexcept;

  // Makes the reserved entry visible to the owner. The header's entry_bytes and payload_bytes are
  // filled in. The owner may sleep: ring_doorbell() when all is published. REQUIRES: a reservation;
  // it is used up. kind is not kPadding, sequence not 0.
  void publish(SubmissionKind kind, uint64_t sequence, uint64_t cookie) noexcept;

 private:
  // True when `bytes` after the tail are free. Looks at the shared head only when the last look
  // does not show enough.
  bool has_room(size_t bytes) noexcept;

  MutableBytes ring_;
  Slot* slot_;
  uint64_t tail_ = 0;
  uint64_t head_seen_ = 0;
  size_t padding_bytes_ = 0;  // of the reservation, before its entry
  size_t entry_bytes_ = 0;    // of the reservation; 0: there is none
  size_t payload_bytes_ = 0;
  bool missed_ = false;  // the last reserve found no room for missed_bytes_
  size_t missed_bytes_ = 0;
};

struct Submission {
  SubmissionKind kind;
  uint64_t sequence;
  uint64_t cookie;
  Bytes payload;  // points into the ring; valid until its position is released. The producer's
                  // process could scribble over it: copy before checking what must not change after
                  // the check.
  uint64_t end_position;  // release up to here when the entry is done with
};

// Reads entries. Runs in the owner, commit thread; release may be called by the sync thread.
class SubmissionConsumer {
 public:
  // Starts at the ring's head: what a former owner did not release is read again. Good for as long
  // as the slot has the same holder: make a new one for a new incarnation.
  SubmissionConsumer(Region region, uint32_t slot) noexcept;

  // The next entry, or nothing when all are read. Errors: kCorruption when positions or header are
  // none that a SubmissionProducer writes; the ring can't be read on, each further call says so.
  Result<std::optional<Submission>> next() noexcept;

  // True when next() would return an entry or an error: one acquire load.
  bool ready() const noexcept;

  // Where the next entry starts. Bytes; everything before it was returned by next().
  uint64_t position() const noexcept { return position_; }

 private:
  MutableBytes ring_;
  Slot* slot_;
  uint64_t position_ = 0;
};

// Gives the ring's bytes before `position` back to the producer. Owner only, positions never
// decrease.
void release_submissions(Region region, uint32_t slot, uint64_t position) noexcept;

}  // namespace small_db
