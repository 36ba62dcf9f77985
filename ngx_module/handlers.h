// What the content handler dispatches to for a key. All run in a worker and return what a content
// handler returns.
#pragma once

#include <string>

#include "engine/client/client.h"
#include "ngx_module/directives.h"

namespace small_db {

struct ItemRequest {
  ngx_http_request_t* r;
  StoreConf* store;
  std::string key;
};

// GET and HEAD. The body is discarded already.
ngx_int_t handle_get(const ItemRequest& request) noexcept;

// PUT and DELETE: reads the body, submits, waits.
ngx_int_t handle_write(ItemRequest request) noexcept;

// Hands the write of a request that handle_write made wait to the engine. Errors: as of
// Client::put.
Status submit_write(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept;

}  // namespace small_db
