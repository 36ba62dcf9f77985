#include "ngx_module/slices.h"

#include <chrono>

namespace small_db {
namespace {

using SteadyClock = std::chrono::steady_clock;

constexpr std::chrono::microseconds kSlice{1000};

// A worker that drains ends when no timer is left: this one says that work is. It does nothing.
constexpr ngx_msec_t kStillHereMs = 60'000;

}  // namespace

void Slices::start(ngx_http_request_t* r, Step step) noexcept {
  r->read_event_handler = ngx_http_test_reading;
  r->write_event_handler = ngx_http_request_empty_handler;
  r_ = r;
  step_ = step;
  run();
}

// Nothing of this object may be touched after a step that has ended the work.
void Slices::run() noexcept {
  const SteadyClock::time_point end = SteadyClock::now() + kSlice;
  ngx_http_request_t* const r = r_;
  const Step step = step_;
  for (;;) {
    if (!step(r)) return;
    if (SteadyClock::now() >= end) return post();
  }
}

void Slices::post() noexcept {
  next_.handler = go_on;
  next_.data = this;
  next_.log = r_->connection->log;
  ngx_post_event(&next_, &ngx_posted_next_events);
  if (timer_.timer_set) return;
  timer_.handler = pass_time;
  timer_.data = this;
  timer_.log = r_->connection->log;
  ngx_add_timer(&timer_, kStillHereMs);
}

void Slices::go_on(ngx_event_t* event) noexcept {
  auto* slices = static_cast<Slices*>(event->data);
  ngx_connection_t* c = slices->r_->connection;
  ngx_http_set_log_request(c->log, slices->r_);
  slices->run();
  ngx_http_run_posted_requests(c);
}

void Slices::pass_time(ngx_event_t* event) noexcept { ngx_add_timer(event, kStillHereMs); }

void Slices::stop() noexcept {
  if (next_.posted) {
    ngx_delete_posted_event(&next_);  // a macro of several statements
  }
  if (timer_.timer_set) ngx_del_timer(&timer_);
}

}  // namespace small_db
