#include "ngx_module/store_client.h"

#include <new>

#include "ngx_module/waiting.h"

namespace small_db {

// The storage process is woken at the end of a turn of the event loop, by when all requests that
// had come are submitted. Woken by the first, it would take the processor from this worker where
// they share one, and commit that request alone.
StoreClient::StoreClient(std::unique_ptr<Client> client) : client_(std::move(client)) {
  wake_event_.data = this;
  wake_event_.handler = wake_owner;
  wake_event_.log = ngx_cycle->log;
  client_->wake_owner_later([this] { ngx_post_event(&wake_event_, &ngx_posted_events); });
}

StoreClient::~StoreClient() {
  if (wake_event_.posted) {
    ngx_delete_posted_event(&wake_event_);  // a macro of two statements
  }
}

void StoreClient::wake_owner(ngx_event_t* event) noexcept {
  static_cast<StoreClient*>(event->data)->client_->wake_owner();
}

Status StoreClient::submit(uint64_t cookie) noexcept {
  if (is_full()) return {Code::kOverloaded, "store client: queue"};
  if (queue_.empty()) {
    const Status status = submit_waiting(cookie);
    if (status.code() != Code::kOverloaded) return status;
  }
  try {
    queue_.push_back(cookie);
  } catch (const std::bad_alloc&) {
    return {Code::kOverloaded, "store client: memory"};
  }
  return Status::ok();
}

void StoreClient::submit_queued() noexcept {
  while (!queue_.empty()) {
    const uint64_t cookie = queue_.front();
    const Status status = submit_waiting(cookie);
    if (status.code() == Code::kOverloaded) return;  // the bell rings when there is room
    queue_.pop_front();
    if (!status.is_ok()) answer_wait({cookie, status.code(), 0});
  }
}

// A long value that was on its way when the storage process was replaced: the new owner has not
// seen its beginning, so nothing was done, and the whole of it is still here.
bool StoreClient::can_go_on(const WriteOutcome& outcome) noexcept {
  return outcome.code == Code::kUnavailable && submit(outcome.cookie).is_ok();
}

// A store in such a state answers nobody any more. One that is refused died before, maybe between
// a commit and its answers.
void StoreClient::give_up(StoreState state) noexcept {
  if (state == StoreState::kHandedOver) end_waits(*client_, Code::kUnavailable);
  if (state == StoreState::kRefused) end_waits(*client_, Code::kOutcomeUnknown);
}

void StoreClient::drain() noexcept {
  WriteOutcome outcome;
  do {
    // Before the outcomes: those that were given before the state was entered count.
    const StoreState state = client_->state();
    while (client_->poll(&outcome)) {
      if (!can_go_on(outcome)) answer_wait(outcome);
    }
    submit_queued();
    give_up(state);
  } while (!client_->prepare_sleep());
}

}  // namespace small_db
