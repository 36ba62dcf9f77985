#include "ngx_module/response.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "ngx_module/api/expiry.h"
#include "ngx_module/availability.h"
#include "ngx_module/directives.h"

namespace small_db {
namespace {

// nullptr when there is no memory.
ngx_table_elt_t* push_header(ngx_http_request_t* r, std::string_view name,
                             std::string_view value) noexcept {
  auto* header = static_cast<ngx_table_elt_t*>(ngx_list_push(&r->headers_out.headers));
  if (header == nullptr) return nullptr;
  *header = {};
  header->hash = 1;
  header->key = ngx_text(name);
  header->value = ngx_text(value);
  return header;
}

ngx_int_t add_retry_after(ngx_http_request_t* r, int seconds) noexcept {
  auto* text = static_cast<char*>(ngx_pnalloc(r->pool, NGX_INT_T_LEN));
  if (text == nullptr) return NGX_ERROR;
  const char* end = std::to_chars(text, text + NGX_INT_T_LEN, seconds).ptr;
  return add_header(r, "Retry-After", {text, static_cast<size_t>(end - text)});
}

void set_content_type(ngx_http_request_t* r, std::string_view content_type) noexcept {
  r->headers_out.content_type = ngx_text(content_type);
  r->headers_out.content_type_len = content_type.size();
  r->headers_out.content_type_lowcase = nullptr;
}

// As with other handlers' *_intercept_errors: an error_page for this status takes the place of the
// store's answer. Not where nginx would ignore that error_page, being at an error's page already.
bool is_intercepted(const ngx_http_request_t* r, ngx_uint_t status) noexcept {
  const auto* location =
      static_cast<const LocationConf*>(ngx_http_get_module_loc_conf(r, ngx_http_small_db_module));
  const auto* core = static_cast<const ngx_http_core_loc_conf_t*>(
      ngx_http_get_module_loc_conf(r, ngx_http_core_module));
  if (!location->intercept_errors || core->error_pages == nullptr || r->error_page) return false;
  const std::span pages(static_cast<const ngx_http_err_page_t*>(core->error_pages->elts),
                        core->error_pages->nelts);
  return std::any_of(pages.begin(), pages.end(), [status](const ngx_http_err_page_t& page) {
    return static_cast<ngx_uint_t>(page.status) == status;
  });
}

}  // namespace

ngx_int_t add_header(ngx_http_request_t* r, std::string_view name,
                     std::string_view value) noexcept {
  return push_header(r, name, value) == nullptr ? NGX_ERROR : NGX_OK;
}

ngx_int_t send_body(ngx_http_request_t* r, int status, std::string_view content_type,
                    ngx_buf_t* body, size_t bytes) noexcept {
  const auto http_status = static_cast<ngx_uint_t>(status);
  if (http_status >= NGX_HTTP_SPECIAL_RESPONSE && is_intercepted(r, http_status)) return status;
  r->headers_out.status = http_status;
  r->headers_out.content_length_n = static_cast<off_t>(bytes);
  set_content_type(r, content_type);
  const ngx_int_t sent = ngx_http_send_header(r);
  if (sent == NGX_ERROR || sent > NGX_OK || r->header_only) return sent;
  // A buffer that holds nothing must not say that it has memory.
  if (bytes == 0) *body = {};
  body->sync = bytes == 0 && r != r->main ? 1 : 0;
  body->last_buf = r == r->main ? 1 : 0;
  body->last_in_chain = 1;
  ngx_chain_t chain = {body, nullptr};
  return ngx_http_output_filter(r, &chain);
}

ngx_int_t send_text(ngx_http_request_t* r, int status, std::string_view content_type,
                    std::string_view body) noexcept {
  ngx_buf_t* buffer = ngx_create_temp_buf(r->pool, body.size());
  if (buffer == nullptr) return NGX_ERROR;
  buffer->last = ngx_cpymem(buffer->last, body.data(), body.size());
  return send_body(r, status, content_type, buffer, body.size());
}

ngx_int_t send_no_content(ngx_http_request_t* r) noexcept {
  r->headers_out.status = NGX_HTTP_NO_CONTENT;
  r->header_only = 1;
  return ngx_http_send_header(r);
}

ngx_int_t send_not_modified(ngx_http_request_t* r) noexcept {
  r->headers_out.status = NGX_HTTP_NOT_MODIFIED;
  r->header_only = 1;
  return ngx_http_send_header(r);
}

ngx_int_t send_problem(ngx_http_request_t* r, const Problem& problem) noexcept {
  const std::string_view allow = problem.allow;
  if (!allow.empty() && add_header(r, "Allow", allow) != NGX_OK) return NGX_ERROR;
  if (problem.retry_after_seconds != 0 &&
      add_retry_after(r, problem.retry_after_seconds) != NGX_OK) {
    return NGX_ERROR;
  }
  const size_t bytes = problem_body_bytes(problem);
  ngx_buf_t* buffer = ngx_create_temp_buf(r->pool, bytes);
  if (buffer == nullptr) return NGX_ERROR;
  buffer->last += write_problem_body(problem, reinterpret_cast<char*>(buffer->last)) -
                  reinterpret_cast<char*>(buffer->last);
  return send_body(r, problem.status, kProblemContentType, buffer, bytes);
}

ngx_int_t set_etag(ngx_http_request_t* r, uint64_t revision) noexcept {
  constexpr size_t kQuoteBytes = 2;
  auto* text = static_cast<char*>(ngx_pnalloc(r->pool, NGX_INT64_LEN + kQuoteBytes));
  if (text == nullptr) return NGX_ERROR;
  text[0] = '"';
  char* end = std::to_chars(text + 1, text + 1 + NGX_INT64_LEN, revision).ptr;
  *end++ = '"';
  return set_etag(r, {text, static_cast<size_t>(end - text)});
}

ngx_int_t set_etag(ngx_http_request_t* r, std::string_view tag) noexcept {
  r->headers_out.etag = push_header(r, "ETag", tag);
  return r->headers_out.etag == nullptr ? NGX_ERROR : NGX_OK;
}

ngx_int_t add_expires_at(ngx_http_request_t* r, uint64_t expires_at_ms) noexcept {
  if (expires_at_ms == 0) return NGX_OK;
  const ExpiryText expiry(expires_at_ms);
  const std::string_view text = expiry.text();
  auto* copy = static_cast<u_char*>(ngx_pnalloc(r->pool, text.size()));
  if (copy == nullptr) return NGX_ERROR;
  ngx_memcpy(copy, text.data(), text.size());
  return add_header(r, "Expires-At", {reinterpret_cast<const char*>(copy), text.size()});
}

ngx_int_t refuse(ngx_http_request_t* r, const Problem& problem) noexcept {
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  return discarded == NGX_OK ? send_problem(r, problem) : discarded;
}

ngx_int_t send_refusal(ngx_http_request_t* r, Code code) noexcept {
  const auto* location =
      static_cast<const LocationConf*>(ngx_http_get_module_loc_conf(r, ngx_http_small_db_module));
  return send_problem(r, refusal(location->store->region, code));
}

}  // namespace small_db
