// The module's entry: commands, contexts, callbacks.
//
// Life of a request, file by file:
//
//   GET    worker   request.cc       route, method, key; is the store available (availability.cc)
//          worker   get_handler.cc   pin the published root, find, encode into one buffer, let go
//          worker   response.cc      header and body
//
//   PUT    worker   request.cc       the same; then write_handler.cc
//   DELETE worker   write_handler.cc read the body, parse the envelope
//          worker   waiting.cc       a cookie and a deadline; the worker serves others
//          worker   store_client.cc  submit to the ring, or queue while it is full
//          helper   storage_process.cc: the engine's threads commit, sync, publish, complete …
//          helper   bells.cc         … and ring the worker's eventfd
//          worker   worker.cc        hears the bell
//          worker   store_client.cc  polls the outcomes
//          worker   waiting.cc       finds the request by its cookie
//          worker   response.cc      answers, and the connection goes on
//
// Configuration (directives.cc, zone.cc, storage_process.cc: add_data_path) runs in the master.

#include "ngx_module/directives.h"
#include "ngx_module/worker.h"

namespace {

ngx_http_module_t context = {
    nullptr,                              // preconfiguration
    small_db::create_parent_directories,  // postconfiguration
    small_db::create_main_conf,
    small_db::init_main_conf,
    nullptr,  // create server configuration
    nullptr,  // merge server configuration
    small_db::create_location_conf,
    small_db::merge_location_conf,
};

}  // namespace

ngx_module_t ngx_http_small_db_module = {
    NGX_MODULE_V1,
    &context,
    small_db::small_db_commands,
    NGX_HTTP_MODULE,
    nullptr,                // init master
    small_db::init_module,  // before the old cycle's zones are freed
    small_db::init_process,
    nullptr,  // init thread
    nullptr,  // exit thread
    small_db::exit_process,
    nullptr,  // exit master
    NGX_MODULE_V1_PADDING,
};
