// How a request gets to the store and waits for its outcome: what a write and a checkpoint have in
// common. Runs in a worker.
#pragma once

#include <optional>

#include "ngx_module/api/problem.h"
#include "ngx_module/directives.h"
#include "ngx_module/waiting.h"

namespace small_db {

// A write that has no outcome by then is answered: its owner is gone for longer than any takeover
// lasts.
inline constexpr ngx_msec_t kWriteDeadlineMs = 30'000;

// Why the store takes no write (or checkpoint) from this request, known before its body is read: it
// is a subrequest, the store's state, too much waits already. Nothing when it does.
std::optional<Problem> why_no_write(const ngx_http_request_t* r, const StoreConf& store) noexcept;
std::optional<Problem> why_no_checkpoint(const ngx_http_request_t* r,
                                         const StoreConf& store) noexcept;

// Why a request that concerns more than one key can't be taken: it has If-Match or If-None-Match.
// Ignoring them would do what the client did not want.
std::optional<Problem> why_no_conditions(const ngx_http_request_t* r) noexcept;

// Submits the request and lets it wait, under *cookie from then on, or finalizes it with what stood
// in the way. REQUIRES: a reference to the request is held (r->main->count), which is given back.
void submit_and_wait(ngx_http_request_t* r, const StoreConf& store, const WaitKind& kind,
                     uint64_t* cookie) noexcept;

}  // namespace small_db
