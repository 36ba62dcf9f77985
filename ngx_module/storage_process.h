// Where storage runs: nginx keeps one helper process (titled "cache manager process") for all paths
// with a manager callback, respawns it when it dies and tells it to quit at reload. Each store's
// directory is such a path. In its first call, in that process, the callback starts the store's
// threads; it never blocks, for proxy caches share the process. They drain from atexit: helpers get
// no exit_process.
//
// With `master_process off` there is no helper and the single process runs the threads.
#pragma once

#include "ngx_module/directives.h"

namespace small_db {

// Declares the store's directory, which nginx creates for the workers' user. Runs while the
// configuration is read. On NGX_ERROR the reason is logged.
ngx_int_t add_data_path(ngx_conf_t* cf, StoreConf* store) noexcept;

// Starts the store's threads in this process, unless they run. Returns false when that failed; the
// reason is logged, and trying again later may help.
bool start_storage(StoreConf* store) noexcept;

// Stops the threads of every store of this process.
void stop_all_storage() noexcept;

}  // namespace small_db
