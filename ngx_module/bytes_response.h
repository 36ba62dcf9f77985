// Answers whose body is bytes and nothing else: a raw value, a checkpoint. They can never run as
// part of a web page: application/octet-stream, no sniffing, and a sandbox for who opens one.
// Ranges are nginx's, but for what it would answer with a page: 416 is a problem like all others.
#pragma once

#include "ngx_module/nginx.h"

namespace small_db {

// Sends 200, 206 or 416. Returns what a content handler returns.
// body: memory or a file, one buffer; for HEAD it may be nullptr. bytes: of the whole.
// REQUIRES: set_etag was called, for If-Range.
ngx_int_t send_bytes(ngx_http_request_t* r, ngx_buf_t* body, uint64_t bytes) noexcept;

}  // namespace small_db
