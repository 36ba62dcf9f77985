#include "ngx_module/body.h"

#include <unistd.h>

#include <algorithm>

namespace small_db {
namespace {

size_t piece_bytes(const ngx_buf_t& piece) noexcept {
  return static_cast<size_t>(piece.in_file ? piece.file_last - piece.file_pos
                                           : piece.last - piece.pos);
}

}  // namespace

ngx_int_t read_body(ngx_http_request_t* r, ngx_http_client_body_handler_pt proceed) noexcept {
  const ngx_int_t reading = ngx_http_read_client_request_body(r, proceed);
  return reading >= NGX_HTTP_SPECIAL_RESPONSE ? reading : NGX_DONE;
}

BodyReader::BodyReader(const ngx_http_request_t* r) noexcept
    : r_(r), chain_(r->request_body == nullptr ? nullptr : r->request_body->bufs) {
  begin_piece();
}

// Passes by pieces that are empty or read.
void BodyReader::begin_piece() noexcept {
  while (chain_ != nullptr && left() == 0) {
    chain_ = chain_->next;
    done_ = 0;
  }
}

size_t BodyReader::left() const noexcept { return piece_bytes(*chain_->buf) - done_; }

size_t BodyReader::bytes_left() const noexcept {
  size_t bytes = 0;
  for (const ngx_chain_t* each = chain_; each != nullptr; each = each->next) {
    bytes += piece_bytes(*each->buf);
  }
  return bytes - done_;
}

bool BodyReader::append_to(std::string* to, size_t bytes_max) {
  while (chain_ != nullptr && bytes_max != 0) {
    const size_t bytes = std::min(left(), bytes_max);
    if (chain_->buf->in_file) {
      if (!append_from_file(bytes, to)) return false;
    } else {
      to->append(reinterpret_cast<const char*>(chain_->buf->pos) + done_, bytes);
    }
    done_ += bytes;
    bytes_max -= bytes;
    begin_piece();
  }
  return true;
}

bool BodyReader::append_from_file(size_t bytes, std::string* to) {
  const ngx_buf_t& piece = *chain_->buf;
  const size_t start = to->size();
  to->resize(start + bytes);
  for (size_t got = 0; got < bytes;) {
    const ssize_t count = pread(piece.file->fd, to->data() + start + got, bytes - got,
                                piece.file_pos + static_cast<off_t>(done_ + got));
    if (count < 0 && ngx_errno == NGX_EINTR) continue;
    if (count <= 0) {
      ngx_log_error(NGX_LOG_ERR, r_->connection->log, ngx_errno, "can't read the body back");
      return false;
    }
    got += static_cast<size_t>(count);
  }
  return true;
}

std::optional<std::string_view> BodyReader::in_one_piece() const noexcept {
  if (chain_ == nullptr) return std::string_view();
  if (chain_->next != nullptr || chain_->buf->in_file) return std::nullopt;
  return std::string_view(reinterpret_cast<const char*>(chain_->buf->pos) + done_, left());
}

Problem unreadable_body() noexcept {
  return make_problem(ProblemKind::kInternal, {"the body could not be read back"});
}

}  // namespace small_db
