// The content handler of a `small_db` location: finds out what a request wants, and hands it to
// the handler of that resource and method. Runs in a worker.
#pragma once

#include "ngx_module/nginx.h"

namespace small_db {

ngx_int_t handle_request(ngx_http_request_t* r) noexcept;

}  // namespace small_db
