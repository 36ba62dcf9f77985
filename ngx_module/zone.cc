#include "ngx_module/zone.h"

#include <algorithm>

#include "ngx_module/bells.h"

namespace small_db {
namespace {

constexpr std::string_view kZoneNamePrefix = "small_db:";

// Workers of two generations live side by side during a reload; the rest is for what is raised by
// a reload, since a region keeps its slots for life.
constexpr uint32_t kSlotsUsual = 64;
constexpr uint32_t kSlotsPerWorker = 4;

uint64_t configured_workers(const StoreConf& store) noexcept {
  const auto* core =
      reinterpret_cast<ngx_core_conf_t*>(ngx_get_conf(store.cycle->conf_ctx, ngx_core_module));
  return std::max<ngx_int_t>(core->worker_processes, 1);
}

// A zone that serves, taken over from the cycle before.
ngx_int_t reuse_region(StoreConf* store, const StoreConf& former, ngx_log_t* log) noexcept {
  store->region = former.region;
  const uint32_t slots = store->region.slot_count();
  if (slots < 2 * configured_workers(*store)) {
    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "small_db_store \"%V\" has memory for %uD processes only, too few for a reload "
                  "with these worker_processes: restart nginx",
                  &store->name, slots);
  }
  return worker_bells().ensure(slots, log);
}

// All pages that a fresh zone's slab has, as one piece.
MutableBytes take_all_pages(ngx_shm_zone_t* zone) noexcept {
  auto* slab = reinterpret_cast<ngx_slab_pool_t*>(zone->shm.addr);
  slab->log_nomem = 0;
  const size_t bytes = slab->pfree * ngx_pagesize;
  void* pages = ngx_slab_alloc(slab, bytes);
  if (pages == nullptr) return {};
  return {static_cast<std::byte*>(pages), bytes};
}

ngx_int_t format_region(StoreConf* store, ngx_shm_zone_t* zone, ngx_log_t* log) noexcept {
  const RegionConfig config{
      .slot_count = static_cast<uint32_t>(std::clamp<uint64_t>(
          kSlotsPerWorker * configured_workers(*store), kSlotsUsual, kSlotsMax))};
  const MutableBytes memory = take_all_pages(zone);
  const Status formatted = Region::format(memory, config);
  if (!formatted.is_ok()) {
    ngx_log_error(NGX_LOG_EMERG, log, 0,
                  "small_db_store \"%V\": \"memory\" is too small for %uD process slots (%s: %s)",
                  &store->name, config.slot_count, formatted.site(), code_name(formatted.code()));
    return NGX_ERROR;
  }
  const Result<Region> region = Region::attach(memory);
  if (!region.is_ok()) {
    ngx_log_error(NGX_LOG_EMERG, log, 0, "small_db_store \"%V\": fresh region is not usable",
                  &store->name);
    return NGX_ERROR;
  }
  store->region = region.value();
  return worker_bells().ensure(config.slot_count, log);
}

// data: the former cycle's StoreConf when the zone is used on, else nullptr.
ngx_int_t init_zone(ngx_shm_zone_t* zone, void* data) noexcept {
  auto* store = static_cast<StoreConf*>(zone->data);
  if (data != nullptr) return reuse_region(store, *static_cast<StoreConf*>(data), zone->shm.log);
  return format_region(store, zone, zone->shm.log);
}

}  // namespace

ngx_int_t add_zone(ngx_conf_t* cf, StoreConf* store) noexcept {
  ngx_str_t name;
  name.len = kZoneNamePrefix.size() + store->dir.len;
  name.data = static_cast<u_char*>(ngx_pnalloc(cf->pool, name.len));
  if (name.data == nullptr) return NGX_ERROR;
  u_char* end = ngx_cpymem(name.data, kZoneNamePrefix.data(), kZoneNamePrefix.size());
  ngx_memcpy(end, store->dir.data, store->dir.len);
  store->zone = ngx_shared_memory_add(cf, &name, static_cast<size_t>(store->memory),
                                      &ngx_http_small_db_module);
  if (store->zone == nullptr) return NGX_ERROR;
  store->zone->init = init_zone;
  store->zone->data = store;
  return NGX_OK;
}

}  // namespace small_db
