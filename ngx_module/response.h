// Sends answers: header and body by ourselves, never through nginx's special-response path, which
// would exchange the body for HTML and let error_page redirect it, unless small_db_intercept_errors
// asks for just that.
//
// Each function returns what a content handler returns; after an asynchronous wait the value goes
// to ngx_http_finalize_request.
#pragma once

#include <string_view>

#include "engine/base/status.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/nginx.h"

namespace small_db {

// Sends `body`, which is copied.
ngx_int_t send_text(ngx_http_request_t* r, int status, std::string_view content_type,
                    std::string_view body) noexcept;

// Sends a buffer that is filled already; for HEAD it may be nullptr. bytes: of the body.
ngx_int_t send_body(ngx_http_request_t* r, int status, std::string_view content_type,
                    ngx_buf_t* body, size_t bytes) noexcept;

// 204 and 304: a header without body.
ngx_int_t send_no_content(ngx_http_request_t* r) noexcept;
ngx_int_t send_not_modified(ngx_http_request_t* r) noexcept;

ngx_int_t send_problem(ngx_http_request_t* r, const Problem& problem) noexcept;

// The same, without having looked at the body.
ngx_int_t refuse(ngx_http_request_t* r, const Problem& problem) noexcept;

// The answer to a read or write that the engine refused. REQUIRES: code is not kOk.
ngx_int_t send_refusal(ngx_http_request_t* r, Code code) noexcept;

// Adds a header. name and value must outlive the request. NGX_ERROR when there is no memory.
ngx_int_t add_header(ngx_http_request_t* r, std::string_view name, std::string_view value) noexcept;

// ETag: "REVISION", where nginx's own filters find it. NGX_ERROR when there is no memory.
ngx_int_t set_etag(ngx_http_request_t* r, uint64_t revision) noexcept;

// The same with a tag's whole text, which must outlive the request.
ngx_int_t set_etag(ngx_http_request_t* r, std::string_view tag) noexcept;

// Expires-At: when the record expires; no header where it never does. NGX_ERROR when there is no
// memory.
ngx_int_t add_expires_at(ngx_http_request_t* r, uint64_t expires_at_ms) noexcept;

}  // namespace small_db
