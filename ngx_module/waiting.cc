#include "ngx_module/waiting.h"

#include <new>
#include <vector>

#include "ngx_module/response.h"

namespace small_db {
namespace {

// A write that has no outcome by then is answered: its owner is gone for longer than any takeover
// lasts.
constexpr ngx_msec_t kDeadlineMs = 30'000;

struct Wait {
  uint64_t cookie = 0;  // generation << 32 | index; 0: free
  ngx_http_request_t* r = nullptr;
  Client* client = nullptr;
  ngx_event_t deadline{};  // its address must stay
};

class WaitTable {
 public:
  // nullptr when there is no memory.
  Wait* open() noexcept;
  Wait* find(uint64_t cookie) noexcept;  // nullptr: it is over
  void close(Wait* wait) noexcept;
  size_t open_count() const noexcept { return waits_.size() - free_.size(); }
  const std::vector<Wait*>& all() const noexcept { return waits_; }

 private:
  static uint32_t index_of(uint64_t cookie) noexcept { return static_cast<uint32_t>(cookie); }

  std::vector<Wait*> waits_;
  std::vector<uint32_t> free_;  // has room for every index, so that close() needs no memory
  uint32_t next_generation_ = 1;
};

Wait* WaitTable::open() noexcept {
  if (free_.empty()) {
    Wait* wait = new (std::nothrow) Wait();
    if (wait == nullptr) return nullptr;
    try {
      free_.reserve(waits_.size() + 1);
      waits_.push_back(wait);
    } catch (const std::bad_alloc&) {
      delete wait;
      return nullptr;
    }
    free_.push_back(static_cast<uint32_t>(waits_.size() - 1));
  }
  const uint32_t index = free_.back();
  free_.pop_back();
  if (next_generation_ == 0) next_generation_ = 1;
  waits_[index]->cookie = static_cast<uint64_t>(next_generation_++) << 32 | index;
  return waits_[index];
}

Wait* WaitTable::find(uint64_t cookie) noexcept {
  const uint32_t index = index_of(cookie);
  if (cookie == 0 || index >= waits_.size() || waits_[index]->cookie != cookie) return nullptr;
  return waits_[index];
}

void WaitTable::close(Wait* wait) noexcept {
  if (wait->deadline.timer_set) ngx_del_timer(&wait->deadline);
  free_.push_back(index_of(wait->cookie));
  wait->cookie = 0;
  wait->r = nullptr;
  wait->client = nullptr;
}

WaitTable& table() noexcept {
  static auto* waits = new WaitTable();
  return *waits;
}

// Ends the wait with an answer.
void finish(Wait* wait, Code code) noexcept {
  ngx_http_request_t* r = wait->r;
  ngx_connection_t* c = r->connection;
  table().close(wait);
  // The client went away and nginx runs post_action: the request is no longer ours to answer.
  if (r->post_action) return;
  ngx_http_set_log_request(c->log, r);
  ngx_http_finalize_request(r, send_write_outcome(r, code));
  ngx_http_run_posted_requests(c);
}

void pass_deadline(ngx_event_t* event) noexcept {
  auto* wait = static_cast<Wait*>(event->data);
  wait->client->cancel(wait->cookie);
  finish(wait, Code::kOutcomeUnknown);
}

}  // namespace

uint64_t open_wait(ngx_http_request_t* r, Client* client) noexcept {
  Wait* wait = table().open();
  if (wait == nullptr) return 0;
  wait->r = r;
  wait->client = client;
  return wait->cookie;
}

ngx_http_request_t* waiting_request(uint64_t cookie) noexcept {
  const Wait* wait = table().find(cookie);
  return wait == nullptr ? nullptr : wait->r;
}

void start_wait(ngx_http_request_t* r, uint64_t cookie) noexcept {
  r->read_event_handler = ngx_http_test_reading;
  r->write_event_handler = ngx_http_request_empty_handler;
  Wait* wait = table().find(cookie);
  wait->deadline = {};
  wait->deadline.handler = pass_deadline;
  wait->deadline.data = wait;
  wait->deadline.log = r->connection->log;
  ngx_add_timer(&wait->deadline, kDeadlineMs);
}

void cancel_wait(uint64_t cookie) noexcept {
  Wait* wait = table().find(cookie);
  if (wait == nullptr) return;
  wait->client->cancel(cookie);
  table().close(wait);
}

void answer_wait(const WriteOutcome& outcome) noexcept {
  Wait* wait = table().find(outcome.cookie);
  if (wait != nullptr) finish(wait, outcome.code);
}

void abort_waits() noexcept {
  // By index: an answer may run what opens new waits.
  for (size_t i = 0; i < table().all().size(); ++i) {
    Wait* wait = table().all()[i];
    if (wait->cookie != 0) finish(wait, Code::kOutcomeUnknown);
  }
}

bool anyone_waits() noexcept { return table().open_count() != 0; }

}  // namespace small_db
