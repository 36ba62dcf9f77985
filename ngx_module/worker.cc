#include "ngx_module/worker.h"

#include <algorithm>
#include <memory>
#include <new>
#include <vector>

#include "ngx_module/api/held_snapshot.h"
#include "ngx_module/bells.h"
#include "ngx_module/log_stream.h"
#include "ngx_module/storage_process.h"
#include "ngx_module/waiting.h"

namespace small_db {
namespace {

// A store as this process uses it. The region tells which one it is: configurations come and go
// with reloads, a region stays.
struct Attachment {
  Region region;
  std::unique_ptr<StoreClient> client;  // nullptr: it was given up, and no slot was free
};

enum class ProcessState : uint8_t {
  kOutside,  // the master, a helper, or before init_process
  kActive,
  kOff,  // nginx is not the one that this module was built for
};
ProcessState process_state = ProcessState::kOutside;

// How soon outcomes are looked for where the event loop has no edge-triggered events (poll, select)
// and so no bells.
constexpr ngx_msec_t kPollIntervalMs = 5;
ngx_event_t poll_timer;

std::vector<Attachment>& attachments() noexcept {
  static auto* list = new std::vector<Attachment>();
  return *list;
}

bool has_bells() noexcept { return (ngx_event_flags & NGX_USE_CLEAR_EVENT) != 0; }

void renew(Attachment* attachment) noexcept;

void drain_all() noexcept {
  for (Attachment& attachment : attachments()) {
    if (attachment.client == nullptr) continue;
    attachment.client->drain();
    if (attachment.client->is_abandoned()) renew(&attachment);
  }
}

void hear_bell(ngx_event_t*) noexcept {
  drain_all();
  wake_log_streams();
}

// Lets the slot go with the requests in its rings: they were answered "not done", and an owner that
// takes the region over after all (a master whose binary was to be replaced has been told to go on)
// must not find them. Reads need a slot.
void renew(Attachment* attachment) noexcept {
  if (attachment->client != nullptr) take_back_snapshots(&attachment->client->engine());
  attachment->client.reset();
  Result<std::unique_ptr<Client>> client = Client::attach(attachment->region);
  if (!client.is_ok()) return;
  if (has_bells() && listen_to_bell(client.value()->slot(), hear_bell) != NGX_OK) return;
  attachment->client.reset(new (std::nothrow) StoreClient(std::move(client).value()));
}

void poll_outcomes(ngx_event_t*) noexcept {
  drain_all();
  expect_outcomes();
}

// An nginx of the same version and signature may have other structures: Debian's has one bit more
// in ngx_connection_t, and a module built for the other reads `reusable` as `close`. nginx itself
// sets a bit here, and we look where it went.
bool connection_layout_matches() noexcept {
  struct {
    ngx_connection_t connection;
    std::byte room_for_a_longer_one[sizeof(ngx_connection_t)];
  } probe{};
  probe.connection.fd = -1;
  probe.connection.log = ngx_cycle->log;
  ngx_reusable_connection(&probe.connection, 1);
  const bool matches =
      probe.connection.reusable && !probe.connection.close && !probe.connection.idle;
  ngx_reusable_connection(&probe.connection, 0);
  return matches;
}

// Claims a slot of the store's region for this process.
StoreClient* make_attachment(const StoreConf& store) noexcept {
  try {
    Result<std::unique_ptr<Client>> client = Client::attach(store.region);
    if (!client.is_ok()) {
      ngx_log_error(NGX_LOG_ERR, ngx_cycle->log, 0,
                    "small_db_store \"%V\": this process can't attach: %s: %s", &store.name,
                    client.status().site(), code_name(client.status().code()));
      return nullptr;
    }
    attachments().push_back(
        {store.region, std::make_unique<StoreClient>(std::move(client).value())});
    return attachments().back().client.get();
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

StoreClient* attach(const StoreConf& store) noexcept {
  StoreClient* client = make_attachment(store);
  if (client == nullptr || !has_bells()) return client;
  if (listen_to_bell(client->engine().slot(), hear_bell) != NGX_OK) {
    attachments().pop_back();
    return nullptr;
  }
  client->drain();
  return client;
}

void let_stores_go() noexcept {
  stop_all_storage();  // none runs in a worker
  take_back_snapshots(nullptr);
  attachments().clear();
}

bool has_this_module(const ngx_cycle_t* cycle) noexcept {
  if (cycle == nullptr || cycle->conf_ctx == nullptr) return false;
  for (size_t i = 0; cycle->modules[i] != nullptr; ++i) {
    if (cycle->modules[i] == &ngx_http_small_db_module) return true;
  }
  return false;
}

bool uses(std::span<StoreConf* const> stores, const Region& region) noexcept {
  return std::any_of(stores.begin(), stores.end(), [&](const StoreConf* store) {
    return &store->region.header() == &region.header();
  });
}

// Tells each region whether the configuration that is now in force goes on with it.
void tell_regions(const ngx_cycle_t* cycle) noexcept {
  const std::span<StoreConf*> stores = stores_of(cycle);
  if (has_this_module(cycle->old_cycle)) {
    for (StoreConf* former : stores_of(cycle->old_cycle)) {
      if (uses(stores, former->region)) continue;
      former->region.header().configuration.store(kNoConfiguration, std::memory_order_release);
    }
  }
  for (StoreConf* store : stores) {
    std::atomic<uint32_t>& number = store->region.header().configuration;
    store->configuration = number.fetch_add(1, std::memory_order_acq_rel) + 1;
  }
}

}  // namespace

// nginx calls it when nothing can make a reload fail any more, and before it unmaps what the new
// configuration lacks.
ngx_int_t init_module(ngx_cycle_t* cycle) noexcept {
  if (process_state != ProcessState::kActive) {
    tell_regions(cycle);
    return NGX_OK;
  }
  // A reload with `master_process off`, after which nginx itself serves no connection any more; it
  // is about to unmap the zones that the new configuration lacks.
  ngx_log_error(NGX_LOG_WARN, cycle->log, 0,
                "small_db: with master_process off, stores end at a reload: restart nginx");
  abort_waits();
  end_log_streams();
  let_stores_go();
  process_state = ProcessState::kOff;
  return NGX_OK;
}

ngx_int_t init_process(ngx_cycle_t* cycle) noexcept {
  if (ngx_process != NGX_PROCESS_WORKER && ngx_process != NGX_PROCESS_SINGLE) return NGX_OK;
  const std::span<StoreConf*> stores = stores_of(cycle);
  if (!connection_layout_matches()) {
    process_state = ProcessState::kOff;
    if (!stores.empty()) {
      ngx_log_error(NGX_LOG_EMERG, cycle->log, 0,
                    "ngx_http_small_db_module was built for another nginx than this one (its "
                    "structures differ): its locations answer 503");
    }
    return NGX_OK;
  }
  process_state = ProcessState::kActive;
  for (StoreConf* store : stores) {
    if (ngx_process == NGX_PROCESS_SINGLE) start_storage(store);
    attach(*store);
  }
  return NGX_OK;
}

void exit_process(ngx_cycle_t*) noexcept {
  forget_log_streams();
  let_stores_go();
  process_state = ProcessState::kOutside;
}

StoreClient* client_of(const StoreConf& store) noexcept {
  if (process_state != ProcessState::kActive) return nullptr;
  for (const Attachment& attachment : attachments()) {
    if (&attachment.region.header() == &store.region.header()) return attachment.client.get();
  }
  // A former cycle's region may be unmapped by now.
  return store.cycle == ngx_cycle ? attach(store) : nullptr;
}

void expect_outcomes() noexcept {
  if (has_bells() || poll_timer.timer_set || !anyone_waits()) return;
  poll_timer.handler = poll_outcomes;
  poll_timer.log = ngx_cycle->log;
  poll_timer.data = ngx_cycle->connections;  // for debug lines
  ngx_add_timer(&poll_timer, kPollIntervalMs);
}

}  // namespace small_db
