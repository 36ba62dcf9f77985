// PUT and DELETE of a key: refuse what needs no body to be refused, read the body, submit, and
// leave the request to wait.

#include <unistd.h>

#include <new>
#include <optional>

#include "ngx_module/api/put_envelope.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"
#include "ngx_module/submission.h"

namespace small_db {
namespace {

// A write that has no outcome by then is answered: its owner is gone for longer than any takeover
// lasts.
constexpr ngx_msec_t kDeadlineMs = 30'000;

// A write from its header to its end. In the request's pool, whose cleanup cancels what is still
// under way and only then frees the value that the engine may be reading.
struct Write {
  explicit Write(ItemRequest from) noexcept : store(from.store), key(std::move(from.key)) {}
  ~Write() { cancel_wait(cookie); }

  StoreConf* store;
  std::string key;
  std::string value;
  uint64_t cookie = 0;
};

void destroy_write(void* data) noexcept { static_cast<Write*>(data)->~Write(); }

Write* make_write(ItemRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Write));
  if (cleanup == nullptr) return nullptr;
  Write* write = new (cleanup->data) Write(std::move(request));
  cleanup->handler = destroy_write;
  ngx_http_set_ctx(r, write, ngx_http_small_db_module);
  return write;
}

// Problems that are known before the body is read.
std::optional<Problem> refuse_early(const ngx_http_request_t* r, const StoreConf& store) noexcept {
  const auto& headers = r->headers_in;
  if (headers.if_match != nullptr || headers.if_none_match != nullptr ||
      headers.if_unmodified_since != nullptr) {
    return Problem{NGX_HTTP_NOT_IMPLEMENTED, "urn:small-db:problem:not-implemented",
                   "Not implemented", "this build has no conditional writes"};
  }
  const size_t bytes_max = put_envelope_bytes_max(store.max_value_size);
  if (r->method == NGX_HTTP_PUT && headers.content_length_n > static_cast<off_t>(bytes_max)) {
    return too_large("the body", static_cast<uint64_t>(headers.content_length_n), "max_value_size",
                     store.max_value_size);
  }
  return why_no_write(r, store);
}

// Appends a part that nginx spooled to its temporary file.
bool append_from_file(const ngx_buf_t& part, std::string* to) {
  const size_t start = to->size();
  const auto bytes = static_cast<size_t>(part.file_last - part.file_pos);
  to->resize(start + bytes);
  for (size_t done = 0; done < bytes;) {
    const ssize_t got = pread(part.file->fd, to->data() + start + done, bytes - done,
                              part.file_pos + static_cast<off_t>(done));
    if (got < 0 && ngx_errno == NGX_EINTR) continue;
    if (got <= 0) return false;
    done += static_cast<size_t>(got);
  }
  return true;
}

std::string_view in_memory(const ngx_buf_t& part) noexcept {
  return {reinterpret_cast<const char*>(part.pos), static_cast<size_t>(part.last - part.pos)};
}

// A body that nginx gathered, as one piece: where it is already, or gathered in `copy`. Nothing
// when the temporary file can't be read.
std::optional<std::string_view> whole_body(const ngx_http_request_t* r, std::string* copy) {
  const ngx_chain_t* chain = r->request_body == nullptr ? nullptr : r->request_body->bufs;
  if (chain == nullptr) return std::string_view();
  if (chain->next == nullptr && !chain->buf->in_file) return in_memory(*chain->buf);
  for (; chain != nullptr; chain = chain->next) {
    if (!chain->buf->in_file) {
      copy->append(in_memory(*chain->buf));
    } else if (!append_from_file(*chain->buf, copy)) {
      return std::nullopt;
    }
  }
  return std::string_view(*copy);
}

// The value that the body stands for, into write->value.
std::optional<Problem> read_value(const ngx_http_request_t* r, Write* write) noexcept {
  try {
    std::string copy;
    const std::optional<std::string_view> body = whole_body(r, &copy);
    if (!body) {
      ngx_log_error(NGX_LOG_ERR, r->connection->log, ngx_errno, "can't read the body back");
      return make_problem(ProblemKind::kInternal, {"the body could not be read back"});
    }
    return parse_put_envelope(*body, write->store->max_value_size, &write->value);
  } catch (const std::bad_alloc&) {
    return problem_of(Code::kOverloaded, "no memory for the body");
  }
}

Write* write_of(ngx_http_request_t* r) noexcept {
  return static_cast<Write*>(ngx_http_get_module_ctx(r, ngx_http_small_db_module));
}

Status submit_write(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept {
  const Write& write = *write_of(r);
  if (r->method == NGX_HTTP_DELETE) return client.erase(cookie, as_bytes(write.key));
  return client.put(cookie, as_bytes(write.key), as_bytes(write.value), 0);
}

constexpr WaitKind kWriteWait = {submit_write, send_write_outcome, nullptr, kDeadlineMs};

// nginx has read the body; it holds a reference to the request that the answer gives back.
void proceed_with_body(ngx_http_request_t* r) noexcept {
  Write* write = write_of(r);
  if (r->method == NGX_HTTP_PUT) {
    if (const auto problem = read_value(r, write)) {
      ngx_http_finalize_request(r, send_problem(r, *problem));
      return;
    }
  }
  submit_and_wait(r, *write->store, kWriteWait, &write->cookie);
}

}  // namespace

ngx_int_t handle_write(ItemRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  if (const auto problem = refuse_early(r, *request.store)) {
    const ngx_int_t discarded = ngx_http_discard_request_body(r);
    return discarded == NGX_OK ? send_problem(r, *problem) : discarded;
  }
  if (make_write(std::move(request)) == nullptr) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  const ngx_int_t reading = ngx_http_read_client_request_body(r, proceed_with_body);
  return reading >= NGX_HTTP_SPECIAL_RESPONSE ? reading : NGX_DONE;
}

}  // namespace small_db
