// What the content handler dispatches to. All run in a worker and return what a content
// handler returns.
#pragma once

#include <string_view>

#include "ngx_module/api/query.h"
#include "ngx_module/directives.h"

namespace small_db {

struct ItemRequest {
  ngx_http_request_t* r;
  StoreConf* store;
  std::string_view key;  // points into the request's pool or into `query`
  Query query;           // only parameters that the route and the method take
};

// Of a resource that is no single key.
struct ResourceRequest {
  ngx_http_request_t* r;
  StoreConf* store;
  Query query;
};

// GET and HEAD. The body is discarded already.
ngx_int_t handle_get(const ItemRequest& request) noexcept;

// GET and HEAD of MOUNT/kv without key=.
ngx_int_t handle_list(const ResourceRequest& request) noexcept;

// GET and HEAD of MOUNT/snapshot; with ?fresh it reads the body, which says nothing, and waits.
ngx_int_t handle_snapshot(const ResourceRequest& request) noexcept;

// GET and HEAD of MOUNT/status. The body is discarded already.
ngx_int_t handle_status(ngx_http_request_t* r, const Region& region) noexcept;

// GET and HEAD of MOUNT/metrics. The body is discarded already.
ngx_int_t handle_metrics(ngx_http_request_t* r, const StoreConf& store) noexcept;

// PUT, DELETE, PATCH and POST of a key: reads the body, submits, waits.
ngx_int_t handle_write(ItemRequest request) noexcept;

// PUT, POST and DELETE of MOUNT/kv: reads the body in slices, submits, waits.
ngx_int_t handle_batch(ResourceRequest request) noexcept;

// POST of MOUNT/txn: reads the body and runs the transaction in slices, submits, waits.
ngx_int_t handle_transaction(ResourceRequest request) noexcept;

// GET and HEAD of MOUNT/replication/log: the log, from where the follower stands, without an end.
ngx_int_t handle_replication_log(const ResourceRequest& request) noexcept;

// GET and HEAD of MOUNT/replication/checkpoint: what a follower begins with. When there is no
// checkpoint yet it reads the body, which says nothing, and waits for one.
ngx_int_t handle_replication_checkpoint(const ResourceRequest& request) noexcept;

// POST of MOUNT/replication/ack: reads the body, which says nothing, and notes what a follower did.
ngx_int_t handle_replication_ack(const ResourceRequest& request) noexcept;

// POST of MOUNT/promote: reads the body, which says nothing, submits, waits.
ngx_int_t handle_promote(ngx_http_request_t* r, StoreConf* store) noexcept;

// POST …/checkpoint: reads the body, which says nothing, submits, waits.
ngx_int_t handle_checkpoint(ngx_http_request_t* r, StoreConf* store) noexcept;

}  // namespace small_db
