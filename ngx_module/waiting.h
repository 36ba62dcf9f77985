// Requests that wait for the outcome of their write. What an outcome refers to is a cookie (an
// index and a generation in a table of this process), never a pointer, so that an outcome that
// comes too late finds nothing.
//
//   open ──▶ waiting ──(outcome)──▶ answered
//                ├─────(deadline)─▶ answered "outcome unknown"
//                └─────(client gone, request freed)─▶ cancelled
//
// The deadline is a timer that is not cancelable: nginx drops a waiting request that has none when
// a worker drains. All of it runs in the worker's event loop.
#pragma once

#include <cstdint>

#include "engine/client/client.h"
#include "ngx_module/nginx.h"

namespace small_db {

// Enters the request into the table. Returns its cookie, 0 when there is no memory.
uint64_t open_wait(ngx_http_request_t* r, Client* client) noexcept;

// The request that waits under `cookie`; nullptr when that is over.
ngx_http_request_t* waiting_request(uint64_t cookie) noexcept;

// From now on the request waits: watches its client and its deadline. REQUIRES: a reference to the
// request is held for the wait (r->main->count), which the answer gives back.
void start_wait(ngx_http_request_t* r, uint64_t cookie) noexcept;

// Forgets the wait and cancels the write at the engine. Harmless when it is over.
void cancel_wait(uint64_t cookie) noexcept;

// Answers the request that waits under outcome.cookie, if it still does, and runs what that sets
// free.
void answer_wait(const WriteOutcome& outcome) noexcept;

// Answers every request that waits with "outcome unknown".
void abort_waits() noexcept;

// True while a request waits.
bool anyone_waits() noexcept;

}  // namespace small_db
