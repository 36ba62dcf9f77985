#include "ngx_module/waiting.h"

#include <algorithm>
#include <new>
#include <vector>

namespace small_db {
namespace {

constexpr ngx_msec_t kTickMs = 1000;

struct Wait {
  uint64_t cookie = 0;  // generation << 32 | index; 0: free
  ngx_http_request_t* r = nullptr;
  Client* client = nullptr;
  const WaitKind* kind = nullptr;
  ngx_msec_t deadline_ms = 0;  // by ngx_current_msec, which wraps round
};

class WaitTable {
 public:
  WaitTable() noexcept;
  // nullptr when there is no memory.
  Wait* open() noexcept;
  Wait* find(uint64_t cookie) noexcept;  // nullptr: it is over
  void close(Wait* wait) noexcept;
  size_t open_count() const noexcept { return waits_.size() - free_.size(); }
  const std::vector<Wait*>& all() const noexcept { return waits_; }

 private:
  static uint32_t index_of(uint64_t cookie) noexcept { return static_cast<uint32_t>(cookie); }
  static void pass_time(ngx_event_t* event) noexcept;
  void set_timer() noexcept;

  std::vector<Wait*> waits_;
  std::vector<uint32_t> free_;  // has room for every index, so that close() needs no memory
  uint32_t next_generation_ = 1;
  ngx_event_t timer_{};  // set while a request waits, and up to a tick longer
};

WaitTable::WaitTable() noexcept {
  timer_.handler = pass_time;
  timer_.data = this;
}

// With the log of the configuration in force: without a master process, a reload makes another.
void WaitTable::set_timer() noexcept {
  timer_.log = ngx_cycle->log;
  ngx_add_timer(&timer_, kTickMs);
}

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
  timer_.cancelable = 0;
  if (!timer_.timer_set) set_timer();
  return waits_[index];
}

Wait* WaitTable::find(uint64_t cookie) noexcept {
  const uint32_t index = index_of(cookie);
  if (cookie == 0 || index >= waits_.size() || waits_[index]->cookie != cookie) return nullptr;
  return waits_[index];
}

void WaitTable::close(Wait* wait) noexcept {
  free_.push_back(index_of(wait->cookie));
  wait->cookie = 0;
  wait->r = nullptr;
  wait->client = nullptr;
  timer_.cancelable = open_count() == 0;
}

WaitTable& table() noexcept {
  static auto* waits = new WaitTable();
  return *waits;
}

// What is known of a write whose outcome nobody told.
WriteOutcome without_answer(Code code) noexcept {
  WriteOutcome outcome;
  outcome.code = code;
  return outcome;
}

// Ends the wait with an answer.
void finish(Wait* wait, const WriteOutcome& outcome) noexcept {
  ngx_http_request_t* r = wait->r;
  ngx_connection_t* c = r->connection;
  const WaitKind& kind = *wait->kind;
  table().close(wait);
  // The client went away and nginx runs post_action: the request is no longer ours to answer.
  if (r->post_action) return;
  ngx_http_set_log_request(c->log, r);
  ngx_http_finalize_request(r, kind.answer(r, outcome));
  ngx_http_run_posted_requests(c);
}

bool is_over(const Wait& wait) noexcept {
  if (static_cast<ngx_msec_int_t>(wait.deadline_ms - ngx_current_msec) <= 0) return true;
  return wait.kind->is_lost != nullptr && wait.kind->is_lost(wait.r);
}

void WaitTable::pass_time(ngx_event_t* event) noexcept {
  auto* table = static_cast<WaitTable*>(event->data);
  // By index: an answer may run what opens new waits.
  for (size_t i = 0; i < table->waits_.size(); ++i) {
    Wait* wait = table->waits_[i];
    if (wait->cookie == 0 || !is_over(*wait)) continue;
    wait->client->cancel(wait->cookie);
    finish(wait, without_answer(Code::kOutcomeUnknown));
  }
  if (table->open_count() != 0 && !event->timer_set) table->set_timer();
}

}  // namespace

uint64_t open_wait(ngx_http_request_t* r, Client* client, const WaitKind& kind) noexcept {
  Wait* wait = table().open();
  if (wait == nullptr) return 0;
  wait->r = r;
  wait->client = client;
  wait->kind = &kind;
  wait->deadline_ms = ngx_current_msec + kind.deadline_ms;
  return wait->cookie;
}

Status submit_waiting(uint64_t cookie) noexcept {
  const Wait* wait = table().find(cookie);
  return wait == nullptr ? Status::ok() : wait->kind->submit(wait->r, *wait->client, cookie);
}

void start_wait(ngx_http_request_t* r) noexcept {
  r->read_event_handler = ngx_http_test_reading;
  r->write_event_handler = ngx_http_request_empty_handler;
}

void cancel_wait(uint64_t cookie) noexcept {
  Wait* wait = table().find(cookie);
  if (wait == nullptr) return;
  wait->client->cancel(cookie);
  table().close(wait);
}

void answer_wait(const WriteOutcome& outcome) noexcept {
  Wait* wait = table().find(outcome.cookie);
  if (wait != nullptr) finish(wait, outcome);
}

void end_waits(const Client& client, Code code) noexcept {
  // By index: an answer may run what opens new waits.
  for (size_t i = 0; i < table().all().size(); ++i) {
    Wait* wait = table().all()[i];
    if (wait->cookie == 0 || wait->client != &client) continue;
    wait->client->cancel(wait->cookie);
    finish(wait, without_answer(code));
  }
}

void abort_waits() noexcept {
  // By index: an answer may run what opens new waits.
  for (size_t i = 0; i < table().all().size(); ++i) {
    Wait* wait = table().all()[i];
    if (wait->cookie != 0) finish(wait, without_answer(Code::kOutcomeUnknown));
  }
}

bool anyone_waits() noexcept { return table().open_count() != 0; }

}  // namespace small_db
