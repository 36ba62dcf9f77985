// Wakes workers: one eventfd per slot number, shared by all stores (the worker that holds slot 3 of
// one store and the worker that holds slot 3 of another wake together; the idle one looks and goes
// back to sleep). A bell carries no data and is never read: each worker has it in its epoll
// edge-triggered, as nginx's core has its own.
//
// The descriptors are made in the master before the first fork and inherited by every process. A
// reload that brings a larger region only adds some: who is older rings and hears the old ones.
#pragma once

#include <vector>

#include "engine/platform/bells.h"
#include "ngx_module/nginx.h"

namespace small_db {

class EventfdBells final : public WorkerBells {
 public:
  // Makes sure that there are bells for slots 0 to count - 1. Master only. On NGX_ERROR the reason
  // is logged.
  ngx_int_t ensure(uint32_t count, ngx_log_t* log) noexcept;

  // Any thread of the process that owns a store.
  void ring(uint32_t slot) noexcept override;

  // -1 when there is none.
  int descriptor(uint32_t slot) const noexcept;

 private:
  std::vector<int> descriptors_;
};

// The process's bells; lives as long as the process.
EventfdBells& worker_bells() noexcept;

// Calls `handler` in this worker's event loop whenever the slot's bell rings; once per slot is
// enough. Worker only.
ngx_int_t listen_to_bell(uint32_t slot, ngx_event_handler_pt handler) noexcept;

}  // namespace small_db
