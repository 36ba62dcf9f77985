#include "ngx_module/request.h"

#include "ngx_module/api/key_path.h"
#include "ngx_module/api/openapi_document.h"
#include "ngx_module/api/replication_figures.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

bool is_get(const ngx_http_request_t* r) noexcept {
  return (r->method & (NGX_HTTP_GET | NGX_HTTP_HEAD)) != 0;
}

Method method_of(const ngx_http_request_t* r) noexcept {
  switch (r->method) {
    case NGX_HTTP_GET:
    case NGX_HTTP_HEAD:
      return Method::kGet;
    case NGX_HTTP_PUT:
      return Method::kPut;
    case NGX_HTTP_POST:
      return Method::kPost;
    case NGX_HTTP_PATCH:
      return Method::kPatch;
    case NGX_HTTP_DELETE:
      return Method::kDelete;
    case NGX_HTTP_OPTIONS:
      return Method::kOptions;
    default:
      return Method::kOther;
  }
}

// What the client sent, while it still belongs to the request: rewrites, internal redirects and
// subrequests put another path into its place.
bool has_own_path(const ngx_http_request_t* r) noexcept {
  return r == r->main && r->valid_unparsed_uri;
}

// What the client sent, where the path in force was most likely made from it: by a rewrite or
// try_files. Subrequests, error pages and X-Accel-Redirect name a path that is not the client's.
std::string_view rewritten_path(const ngx_http_request_t* r) noexcept {
  const bool is_error_page = r->error_page || r->err_status != 0;
  const bool is_own = has_own_path(r);
  if (is_own || r != r->main || is_error_page || r->upstream != nullptr) return {};
  return text_of(r->unparsed_uri);
}

std::optional<Problem> find_target(const ngx_http_request_t* r, const LocationConf& location,
                                   Target* target) noexcept {
  RequestTarget request;
  if (has_own_path(r)) request.raw = text_of(r->unparsed_uri);
  request.rewritten_from = rewritten_path(r);
  request.normalised = text_of(r->uri);
  request.args = text_of(r->args);
  request.mount = text_of(location.mount);
  request.key_bytes_max = location.store->max_key_size;
  request.method = method_of(r);
  return parse_target(request, target);
}

ngx_int_t handle_health(ngx_http_request_t* r, const Region& region) noexcept {
  Health health;
  health.state = region.told_state();
  health.progress_permille = region.header().progress_permille.load(std::memory_order_relaxed);
  health.disk_full = region.header().disk_full.load(std::memory_order_relaxed) != 0;
  const std::string reason = region.reason();
  health.reason = reason;
  const HealthBody body(health);
  if (is_healthy(health)) return send_text(r, NGX_HTTP_OK, kJsonContentType, body.text());
  if (add_header(r, "Retry-After", "1") != NGX_OK) return NGX_ERROR;
  return send_text(r, NGX_HTTP_SERVICE_UNAVAILABLE, kJsonContentType, body.text());
}

// Known once the directory was read for the first time, in whatever state the store is afterwards.
ngx_int_t handle_role(ngx_http_request_t* r, const Region& region) noexcept {
  const Role role = told_role(region.replication());
  if (role == Role::kUnknown) return send_problem(r, refusal(region, Code::kUnavailable));
  return send_text(r, NGX_HTTP_OK, kJsonContentType, role_body(role));
}

ngx_int_t refuse_method(ngx_http_request_t* r, Route route) noexcept {
  return refuse(r, method_not_allowed(text_of(r->method_name), allowed_methods(route)));
}

ngx_int_t handle_item(ItemRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  if (!is_get(r)) return handle_write(std::move(request));
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  return discarded == NGX_OK ? handle_get(request) : discarded;
}

// GET and HEAD of what tells about the store.
ngx_int_t handle_figures(ngx_http_request_t* r, const StoreConf& store, Route route) noexcept {
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  if (discarded != NGX_OK) return discarded;
  if (route == Route::kHealth) return handle_health(r, store.region);
  if (route == Route::kStatus) return handle_status(r, store.region);
  if (route == Route::kMetrics) return handle_metrics(r, store);
  if (route == Route::kOpenApi) {
    return send_text(r, NGX_HTTP_OK, kJsonContentType, openapi_document());
  }
  return handle_role(r, store.region);
}

ngx_int_t dispatch(ngx_http_request_t* r, StoreConf* store, Target target) noexcept {
  switch (target.route) {
    case Route::kItem:
      return handle_item({r, store, target.key, std::move(target.query)});
    case Route::kCheckpoint:
      return handle_checkpoint(r, store);
    case Route::kCollection:
      if (!is_get(r)) return handle_batch({r, store, std::move(target.query)});
      return handle_list({r, store, std::move(target.query)});
    case Route::kTransaction:
      return handle_transaction({r, store, std::move(target.query)});
    case Route::kSnapshot:
      return handle_snapshot({r, store, std::move(target.query)});
    case Route::kReplicationLog:
      return handle_replication_log({r, store, std::move(target.query)});
    case Route::kReplicationCheckpoint:
      return handle_replication_checkpoint({r, store, std::move(target.query)});
    case Route::kReplicationAck:
      return handle_replication_ack({r, store, std::move(target.query)});
    case Route::kPromote:
      return handle_promote(r, store);
    case Route::kHealth:
    case Route::kStatus:
    case Route::kMetrics:
    case Route::kOpenApi:
    case Route::kRole:
      break;
  }
  return handle_figures(r, *store, target.route);
}

}  // namespace

ngx_int_t handle_request(ngx_http_request_t* r) noexcept {
  const auto* location =
      static_cast<const LocationConf*>(ngx_http_get_module_loc_conf(r, ngx_http_small_db_module));
  Target target;
  if (const auto problem = find_target(r, *location, &target)) return refuse(r, *problem);
  if (r->method == NGX_HTTP_OPTIONS) {
    const ngx_int_t discarded = ngx_http_discard_request_body(r);
    if (discarded != NGX_OK) return discarded;
    if (add_header(r, "Allow", allowed_methods(target.route)) != NGX_OK) return NGX_ERROR;
    return send_no_content(r);
  }
  if (!takes_method(target.route, method_of(r))) return refuse_method(r, target.route);
  return dispatch(r, location->store, std::move(target));
}

}  // namespace small_db
