// The directives of replication within small_db_store: backup_of, replication_ack,
// replication_log_size. Each reads the directive at hand as nginx's own readers do: the result is
// NGX_CONF_OK, NGX_CONF_ERROR when the reason is logged, or the reason.
//
// Runs in the master (and in `nginx -t`) while a configuration is read. A URL may hold a password:
// no message shows one.
#pragma once

#include "ngx_module/directives.h"

namespace small_db {

const char* set_backup_of(ngx_conf_t* cf, StoreConf* store) noexcept;
const char* set_replication_ack(ngx_conf_t* cf, StoreConf* store) noexcept;
const char* set_replication_log_size(ngx_conf_t* cf, StoreConf* store) noexcept;

}  // namespace small_db
