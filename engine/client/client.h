// What a worker process calls: reads from shared memory, writes through its slot's rings. One
// Client per process and store, one thread. No call blocks; the only system call is waking the
// owner when it sleeps.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <vector>

#include "engine/client/in_flight.h"
#include "engine/record/write_set.h"
#include "engine/shm/doorbell.h"
#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/shm/submission_ring.h"
#include "engine/table/reader.h"

namespace small_db {

// How a submitted write ended.
struct WriteOutcome {
  uint64_t cookie = 0;    // as given at submit
  Code code = Code::kOk;  // kOk: durable. kOutcomeUnknown: durable or not. Anything else: not done.
  // kOk: of the commit, or of the state in which there was nothing to do. kConditionFailed: that of
  // the record whose guard did not hold, 0 when there is none.
  uint64_t revision = 0;
  uint32_t records = 0;  // kOk: how many records were put and deleted
  int64_t number = 0;    // kOk, of a write set that is one kAdd: the counter's new value
};

class Client {
 public:
  // Claims a slot. Errors: kOverloaded when none is free (try again later).
  static Result<std::unique_ptr<Client>> attach(Region region);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  // The index of the bell that the owner rings for this client.
  uint32_t slot() const noexcept { return slot_.index; }

  StoreState state() const noexcept;

  // A consistent state to read from, held until destroyed.
  // Errors: kUnavailable when nothing is loaded, kOverloaded when all pins are taken.
  Result<Snapshot> snapshot() noexcept;

  // Submits a write. Its outcome comes from poll() under `cookie`, which must be unique for the
  // life of the client. put: `value` must stay valid until then, or until cancel(cookie): a long
  // value is streamed from it. expires_at_ms: Unix time in milliseconds, 0 for never. Errors:
  // kUnavailable or kReadOnly by the store's state; kNotPrimary, kNotReplicated; kOverloaded when
  // the ring is full; kInvalidArgument and kTooLarge by the engine's limits. Nothing was submitted
  // then.
  Status put(uint64_t cookie, Bytes key, Bytes value, uint64_t expires_at_ms);
  Status erase(uint64_t cookie, Bytes key);

  // Submits a write set (write_set.h), under the same rules as put: `set` must stay valid until the
  // outcome comes. Errors: as put. Outcomes beside put's: kConditionFailed, a guard does not hold;
  // kNotFound, kSetExpiry of a key that has no record; kNotANumber and kOutOfRange of kAdd;
  // kTooLarge, the results do not fit one frame of the log. Nothing was changed then.
  Status write(uint64_t cookie, Bytes set);

  // Asks for a checkpoint; its outcome comes when the new generation is durable. A store that is
  // read-only takes it, and serves writes again when it succeeds. Errors: as put; a backup makes
  // its own when its log has grown long.
  Status checkpoint(uint64_t cookie);

  // Asks for this node to become the primary; its outcome comes when the new epoch, which is the
  // outcome's revision, is durable. A node that is the primary already says so with its epoch.
  // Outcomes beside: kNotPrimary, the node was fenced and follows nobody. Errors: as put.
  Status promote(uint64_t cookie);

  // Forgets the request: poll() never reports it. It may commit all the same, unless its value is
  // not all sent.
  void cancel(uint64_t cookie);

  // Waking the owner may take the processor from the caller, and what is submitted before shares a
  // commit. So from now on each submission calls `later` instead: the caller has submitted all that
  // it has when it calls wake_owner(). So many submissions do not wait for that: elsewhere the
  // owner has a processor of its own. `later` must not throw.
  static constexpr uint32_t kWakeAfter = 32;
  void wake_owner_later(std::function<void()> later) { wake_later_ = std::move(later); }
  void wake_owner() noexcept;

  // Takes the next outcome into *outcome, if there is one; else feeds streams and returns false.
  // Call until it returns false, then prepare_sleep().
  bool poll(WriteOutcome* outcome);

  // Asks for the bell, which rings when there is an outcome, or room for what found the ring full.
  // False: either came meanwhile, poll and submit again.
  bool prepare_sleep();

  // From now on the bell rings, too, when there is more log: whoever looks at durable_revision
  // after this misses nothing. Or it does so no more.
  void watch_log(bool watches) noexcept;

  // Requests submitted and not yet answered, cancelled ones included.
  uint32_t in_flight() const noexcept { return static_cast<uint32_t>(in_flight_.size()); }

 private:
  // What of a long request is not sent yet, since the ring had no room.
  struct Stream {
    uint64_t sequence = 0;
    uint64_t cookie = 0;
    Bytes rest;  // what is not sent yet
    bool cancelled = false;
  };

  Client(Region region, ClaimedSlot slot);

  // Each sees to room for what it lets pass.
  Status check_serving() noexcept;
  Status check_writable() noexcept;
  Status check_writable(Bytes key) noexcept;
  void submit(SubmissionKind kind, uint64_t cookie);
  Status submit_record(uint64_t cookie, const RecordView& record);
  bool make_room_for_stream() noexcept;
  void start_stream(SubmissionKind begin, uint64_t cookie, Bytes rest);
  Status begin_stream(uint64_t cookie, const RecordView& record);
  void feed_streams();
  bool feed(Stream& stream);
  void end_stream(uint64_t sequence);
  bool can_feed();
  void tell_owner();
  size_t chunk_bytes(const Stream& stream) const noexcept;

  Region region_;
  ClaimedSlot slot_;
  SlotPins pins_;
  SubmissionProducer producer_;
  DoorbellRinger doorbell_;
  std::function<void()> wake_later_;
  uint32_t untold_ = 0;  // submissions since the owner was woken
  uint32_t in_flight_max_;
  uint64_t next_sequence_ = 1;
  InFlightTable in_flight_;
  std::vector<Stream> streams_;  // oldest first
};

}  // namespace small_db
