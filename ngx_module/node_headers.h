// Who this node is, as every answer of replication's resources says it.
#pragma once

#include "engine/replication/handshake.h"
#include "engine/shm/region.h"
#include "ngx_module/nginx.h"

namespace small_db {

// As the region tells it; each field is right by itself. A primary that has heard of a higher epoch
// is fenced already. May throw std::bad_alloc.
NodeIdentity read_node_identity(const Region& region);

// Small-Db-Cluster, -Node, -Epoch, -Role and -History. NGX_ERROR when there is no memory.
ngx_int_t add_node_headers(ngx_http_request_t* r, const NodeIdentity& node) noexcept;

// A header whose value is copied.
ngx_int_t add_header_copy(ngx_http_request_t* r, std::string_view name,
                          std::string_view value) noexcept;
ngx_int_t add_number_header(ngx_http_request_t* r, std::string_view name, uint64_t value) noexcept;

}  // namespace small_db
