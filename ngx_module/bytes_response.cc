#include "ngx_module/bytes_response.h"

#include "ngx_module/response.h"

namespace small_db {
namespace {

constexpr std::string_view kContentType = "application/octet-stream";

ngx_int_t add_safety_headers(ngx_http_request_t* r) noexcept {
  if (add_header(r, "X-Content-Type-Options", "nosniff") != NGX_OK) return NGX_ERROR;
  return add_header(r, "Content-Security-Policy", "sandbox");
}

// Where the headers of an answer end that filters are about to add to.
struct HeadersMark {
  explicit HeadersMark(const ngx_http_request_t* r) noexcept
      : part(r->headers_out.headers.last), count(part->nelts) {}
  ngx_list_part_t* part;
  ngx_uint_t count;
};

// Takes back what filters added for the answer that is not sent: they will add to the next one.
// Content-Range stays, being what the filter for ranges answers with.
void take_back_headers(ngx_http_request_t* r, const HeadersMark& mark) noexcept {
  ngx_uint_t i = mark.count;
  for (ngx_list_part_t* part = mark.part; part != nullptr; part = part->next, i = 0) {
    auto* headers = static_cast<ngx_table_elt_t*>(part->elts);
    for (; i < part->nelts; i++) {
      if (&headers[i] != r->headers_out.content_range) headers[i].hash = 0;
    }
  }
}

ngx_int_t send_unsatisfiable(ngx_http_request_t* r, uint64_t bytes) noexcept {
  return send_problem(r, make_problem(ProblemKind::kRangeNotSatisfiable,
                                      {"no range of Range lies within the ", bytes, " bytes"}));
}

}  // namespace

ngx_int_t send_bytes(ngx_http_request_t* r, ngx_buf_t* body, uint64_t bytes) noexcept {
  if (add_safety_headers(r) != NGX_OK) return NGX_ERROR;
  // A range is of a GET's answer alone (RFC 9110 section 14.2); nginx's filter would look no
  // closer.
  if (r->method == NGX_HTTP_GET) {
    r->allow_ranges = 1;
  } else if (add_header(r, "Accept-Ranges", "bytes") != NGX_OK) {
    return NGX_ERROR;
  }
  const HeadersMark mark(r);
  const ngx_int_t sent = send_body(r, NGX_HTTP_OK, kContentType, body, bytes);
  if (sent != NGX_HTTP_RANGE_NOT_SATISFIABLE) return sent;
  take_back_headers(r, mark);
  return send_unsatisfiable(r, bytes);
}

}  // namespace small_db
