// Work on a request that is too long for one turn of the event loop: a step at a time, for about a
// millisecond, then everybody else's events, then the next slice. A client that goes away ends it.
//
// Runs in a worker.
#pragma once

#include "ngx_module/nginx.h"

namespace small_db {

// A member of what the request's pool holds (request_context.h), so that it ends with the request.
class Slices {
 public:
  // Does a little of the work. True: there is more to do. False: the step has ended the work, by
  // answering the request or by leaving it to wait; the request may be gone.
  using Step = bool (*)(ngx_http_request_t* r) noexcept;

  Slices() noexcept = default;
  ~Slices() { stop(); }
  Slices(const Slices&) = delete;
  Slices& operator=(const Slices&) = delete;

  // Does the first slice, and posts the rest. REQUIRES: a reference to the request is held
  // (r->main->count), which whoever ends the work gives back.
  void start(ngx_http_request_t* r, Step step) noexcept;

 private:
  static void go_on(ngx_event_t* event) noexcept;
  static void pass_time(ngx_event_t* event) noexcept;

  void run() noexcept;
  void post() noexcept;
  void stop() noexcept;

  ngx_http_request_t* r_ = nullptr;
  Step step_ = nullptr;
  ngx_event_t next_{};
  ngx_event_t timer_{};
};

}  // namespace small_db
