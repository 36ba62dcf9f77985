// Requests that wait for the outcome of their write or checkpoint. What an outcome refers to is a
// cookie (an index and a generation in a table of this process), never a pointer, so that an
// outcome that comes too late finds nothing.
//
//   open ──▶ waiting ──(outcome)──▶ answered
//                ├─────(deadline, lost)─▶ answered "outcome unknown"
//                └─────(client gone, request freed)─▶ cancelled
//
// Deadlines are looked at once a second, by one timer for all. While a request waits, it is not
// cancelable: nginx drops a waiting request without such a timer when a worker drains. All of it
// runs in the worker's event loop.
#pragma once

#include <cstdint>

#include "engine/client/client.h"
#include "ngx_module/nginx.h"

namespace small_db {

// What is waited for.
struct WaitKind {
  // Hands the request to the engine. Errors: as of Client::put.
  Status (*submit)(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept;
  // Sends the answer; returns what ngx_http_finalize_request takes.
  ngx_int_t (*answer)(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept;
  // True when no outcome will ever come. Asked once a second; nullptr: one always comes.
  bool (*is_lost)(ngx_http_request_t* r) noexcept;
  ngx_msec_t deadline_ms;  // from the beginning; up to a second later
};

// Enters the request into the table. Returns its cookie, 0 when there is no memory.
uint64_t open_wait(ngx_http_request_t* r, Client* client, const WaitKind& kind) noexcept;

// Hands the request that waits under `cookie` to the engine. Errors: as of Client::put. Ok when the
// wait is over: there is nothing to submit.
Status submit_waiting(uint64_t cookie) noexcept;

// From now on the request waits, and its client is watched. REQUIRES: a reference to the request is
// held for the wait (r->main->count), which the answer gives back.
void start_wait(ngx_http_request_t* r) noexcept;

// Forgets the wait and cancels the request at the engine. Harmless when it is over.
void cancel_wait(uint64_t cookie) noexcept;

// Answers the request that waits under outcome.cookie, if it still does, and runs what that sets
// free.
void answer_wait(const WriteOutcome& outcome) noexcept;

// Answers every request that waits for an outcome from `client`, which will not come.
void end_waits(const Client& client, Code code) noexcept;

// Answers every request that waits with "outcome unknown".
void abort_waits() noexcept;

// True while a request waits.
bool anyone_waits() noexcept;

}  // namespace small_db
