// A store's client in this worker, and the requests that found no room in its ring: they wait here
// in the order in which they came. The ring of a small store is short, and a long value that is
// being streamed fills it; a few requests at a time are no overload. Only a long queue is.
//
// Runs in the worker's event loop.
#pragma once

#include <deque>
#include <memory>

#include "engine/client/client.h"
#include "ngx_module/nginx.h"

namespace small_db {

class StoreClient {
 public:
  explicit StoreClient(std::unique_ptr<Client> client);
  ~StoreClient();
  StoreClient(const StoreClient&) = delete;
  StoreClient& operator=(const StoreClient&) = delete;

  Client& engine() noexcept { return *client_; }

  // True when a request should be refused before its body is read.
  bool is_full() const noexcept { return queue_.size() >= kQueueMax; }

  // True when requests in its rings were given up: nobody will ever answer them.
  bool is_abandoned() const noexcept {
    return client_->state() == StoreState::kHandedOver && client_->in_flight() != 0;
  }

  // Submits the request that waits under `cookie`, now or as soon as there is room. Errors: as of
  // Client::put; kOverloaded when too many wait already. Nothing was submitted then.
  Status submit(uint64_t cookie) noexcept;

  // Takes outcomes, answers their requests, submits what there is room for, until the bell has
  // been asked for.
  void drain() noexcept;

 private:
  static constexpr size_t kQueueMax = 1024;

  static void wake_owner(ngx_event_t* event) noexcept;
  void submit_queued() noexcept;
  void give_up(StoreState state) noexcept;
  // Submits the request once more when its outcome says that nothing was done and the store serves
  // again. False: the outcome is what its client gets.
  bool can_go_on(const WriteOutcome& outcome) noexcept;

  std::unique_ptr<Client> client_;
  ngx_event_t wake_event_{};    // posted: the owner is woken at the end of this turn of the loop
  std::deque<uint64_t> queue_;  // cookies
};

}  // namespace small_db
