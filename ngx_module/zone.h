// A store's shared memory: one nginx zone per data directory. Its lifetime over reloads is nginx's
// job: a zone whose name, tag and size stay equal is used on, with all that is in it.
//
// The zone's name holds the directory, so that a store that moves to another one gets a fresh
// region instead of the other directory's data.
//
// nginx calls the zone's init in `nginx -t` and in reloads that fail later, and on zones that
// serve: a live region is only looked at here.
#pragma once

#include "ngx_module/directives.h"

namespace small_db {

// Declares the store's zone. Runs while the configuration is read. On NGX_ERROR the reason is
// logged.
ngx_int_t add_zone(ngx_conf_t* cf, StoreConf* store) noexcept;

}  // namespace small_db
