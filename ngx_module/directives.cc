#include "ngx_module/directives.h"

#include <sys/stat.h>

#include <iterator>
#include <new>

#include "engine/base/limits.h"
#include "ngx_module/directive_values.h"
#include "ngx_module/replication_directives.h"
#include "ngx_module/request.h"
#include "ngx_module/storage_process.h"
#include "ngx_module/zone.h"

namespace small_db {
namespace {

// The region's minimum and what nginx's slab header takes of the zone.
constexpr off_t kMemoryMin = static_cast<off_t>(kRegionBytesMin + kMiB);
constexpr off_t kMemoryMax = static_cast<off_t>(kArenaBytesMax);
constexpr size_t kMaxKeySizeDefault = kKiB;
constexpr size_t kMaxValueSizeDefault = kMiB;

MainConf* main_conf(ngx_conf_t* cf) noexcept {
  return static_cast<MainConf*>(ngx_http_conf_get_module_main_conf(cf, ngx_http_small_db_module));
}

template <typename T>
std::span<T*> pointers(const ngx_array_t& array) noexcept {
  return {static_cast<T**>(array.elts), array.nelts};
}

template <typename T>
ngx_int_t push_pointer(ngx_array_t* array, T* pointer) noexcept {
  T** place = static_cast<T**>(ngx_array_push(array));
  if (place == nullptr) return NGX_ERROR;
  *place = pointer;
  return NGX_OK;
}

struct SizeRange {
  off_t min;
  off_t max;
  const char* text;  // as people write it
};

// Parses the directive's value, a size. -1 when it is none or out of range; the reason is logged.
off_t parse_size(ngx_conf_t* cf, const SizeRange& range) noexcept {
  const off_t size = ngx_parse_offset(argument(cf, 1));
  if (size >= range.min && size <= range.max) return size;
  refuse_value(cf, 1, range.text);
  return -1;
}

const char* set_dir(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->dir.data != nullptr) return "is duplicate";
  ngx_str_t dir = *argument(cf, 1);
  if (dir.len == 0) return "has an empty value";
  if (ngx_conf_full_name(cf->cycle, &dir, 0) != NGX_OK) return kConfError;
  while (dir.len > 1 && dir.data[dir.len - 1] == '/') dir.len--;
  store->dir.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, dir.len + 1));
  if (store->dir.data == nullptr) return kConfError;
  ngx_cpystrn(store->dir.data, dir.data, dir.len + 1);
  store->dir.len = dir.len;
  return kConfOk;
}

const char* set_memory(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->memory != 0) return "is duplicate";
  const off_t size = parse_size(cf, {kMemoryMin, kMemoryMax, "between 5m and 64g"});
  if (size < 0) return kConfError;
  store->memory = size;
  return kConfOk;
}

const char* set_max_key_size(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->max_key_size != 0) return "is duplicate";
  const off_t size = parse_size(cf, {1, kKeyBytesMax, "between 1 and 32k"});
  if (size < 0) return kConfError;
  store->max_key_size = static_cast<size_t>(size);
  return kConfOk;
}

const char* set_max_value_size(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->max_value_size != 0) return "is duplicate";
  const off_t size = parse_size(cf, {1, kValueBytesMax, "between 1 and 64m"});
  if (size < 0) return kConfError;
  store->max_value_size = static_cast<size_t>(size);
  return kConfOk;
}

constexpr ngx_msec_t kCheckpointIntervalMinMs = 1000;
constexpr ngx_msec_t kCheckpointIntervalMaxMs = 30ul * 24 * 60 * 60 * 1000;
constexpr ngx_int_t kCheckpointUpdatesMax = 1'000'000'000;
constexpr ngx_int_t kKeepGenerationsMax = 1000;

// Each parses what follows "name=".
const char* set_checkpoint_interval(ngx_str_t value, StoreOptions* options) noexcept {
  // NGX_ERROR is out of range, too.
  const auto ms = static_cast<ngx_msec_t>(ngx_parse_time(&value, 0));
  if (ms != 0 && (ms < kCheckpointIntervalMinMs || ms > kCheckpointIntervalMaxMs)) {
    return "a time between 1s and 30d, or 0 for never";
  }
  options->checkpoint_interval_us = ms * 1000;
  return kConfOk;
}

const char* set_checkpoint_log_size(ngx_str_t value, StoreOptions* options) noexcept {
  const off_t bytes = ngx_parse_offset(&value);
  if (bytes != 0 && (bytes < static_cast<off_t>(kMiB) || bytes > kMemoryMax)) {
    return "a size between 1m and 64g, or 0 for never";
  }
  options->checkpoint_log_bytes = static_cast<uint64_t>(bytes);
  return kConfOk;
}

const char* set_checkpoint_updates(ngx_str_t value, StoreOptions* options) noexcept {
  const ngx_int_t updates = ngx_atoi(value.data, value.len);
  if (updates < 0 || updates > kCheckpointUpdatesMax) {
    return "a number up to 1000000000, or 0 for never";
  }
  options->checkpoint_updates = static_cast<uint64_t>(updates);
  return kConfOk;
}

constexpr NamedParameter<StoreOptions> kCheckpointParameters[] = {
    {"interval=", set_checkpoint_interval},
    {"log_size=", set_checkpoint_log_size},
    {"updates=", set_checkpoint_updates},
};
constexpr const char* kCheckpointParameter =
    "interval=TIME, log_size=SIZE or updates=NUMBER, or off alone";

const char* set_checkpoint(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->has_checkpoint) return "is duplicate";
  store->has_checkpoint = true;
  StoreOptions* options = &store->options;
  if (cf->args->nelts == 2 && text_of(*argument(cf, 1)) == "off") {
    options->checkpoint_interval_us = 0;
    options->checkpoint_log_bytes = 0;
    options->checkpoint_updates = 0;
    return kConfOk;
  }
  uint32_t taken = 0;
  for (ngx_uint_t i = 1; i < cf->args->nelts; ++i) {
    const char* error =
        set_named_parameter(cf, i, kCheckpointParameters, kCheckpointParameter, &taken, options);
    if (error != kConfOk) return error;
  }
  return kConfOk;
}

const char* set_keep_generations(ngx_conf_t* cf, StoreConf* store) noexcept {
  if (store->has_keep_generations) return "is duplicate";
  store->has_keep_generations = true;
  const ngx_str_t* value = argument(cf, 1);
  const ngx_int_t generations = ngx_atoi(value->data, value->len);
  if (generations < 0 || generations > kKeepGenerationsMax) {
    return refuse_value(cf, 1, "a number between 0 and 1000");
  }
  store->options.keep_generations = static_cast<size_t>(generations);
  return kConfOk;
}

struct StoreParameter {
  std::string_view name;
  const char* (*set)(ngx_conf_t* cf, StoreConf* store) noexcept;
  ngx_uint_t arguments_max;
};

constexpr StoreParameter kStoreParameters[] = {
    {"dir", set_dir, 1},
    {"memory", set_memory, 1},
    {"max_key_size", set_max_key_size, 1},
    {"max_value_size", set_max_value_size, 1},
    {"checkpoint", set_checkpoint, 10},  // each is checked
    {"keep_generations", set_keep_generations, 1},
    {"backup_of", set_backup_of, 10},
    {"replication_ack", set_replication_ack, 10},
    {"replication_log_size", set_replication_log_size, 1},
};

// One directive inside of small_db_store; nginx calls it instead of looking for a command.
char* read_store_parameter(ngx_conf_t* cf, ngx_command_t* command, void* conf) noexcept {
  const std::string_view name = text_of(*argument(cf, 0));
  if (name == "include") return ngx_conf_include(cf, command, conf);
  for (const StoreParameter& parameter : kStoreParameters) {
    if (parameter.name != name) continue;
    if (cf->args->nelts < 2 || cf->args->nelts > 1 + parameter.arguments_max) {
      ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "invalid number of arguments in \"%V\" directive",
                         argument(cf, 0));
      return kConfError;
    }
    const char* error = parameter.set(cf, static_cast<StoreConf*>(conf));
    if (error != kConfOk && error != kConfError) {
      ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "\"%V\" directive %s", argument(cf, 0), error);
    }
    return error == kConfOk ? kConfOk : kConfError;
  }
  ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "unknown directive \"%V\" in small_db_store",
                     argument(cf, 0));
  return kConfError;
}

bool same_directory(const StoreConf& left, const StoreConf& right) noexcept {
  if (text_of(left.dir) == text_of(right.dir)) return true;
  struct stat left_info;
  struct stat right_info;
  return stat(reinterpret_cast<const char*>(left.dir.data), &left_info) == 0 &&
         stat(reinterpret_cast<const char*>(right.dir.data), &right_info) == 0 &&
         left_info.st_dev == right_info.st_dev && left_info.st_ino == right_info.st_ino;
}

// What a store block must have, and must not share with another.
bool check_store(ngx_conf_t* cf, const StoreConf& store) noexcept {
  const char* missing = store.dir.data == nullptr ? "dir" : store.memory == 0 ? "memory" : nullptr;
  if (missing != nullptr) {
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "small_db_store \"%V\" has no \"%s\" directive",
                       &store.name, missing);
    return false;
  }
  for (const StoreConf* other : pointers<StoreConf>(main_conf(cf)->stores)) {
    if (!same_directory(store, *other)) continue;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0,
                       "small_db_store \"%V\" has the same \"dir\" as \"%V\": \"%V\"", &store.name,
                       &other->name, &store.dir);
    return false;
  }
  return true;
}

StoreConf* new_store(ngx_conf_t* cf) noexcept {
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(cf->pool, sizeof(StoreConf));
  if (cleanup == nullptr) return nullptr;
  StoreConf* store = new (cleanup->data) StoreConf{};
  cleanup->handler = [](void* data) noexcept { static_cast<StoreConf*>(data)->~StoreConf(); };
  store->name = *argument(cf, 1);
  store->cycle = cf->cycle;
  return store;
}

// small_db_store NAME { … }
char* read_store(ngx_conf_t* cf, ngx_command_t*, void*) noexcept {
  for (const StoreConf* other : pointers<StoreConf>(main_conf(cf)->stores)) {
    if (text_of(other->name) != text_of(*argument(cf, 1))) continue;
    ngx_conf_log_error(NGX_LOG_EMERG, cf, 0, "duplicate small_db_store \"%V\"", argument(cf, 1));
    return kConfError;
  }
  StoreConf* store = new_store(cf);
  if (store == nullptr) return kConfError;

  const ngx_conf_t outer = *cf;
  cf->handler = read_store_parameter;
  cf->handler_conf = store;
  char* result = ngx_conf_parse(cf, nullptr);
  *cf = outer;
  if (result != kConfOk) return result;

  if (!check_store(cf, *store)) return kConfError;
  if (store->max_key_size == 0) store->max_key_size = kMaxKeySizeDefault;
  if (store->max_value_size == 0) store->max_value_size = kMaxValueSizeDefault;
  if (add_zone(cf, store) != NGX_OK || add_data_path(cf, store) != NGX_OK) return kConfError;
  return push_pointer(&main_conf(cf)->stores, store) == NGX_OK ? kConfOk : kConfError;
}

constexpr const char* kOtherHandler = "stands beside another directive that answers requests";

bool is_prefix(const ngx_http_core_loc_conf_t& core) noexcept {
#if (NGX_PCRE)
  if (core.regex != nullptr) return false;
#endif
  return !core.named && !core.exact_match && core.name.len != 0;
}

// small_db NAME; the store may be declared later in the file, so that init_main_conf looks it up.
char* read_location(ngx_conf_t* cf, ngx_command_t*, void* conf) noexcept {
  auto* location = static_cast<LocationConf*>(conf);
  if (location->store_name.data != nullptr) return const_cast<char*>("is duplicate");
  auto* core = static_cast<ngx_http_core_loc_conf_t*>(
      ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  if (core->handler != nullptr) return const_cast<char*>(kOtherHandler);
  core->handler = handle_request;
  location->store_name = *argument(cf, 1);
  location->has_prefix = is_prefix(*core);
  location->mount = core->name;
  location->file = cf->conf_file->file.name;
  location->line = cf->conf_file->line;
  return push_pointer(&main_conf(cf)->locations, location) == NGX_OK ? kConfOk : kConfError;
}

// Logs what is wrong with a small_db directive when all of the configuration has been read.
char* refuse_location(ngx_conf_t* cf, const LocationConf& location, const char* cause) noexcept {
  ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "\"small_db\" directive %s in %V:%ui", cause,
                &location.file, location.line);
  return kConfError;
}

}  // namespace

ngx_command_t small_db_commands[] = {
    {ngx_string("small_db_store"), NGX_HTTP_MAIN_CONF | NGX_CONF_BLOCK | NGX_CONF_TAKE1, read_store,
     NGX_HTTP_MAIN_CONF_OFFSET, 0, nullptr},
    {ngx_string("small_db"), NGX_HTTP_LOC_CONF | NGX_CONF_TAKE1, read_location,
     NGX_HTTP_LOC_CONF_OFFSET, 0, nullptr},
    {ngx_string("small_db_intercept_errors"),
     NGX_HTTP_MAIN_CONF | NGX_HTTP_SRV_CONF | NGX_HTTP_LOC_CONF | NGX_CONF_FLAG,
     ngx_conf_set_flag_slot, NGX_HTTP_LOC_CONF_OFFSET, offsetof(LocationConf, intercept_errors),
     nullptr},
    ngx_null_command,
};

void* create_main_conf(ngx_conf_t* cf) noexcept {
  auto* conf = static_cast<MainConf*>(ngx_pcalloc(cf->pool, sizeof(MainConf)));
  if (conf == nullptr || ngx_array_init(&conf->stores, cf->pool, 4, sizeof(StoreConf*)) != NGX_OK ||
      ngx_array_init(&conf->locations, cf->pool, 4, sizeof(LocationConf*)) != NGX_OK) {
    return nullptr;
  }
  return conf;
}

char* init_main_conf(ngx_conf_t* cf, void* conf) noexcept {
  auto* main = static_cast<MainConf*>(conf);
  for (LocationConf* location : pointers<LocationConf>(main->locations)) {
    for (StoreConf* store : pointers<StoreConf>(main->stores)) {
      if (text_of(store->name) == text_of(location->store_name)) location->store = store;
    }
    if (location->store == nullptr) {
      ngx_log_error(NGX_LOG_EMERG, cf->log, 0, "unknown small_db_store \"%V\" in %V:%ui",
                    &location->store_name, &location->file, location->line);
      return kConfError;
    }
  }
  return kConfOk;
}

void* create_location_conf(ngx_conf_t* cf) noexcept {
  auto* conf = static_cast<LocationConf*>(ngx_pcalloc(cf->pool, sizeof(LocationConf)));
  if (conf != nullptr) conf->intercept_errors = NGX_CONF_UNSET;
  return conf;
}

// A block without a name of its own (limit_except, if) is the location that it stands in. A
// location within another one of the same store serves a part of that one's paths, with rules of
// its own.
char* merge_location_conf(ngx_conf_t* cf, void* parent, void* child) noexcept {
  auto* core = static_cast<ngx_http_core_loc_conf_t*>(
      ngx_http_conf_get_module_loc_conf(cf, ngx_http_core_module));
  const auto* outer = static_cast<const LocationConf*>(parent);
  auto* inner = static_cast<LocationConf*>(child);
  ngx_conf_merge_value(inner->intercept_errors, outer->intercept_errors, 0);
  if (core->noname && outer->store != nullptr && core->handler == nullptr) {
    *inner = *outer;
    core->handler = handle_request;
  }
  if (inner->store == nullptr) return kConfOk;
  if (core->handler != handle_request) return refuse_location(cf, *inner, kOtherHandler);
  if (inner->store == outer->store) {
    inner->mount = outer->mount;
  } else if (!inner->has_prefix) {
    return refuse_location(cf, *inner,
                           "needs a location that is a prefix, or one within it that names the "
                           "same store");
  }
  return kConfOk;
}

// nginx makes a path's last directory only.
ngx_int_t create_parent_directories(ngx_conf_t* cf) noexcept {
  for (StoreConf* store : pointers<StoreConf>(main_conf(cf)->stores)) {
    const ngx_err_t error = ngx_create_full_path(store->dir.data, 0755);
    if (error != 0 && error != NGX_EACCES) {
      ngx_log_error(NGX_LOG_EMERG, cf->log, error, "can't create the directories above \"%V\"",
                    &store->dir);
      return NGX_ERROR;
    }
  }
  return NGX_OK;
}

std::span<StoreConf*> stores_of(const ngx_cycle_t* cycle) noexcept {
  auto* conf =
      static_cast<MainConf*>(ngx_http_cycle_get_module_main_conf(cycle, ngx_http_small_db_module));
  if (conf == nullptr) return {};
  return pointers<StoreConf>(conf->stores);
}

}  // namespace small_db
