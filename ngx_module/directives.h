// The directives small_db_store { … }, small_db and small_db_intercept_errors, and what they are
// parsed into.
//
// Runs in the master (and in `nginx -t`) while a configuration is read; what it makes lives in the
// cycle's pool and is read by all processes that are forked under that cycle. Nothing here touches
// a store's data.
#pragma once

#include "engine/shm/region.h"
#include "engine/store/options.h"
#include "ngx_module/nginx.h"
#include "ngx_module/replication_settings.h"

namespace small_db {

struct StoreConf {
  ngx_str_t name;
  ngx_str_t dir;  // absolute, no slash at its end, NUL-terminated
  off_t memory;
  size_t max_key_size;
  size_t max_value_size;
  bool has_checkpoint;        // the directive
  bool has_keep_generations;  // the directive
  StoreOptions options;       // of the storage process, for its life
  ReplicationSettings replication;
  uint32_t has_replication;  // a bit for each directive of replication
  ngx_cycle_t* cycle;        // the cycle that is being read
  ngx_shm_zone_t* zone;      // its data is this StoreConf
  ngx_path_t* path;          // its data is this StoreConf
  Region region;             // set by the zone's init, before any fork
  uint32_t configuration;    // the region's, by init_module, before any fork
};

struct MainConf {
  ngx_array_t stores;     // StoreConf*
  ngx_array_t locations;  // LocationConf*: those with a small_db directive
};

struct LocationConf {
  StoreConf* store;  // nullptr: no small_db here
  ngx_str_t store_name;
  ngx_str_t mount;  // the location's own prefix, or that of the one around it
  bool has_prefix;  // not an exact match, not a regular expression
  ngx_flag_t intercept_errors;
  ngx_str_t file;  // where the directive stands
  ngx_uint_t line;
};

extern ngx_command_t small_db_commands[];

// Callbacks of the module's context.
void* create_main_conf(ngx_conf_t* cf) noexcept;
char* init_main_conf(ngx_conf_t* cf, void* conf) noexcept;  // finds each location's store
void* create_location_conf(ngx_conf_t* cf) noexcept;
char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept;
ngx_int_t create_parent_directories(ngx_conf_t* cf) noexcept;  // postconfiguration

// The stores of a cycle; an empty array when it has no http block.
std::span<StoreConf*> stores_of(const ngx_cycle_t* cycle) noexcept;

}  // namespace small_db
