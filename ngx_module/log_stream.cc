#include "ngx_module/log_stream.h"

#include <algorithm>
#include <array>
#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "engine/platform/clock.h"
#include "engine/platform/posix_file_system.h"
#include "engine/replication/log_feed.h"
#include "engine/replication/stream.h"
#include "ngx_module/availability.h"
#include "ngx_module/node_headers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

constexpr std::string_view kContentType = "application/octet-stream";

// How often a stream looks without being woken, and says that it is alive.
constexpr ngx_msec_t kTickMs = 250;
constexpr uint64_t kAliveMs = 1000;
// How often a follower's state is compared with this node's.
constexpr uint64_t kStateEveryUs = 1'000'000;
// Where the event loop has no bells.
constexpr ngx_msec_t kTickWithoutBellsMs = 10;

// A long frame's room is given back.
constexpr size_t kKeptBytes = 4 * kStreamBufferBytes;

class LogStream;

// Those of this process. Each has its place until its request is freed.
std::vector<LogStream*>& streams() noexcept {
  static auto* list = new std::vector<LogStream*>();
  return *list;
}

// In the request's pool, whose cleanup destroys it.
class LogStream {
 public:
  LogStream(ngx_http_request_t* r, const StoreConf& store, const Hello& hello, uint64_t epoch,
            std::unique_ptr<Directory> directory)
      : r_(r),
        region_(store.region),
        store_(store),
        node_id_(hello.node_id),
        epoch_(epoch),
        directory_(std::move(directory)),
        feed_(*directory_, hello.revision) {
    streams().push_back(this);
    timer_.handler = [](ngx_event_t* event) noexcept { stream_of(event).tick(); };
    wake_.handler = [](ngx_event_t* event) noexcept { stream_of(event).resume(); };
    for (ngx_event_t* event : {&timer_, &wake_}) {
      event->data = this;
      event->log = r->connection->log;
    }
  }
  ~LogStream() {
    stop();
    const auto at = std::find(streams().begin(), streams().end(), this);
    if (at != streams().end()) streams().erase(at);
  }
  LogStream(const LogStream&) = delete;
  LogStream& operator=(const LogStream&) = delete;

  void start() noexcept {
    r_->read_event_handler = ngx_http_test_reading;
    r_->write_event_handler = write_handler;
    note_follower();
    arm_timer();
    wake();
  }

  // Has the stream look in the next turn of the event loop.
  void wake() noexcept {
    if (wake_.posted || is_stopped_) return;
    ngx_post_event(&wake_, &ngx_posted_next_events);
  }

  void end_now() noexcept {
    ngx_connection_t* c = r_->connection;
    if (r_->post_action) return stop();
    end(NGX_OK);
    ngx_http_run_posted_requests(c);
  }

  void forget() noexcept { stop(); }

 private:
  static LogStream& stream_of(ngx_event_t* event) noexcept {
    return *static_cast<LogStream*>(event->data);
  }

  static void write_handler(ngx_http_request_t* r) noexcept { context_of<LogStream>(r)->flush(); }

  void arm_timer() noexcept {
    const bool has_bells = (ngx_event_flags & NGX_USE_CLEAR_EVENT) != 0;
    ngx_add_timer(&timer_, has_bells ? kTickMs : kTickWithoutBellsMs);
  }

  void stop() noexcept {
    if (is_stopped_) return;
    is_stopped_ = true;
    if (is_last_of_store()) watch_log(false);
    if (timer_.timer_set) ngx_del_timer(&timer_);
    if (wake_.posted) {
      ngx_delete_posted_event(&wake_);
    }
  }

  // No other stream of this process sends this store's log.
  bool is_last_of_store() const noexcept {
    return std::none_of(streams().begin(), streams().end(), [this](const LogStream* other) {
      return other != this && !other->is_stopped_ && &other->region_.header() == &region_.header();
    });
  }

  // Said before each look, since this process may have another slot than at the last one.
  void watch_log(bool watches) noexcept {
    StoreClient* client = client_of(store_);
    if (client != nullptr) client->engine().watch_log(watches);
  }

  // From an event of the stream's own.
  void resume() noexcept {
    ngx_connection_t* c = r_->connection;
    ngx_http_set_log_request(c->log, r_);
    pump();
    ngx_http_run_posted_requests(c);
  }

  void tick() noexcept {
    note_follower();
    arm_timer();
    resume();
  }

  // The owner keeps the log that the follower still has to read.
  void note_follower() noexcept {
    const uint64_t now_us = system_clock().monotonic_us();
    FollowerState* follower = find_follower(region_.replication(), node_id_, now_us);
    if (follower == nullptr) return;
    follower->log_generation.store(feed_.generation(), std::memory_order_relaxed);
    follower->seen_us.store(now_us, std::memory_order_relaxed);
  }

  bool is_over() const noexcept {
    return ngx_exiting != 0 || ngx_terminate != 0 || is_set_aside(region_) ||
           region_.replication().epoch.load(std::memory_order_relaxed) != epoch_ ||
           why_no_reads(region_).has_value();
  }

  bool has_output() const noexcept {
    return is_sending_ && (r_->buffered || r_->postponed || r_->connection->buffered);
  }

  // Sends what there is. The last thing that any event does here: the request may be gone after it.
  void pump() noexcept {
    if (r_->post_action) return stop();
    if (is_over()) return end(has_output() && ngx_exiting ? NGX_ERROR : NGX_OK);
    if (has_output()) return;
    Result<bool> more = read_on();
    if (!more.is_ok()) return end_with(more.status());
    if (!out_.empty()) return send(more.value());
    if (more.value()) wake();
  }

  // Fills the buffer. Returns: true when there is more to read at once.
  Result<bool> read_on() noexcept {
    if (!failure_.is_ok()) return failure_;
    try {
      out_.clear();
      if (out_.capacity() > kKeptBytes) std::string().swap(out_);
      watch_log(true);
      // Pairs with the store behind the sync; in one order with what was just said.
      const uint64_t durable =
          region_.replication().durable_revision.load(std::memory_order_seq_cst);
      const uint64_t generation = feed_.generation();
      announce_state();
      Result<bool> more = feed_.step(durable, kStreamBufferBytes, &out_);
      if (!more.is_ok()) {
        if (out_.empty()) return more;
        failure_ = more.status();  // behind what there is
        return true;
      }
      if (feed_.generation() != generation) note_follower();
      const uint64_t now_ms = system_clock().wall_ms();
      if (now_ms < alive_ms_ || now_ms - alive_ms_ >= kAliveMs) put_alive(durable, now_ms);
      return more;
    } catch (const std::bad_alloc&) {
      return Status(Code::kNoMemory, "log stream: memory");
    }
  }

  // Now and then, what the follower's state must be.
  void announce_state() noexcept {
    const uint64_t now_us = system_clock().monotonic_us();
    if (now_us < next_state_us_) return;
    next_state_us_ = now_us + kStateEveryUs;
    StoreClient* client = client_of(store_);
    if (client == nullptr) return;
    const Result<Snapshot> snapshot = client->engine().snapshot();
    if (!snapshot.is_ok()) return;
    feed_.announce_state(snapshot.value().root().revision, snapshot.value().root().content);
  }

  void put_alive(uint64_t durable, uint64_t now_ms) {
    if (feed_.revision() > durable) return;
    std::array<std::byte, kAliveBodyBytes> body;
    encode_alive_body(bytes_behind(durable), body.data());
    StreamMessage message;
    message.type = StreamMessageType::kAlive;
    message.epoch = epoch_;
    message.first_revision = feed_.revision() + 1;
    message.durable_revision = durable;
    message.time_ms = now_ms;
    message.body = body;
    append_message(message, &out_);
    alive_ms_ = now_ms;
  }

  uint64_t bytes_behind(uint64_t durable) const noexcept {
    StoreClient* client = feed_.revision() == durable ? nullptr : client_of(store_);
    if (client == nullptr) return 0;
    const Result<Snapshot> snapshot = client->engine().snapshot();
    if (!snapshot.is_ok()) return 0;
    const LogPosition& end = snapshot.value().root().log;
    return feed_.bytes_behind(end.generation, end.end_offset);
  }

  // Two buffers take turns: nginx's filters may keep the former one in their lists for a while
  // after all of it has gone out.
  void send(bool more) noexcept {
    ngx_buf_t* buffer = &buffers_[next_buffer_];
    next_buffer_ = 1 - next_buffer_;
    *buffer = {};
    buffer->start = buffer->pos = reinterpret_cast<u_char*>(out_.data());
    buffer->end = buffer->last = buffer->pos + out_.size();
    buffer->memory = 1;
    buffer->flush = 1;
    buffer->last_in_chain = 1;
    ngx_chain_t chain = {buffer, nullptr};
    is_sending_ = true;
    if (ngx_http_output_filter(r_, &chain) == NGX_ERROR) return end(NGX_ERROR);
    if (has_output()) return await_socket();
    is_sending_ = false;
    if (more) wake();
  }

  // The socket takes more.
  void flush() noexcept {
    ngx_event_t* event = r_->connection->write;
    if (event->timedout) {
      r_->connection->timedout = 1;
      ngx_log_error(NGX_LOG_INFO, r_->connection->log, NGX_ETIMEDOUT,
                    "small_db: a follower does not read its log");
      return end(NGX_HTTP_REQUEST_TIME_OUT);
    }
    if (event->delayed) return await_socket();
    if (!has_output()) {
      if (event->timer_set) ngx_del_timer(event);
      return;
    }
    if (ngx_http_output_filter(r_, nullptr) == NGX_ERROR) return end(NGX_ERROR);
    if (has_output()) return await_socket();
    is_sending_ = false;
    if (event->timer_set) ngx_del_timer(event);
    wake();
  }

  void await_socket() noexcept {
    auto* core = static_cast<ngx_http_core_loc_conf_t*>(
        ngx_http_get_module_loc_conf(r_, ngx_http_core_module));
    ngx_event_t* event = r_->connection->write;
    if (!event->delayed) ngx_add_timer(event, core->send_timeout);
    if (ngx_handle_write_event(event, core->send_lowat) != NGX_OK) end(NGX_ERROR);
  }

  void end_with(const Status& status) noexcept {
    // The log was removed: the follower asks again, and is told so.
    if (status.code() != Code::kNotFound) {
      ngx_log_error(NGX_LOG_ERR, r_->connection->log, status.error_number(),
                    "small_db_store \"%V\": the log can't be sent from revision %uL on: %s: %s",
                    &store_.name, feed_.revision() + 1, status.site(), code_name(status.code()));
    }
    end(NGX_OK);
  }

  // rc: NGX_OK ends the answer in order; anything else ends the connection.
  void end(ngx_int_t rc) noexcept {
    stop();
    ngx_http_request_t* r = r_;
    ngx_http_finalize_request(r, rc == NGX_OK ? ngx_http_send_special(r, NGX_HTTP_LAST) : rc);
  }

  ngx_http_request_t* const r_;
  const Region region_;
  const StoreConf& store_;
  const Uid node_id_;
  const uint64_t epoch_;
  std::unique_ptr<Directory> directory_;
  LogFeed feed_;
  ngx_event_t timer_{};
  ngx_event_t wake_{};
  std::string out_;  // what the buffer in use shows
  std::array<ngx_buf_t, 2> buffers_{};
  size_t next_buffer_ = 0;
  uint64_t next_state_us_ = 0;
  uint64_t alive_ms_ = 0;
  Status failure_;  // of the feed
  bool is_sending_ = false;
  bool is_stopped_ = false;
};

LogStream* make_stream(ngx_http_request_t* r, const StoreConf& store, const NodeIdentity& node,
                       const Hello& hello) noexcept {
  try {
    Result<std::unique_ptr<PosixDirectory>> directory =
        PosixDirectory::open(std::string(text_of(store.dir)));
    if (!directory.is_ok()) {
      ngx_log_error(NGX_LOG_ERR, r->connection->log, directory.status().error_number(),
                    "small_db: can't open \"%V\"", &store.dir);
      return nullptr;
    }
    streams().reserve(streams().size() + 1);
    return make_context<LogStream>(r, r, store, hello, node.epoch, std::move(directory).value());
  } catch (const std::bad_alloc&) {
    return nullptr;
  }
}

// An answer that no filter holds back or changes.
ngx_int_t send_head(ngx_http_request_t* r) noexcept {
  r->headers_out.status = NGX_HTTP_OK;
  r->headers_out.content_length_n = -1;
  r->headers_out.content_type = ngx_text(kContentType);
  r->headers_out.content_type_len = kContentType.size();
  r->headers_out.content_type_lowcase = nullptr;
  r->disable_not_modified = 1;
#if (NGX_HTTP_GZIP)
  r->gzip_tested = 1;
  r->gzip_ok = 0;
#endif
  if (add_header(r, "Cache-Control", "no-store, no-transform") != NGX_OK) return NGX_ERROR;
  return ngx_http_send_header(r);
}

}  // namespace

ngx_int_t start_log_stream(ngx_http_request_t* r, const StoreConf& store, const NodeIdentity& node,
                           const Hello& hello) noexcept {
  if (r->method == NGX_HTTP_HEAD) return send_head(r);
  LogStream* stream = make_stream(r, store, node, hello);
  if (stream == nullptr) return send_refusal(r, Code::kOverloaded);
  // A message goes out when it is there, however short.
  if (r->connection->tcp_nodelay == NGX_TCP_NODELAY_UNSET) ngx_tcp_nodelay(r->connection);
  const ngx_int_t sent = send_head(r);
  if (sent == NGX_ERROR || sent > NGX_OK || r->header_only) return sent;
  r->main->count++;
  stream->start();
  return NGX_DONE;
}

void wake_log_streams() noexcept {
  for (LogStream* stream : streams()) stream->wake();
}

void end_log_streams() noexcept {
  const std::vector<LogStream*> all = streams();
  for (LogStream* stream : all) stream->end_now();
}

void forget_log_streams() noexcept {
  for (LogStream* stream : streams()) stream->forget();
}

}  // namespace small_db
