// What a worker process keeps for each store: the client, attached to the store's region, and the
// bell that tells of outcomes. Made in init_process; a client that could not be attached then (all
// slots taken) is tried again by the next request.
//
// Everything here runs in the worker's event loop.
#pragma once

#include "ngx_module/directives.h"
#include "ngx_module/store_client.h"

namespace small_db {

// Callbacks of the module. Workers, and the single process; a helper is left alone.
ngx_int_t init_module(ngx_cycle_t* cycle) noexcept;
ngx_int_t init_process(ngx_cycle_t* cycle) noexcept;
void exit_process(ngx_cycle_t* cycle) noexcept;

// The store's client in this process; nullptr when it has none (no slot is free, the module is
// off).
StoreClient* client_of(const StoreConf& store) noexcept;

// Takes what the store's owner answered meanwhile and asks for the bell. Called after a submit
// where no edge-triggered bell is to be had.
void expect_outcomes() noexcept;

}  // namespace small_db
