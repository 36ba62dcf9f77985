#include "ngx_module/zone.h"

#include <algorithm>

#include "engine/platform/huge_pages.h"
#include "engine/record/record.h"
#include "engine/shm/submission_ring.h"
#include "ngx_module/bells.h"

#if !(NGX_HAVE_ATOMIC_OPS)
#error "a slab's mutex would be a file"
#endif

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

// Moves a fresh zone to where its pages can be huge. Its slab holds addresses: it is made anew, as
// nginx made it.
void align_zone(ngx_shm_zone_t* zone) noexcept {
  ngx_shm_t& shm = zone->shm;
  shm.addr = static_cast<u_char*>(align_for_huge_pages(shm.addr, shm.size));
  auto* slab = reinterpret_cast<ngx_slab_pool_t*>(shm.addr);
  slab->addr = shm.addr;
  slab->end = shm.addr + shm.size;
  ngx_shmtx_create(&slab->mutex, &slab->lock, nullptr);
  ngx_slab_init(slab);
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

uint32_t slots_min(const StoreConf& store) noexcept {
  return static_cast<uint32_t>(
      std::clamp<uint64_t>(kSlotsPerWorker * configured_workers(store), kSlotsMin, kSlotsMax));
}

// A request's key stands in its ring as one piece.
uint32_t ring_bytes_min(const StoreConf& store) noexcept {
  uint32_t bytes = kSubmissionBytesMin;
  while (submission_payload_bytes_max(bytes) < record_prefix_bytes(store.max_key_size, true)) {
    bytes *= 2;
  }
  return bytes;
}

Result<Region> format_region(const StoreConf& store, MutableBytes memory) noexcept {
  RegionConfig config;
  config.slot_count = std::max(slots_min(store), kSlotsUsual);
  SMALL_DB_RETURN_IF_ERROR(Region::format(memory, config));
  const Result<Region> region = Region::attach(memory);
  if (!region.is_ok()) return region.status();
  if (region.value().header().submission_bytes >= ring_bytes_min(store)) return region.value();
  // What the engine derives from the size is too small for the longest key. Fewer slots rather than
  // no room for data.
  config.submission_bytes = ring_bytes_min(store);
  while (region_overhead_bytes(memory.size(), config) > memory.size() / 2 &&
         config.slot_count > slots_min(store)) {
    config.slot_count = std::max(config.slot_count / 2, slots_min(store));
  }
  SMALL_DB_RETURN_IF_ERROR(Region::format(memory, config));
  return Region::attach(memory);
}

ngx_int_t make_region(StoreConf* store, ngx_shm_zone_t* zone, ngx_log_t* log) noexcept {
  align_zone(zone);
  const Result<Region> region = format_region(*store, take_all_pages(zone));
  if (!region.is_ok()) {
    ngx_log_error(
        NGX_LOG_EMERG, log, 0,
        "small_db_store \"%V\": \"memory\" is too small for %uD worker processes and keys of "
        "up to %uz bytes (%s: %s)",
        &store->name, static_cast<uint32_t>(configured_workers(*store)), store->max_key_size,
        region.status().site(), code_name(region.status().code()));
    return NGX_ERROR;
  }
  store->region = region.value();
  return worker_bells().ensure(store->region.slot_count(), log);
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
  if (store->region.header().submission_bytes < ring_bytes_min(*store)) {
    ngx_log_error(NGX_LOG_WARN, log, 0,
                  "small_db_store \"%V\" takes keys of max_key_size %uz after a restart of nginx "
                  "only, shorter ones at once",
                  &store->name, store->max_key_size);
  }
  return worker_bells().ensure(slots, log);
}

// data: the former cycle's StoreConf when the zone is used on, else nullptr.
ngx_int_t init_zone(ngx_shm_zone_t* zone, void* data) noexcept {
  auto* store = static_cast<StoreConf*>(zone->data);
  if (data != nullptr) return reuse_region(store, *static_cast<StoreConf*>(data), zone->shm.log);
  return make_region(store, zone, zone->shm.log);
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
