// A request's body, as nginx gathered it: pieces in memory, and what was too long for
// client_body_buffer_size in a temporary file. Runs in a worker.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "ngx_module/api/problem.h"
#include "ngx_module/nginx.h"

namespace small_db {

// Has nginx read the body, then calls `proceed` with a reference to the request held
// (r->main->count). Returns what a content handler returns.
ngx_int_t read_body(ngx_http_request_t* r, ngx_http_client_body_handler_pt proceed) noexcept;

// Reads the body from its start to its end. REQUIRES: nginx has read all of it.
class BodyReader {
 public:
  explicit BodyReader(const ngx_http_request_t* r) noexcept;

  bool is_at_end() const noexcept { return chain_ == nullptr; }
  size_t bytes_left() const noexcept;

  // Appends the next bytes, at most `bytes_max` of them. False when the temporary file can't be
  // read; that is in the log then. May throw std::bad_alloc.
  [[nodiscard]] bool append_to(std::string* to, size_t bytes_max);

  // What is left of the body if it lies in memory in one piece, without reading it.
  std::optional<std::string_view> in_one_piece() const noexcept;

 private:
  bool append_from_file(size_t bytes, std::string* to);
  void begin_piece() noexcept;
  size_t left() const noexcept;

  const ngx_http_request_t* r_;
  const ngx_chain_t* chain_;
  size_t done_ = 0;  // of the piece
};

// The answer where a body can't be read back.
Problem unreadable_body() noexcept;

}  // namespace small_db
