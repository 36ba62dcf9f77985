// What a worker process calls: reads from shared memory, writes through its slot's rings. One
// Client per process and store, one thread. No call blocks or makes a system call, but for waking
// the owner when it sleeps.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/shm/region.h"
#include "engine/table/reader.h"

namespace small_db {

struct WriteOutcome {
  uint64_t cookie = 0;    // as given at submit
  Code code = Code::kOk;  // kOk: durable. kNoMemory, kNoDiskSpace, kReadOnly, kUnavailable: not
                          // done. kOutcomeUnknown: may be durable or not.
  uint64_t revision = 0;  // of the commit, when kOk
};

class Client {
 public:
  // Claims a slot. Errors: kOverloaded when none is free (try again later), kWrongFormat.
  static Result<std::unique_ptr<Client>> attach(Region region);
  ~Client();

  // The index of the bell that the owner rings for this client.
  uint32_t slot() const noexcept;

  StoreState state() const noexcept;

  // A consistent state to read from. Errors: kUnavailable when nothing is loaded, kOverloaded when
  // all pins are taken.
  Result<Snapshot> snapshot() noexcept;

  // Submits a write. Its outcome comes from poll() under `cookie`, unless cancelled.
  // put: `value` must stay valid until then, or until cancel(cookie) (long values are streamed from
  // it). expires_at_ms: Unix time in milliseconds, 0 for never. Errors: kUnavailable, kReadOnly,
  // kNoDiskSpace by the store's state; kOverloaded when the ring is full; kTooLarge,
  // kInvalidArgument by the engine's limits. Nothing was submitted then.
  Status put(uint64_t cookie, Bytes key, Bytes value, uint64_t expires_at_ms);
  Status erase(uint64_t cookie, Bytes key);

  // Forgets the request: poll() never reports it. It may commit all the same.
  void cancel(uint64_t cookie);

  // Takes the next outcome, if there is one; also feeds streams. Call until it returns false, then
  // prepare_sleep(); if that returns false, poll again.
  bool poll(WriteOutcome* outcome);

  // Asks for the bell. False: something came meanwhile.
  bool prepare_sleep();

  // Requests submitted and not yet answered.
  uint32_t in_flight() const noexcept;
};

}  // namespace small_db
