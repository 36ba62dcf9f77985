// Has a checkpoint taken for a request, which waits for it.
#pragma once

#include "engine/base/status.h"
#include "ngx_module/directives.h"

namespace small_db {

// Answers when the checkpoint has ended: kOk, or why there is none. Returns what
// ngx_http_finalize_request takes.
using CheckpointAnswer = ngx_int_t (*)(ngx_http_request_t* r, const StoreConf& store,
                                       Code code) noexcept;

// Reads the body, which says nothing, submits, waits. Returns what a content handler returns.
ngx_int_t take_checkpoint(ngx_http_request_t* r, StoreConf* store,
                          CheckpointAnswer answer) noexcept;

}  // namespace small_db
