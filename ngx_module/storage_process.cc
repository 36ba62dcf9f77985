#include "ngx_module/storage_process.h"

#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <exception>
#include <memory>
#include <vector>

#include "engine/shm/slot.h"
#include "engine/store/storage_worker.h"
#include "ngx_module/bells.h"
#include "ngx_module/event_log.h"
#include "ngx_module/http_upstream.h"

namespace small_db {
namespace {

constexpr ngx_msec_t kNothingToDoMs = 60 * 60 * 1000;
constexpr ngx_msec_t kTryAgainMs = 1000;

// At exit: shorter than what service managers allow for a quit, and longer than requests take.
constexpr std::chrono::seconds kWorkersWait{2};
using Deadline = std::chrono::steady_clock::time_point;

StoreOptions options_of(const StoreConf& store) {
  StoreOptions options = store.options;
  const ReplicationSettings& settings = store.replication;
  options.replication.primary_name = settings.backup_of ? settings.backup_of->name : "";
  options.replication.acks_required = settings.ack_count;
  options.replication.ack_timeout_us = uint64_t{settings.ack_timeout_ms} * 1000;
  options.replication.degrade = settings.on_ack_timeout == OnAckTimeout::kDegrade;
  options.replication.kept_log_bytes = settings.log_bytes;
  return options;
}

HttpUpstreamFactory* upstreams_of(const ReplicationSettings& settings) {
  return settings.backup_of ? new HttpUpstreamFactory(*settings.backup_of) : nullptr;
}

// One store's threads and what they use.
struct RunningStorage {
  explicit RunningStorage(const StoreConf& store)
      : region(store.region),
        configuration(store.configuration),
        log(new NginxEventLog(ngx_cycle->log, text_of(store.name))),
        upstreams(upstreams_of(store.replication)),
        worker(store.region, std::string(text_of(store.dir)), options_of(store), worker_bells(),
               *log, upstreams) {}
  Region region;
  const uint32_t configuration;  // that this process runs under
  // Never freed: a thread that waits in the kernel for the directory's lock outlives its worker.
  NginxEventLog* log;
  HttpUpstreamFactory* upstreams;  // nor this; nullptr: this store follows no primary
  StorageWorker worker;
};

// Never destroyed by the runtime: stop_all_storage empties it, in exit() or before.
std::vector<std::unique_ptr<RunningStorage>>& running() noexcept {
  static auto* storages = new std::vector<std::unique_ptr<RunningStorage>>();
  return *storages;
}

// Until the process has ended, or the deadline has passed. Where the kernel knows no pidfd (before
// 5.3), not at all.
void wait_for_end_of(uint32_t pid, Deadline deadline) noexcept {
  const auto descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor == -1) return;
  const auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Deadline::clock::now());
  pollfd ended{descriptor, POLLIN, 0};
  poll(&ended, 1, static_cast<int>(std::max<int64_t>(left.count(), 0)));
  close(descriptor);
}

uint32_t configuration_of(const RunningStorage& storage) noexcept {
  // Pairs with the master's stores in init_module.
  return storage.region.header().configuration.load(std::memory_order_acquire);
}

// nginx tells its workers and this process to quit in the same moment; the requests that the
// workers then still end need an answer. After a reload the next owner gives it, and the store is
// not ours any more.
void wait_for_workers() noexcept {
  const Deadline deadline = Deadline::clock::now() + kWorkersWait;
  const auto self = static_cast<uint32_t>(getpid());
  for (const auto& storage : running()) {
    const Region& region = storage->region;
    for (uint32_t i = 0; i < region.slot_count(); ++i) {
      if (region.header().owner_pid.load(std::memory_order_acquire) != self) break;
      const SlotHolder holder = slot_holder(region, i);
      if (holder.is_held() && holder.pid != self) wait_for_end_of(holder.pid, deadline);
    }
  }
}

// The end of this process. What becomes of a region is known from its configuration: after a reload
// it has another owner, or a reload has dropped it (the directory's next owner, if there is one,
// waits for the lock and loads it into other memory), or all of nginx quits.
void end_storage() noexcept {
  using Ending = StorageWorker::Ending;
  for (const auto& storage : running()) {
    if (configuration_of(*storage) == kNoConfiguration) storage->worker.stop(Ending::kForGood);
  }
  wait_for_workers();
  for (const auto& storage : running()) {
    const bool has_heir = configuration_of(*storage) != storage->configuration;
    storage->worker.stop(has_heir ? Ending::kSuccession : Ending::kForGood);
  }
  running().clear();
}

// nginx calls it in the cache manager process alone, in that process's main thread.
ngx_msec_t manage_store(void* data) noexcept {
  static bool registered = false;
  if (!registered) {
    registered = true;
    std::atexit([]() noexcept { end_storage(); });
  }
  return start_storage(static_cast<StoreConf*>(data)) ? kNothingToDoMs : kTryAgainMs;
}

}  // namespace

ngx_int_t add_data_path(ngx_conf_t* cf, StoreConf* store) noexcept {
  auto* path = static_cast<ngx_path_t*>(ngx_pcalloc(cf->pool, sizeof(ngx_path_t)));
  if (path == nullptr) return NGX_ERROR;
  path->name = store->dir;
  path->manager = manage_store;
  path->data = store;
  path->conf_file = cf->conf_file->file.name.data;
  path->line = cf->conf_file->line;
  store->path = path;
  return ngx_add_path(cf, &store->path);
}

bool start_storage(StoreConf* store) noexcept {
  for (const auto& storage : running()) {
    if (&storage->region.header() == &store->region.header()) return true;
  }
  try {
    auto storage = std::make_unique<RunningStorage>(*store);
    running().reserve(running().size() + 1);
    storage->worker.start();
    running().push_back(std::move(storage));
    return true;
  } catch (const std::exception& error) {  // no memory, no thread
    ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                  "small_db_store \"%V\": storage does not start, trying again: %s", &store->name,
                  error.what());
    return false;
  }
}

void stop_all_storage() noexcept {
  for (const auto& storage : running()) storage->worker.stop();
  running().clear();
}

}  // namespace small_db
