// POST of …/promote: makes this node the primary; it waits as a write does. The answer names the
// epoch, which is durable by then.

#include <new>

#include "ngx_module/api/follower_request.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/node_headers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"
#include "ngx_module/submission.h"

namespace small_db {
namespace {

constexpr ngx_msec_t kDeadlineMs = 60 * 1000;

// In the request's pool, whose cleanup forgets the wait.
struct Promotion {
  explicit Promotion(StoreConf* of) noexcept : store(of) {}
  ~Promotion() { cancel_wait(cookie); }

  StoreConf* store;
  uint64_t cookie = 0;
};

Status submit_promotion(ngx_http_request_t*, Client& client, uint64_t cookie) noexcept {
  return client.promote(cookie);
}

ngx_int_t send_epoch(ngx_http_request_t* r, uint64_t epoch) noexcept {
  constexpr size_t kBytesMax = sizeof(R"({"ok":true,"epoch":})") + NGX_INT64_LEN;
  u_char text[kBytesMax];
  const u_char* end = ngx_sprintf(text, "{\"ok\":true,\"epoch\":%uL}", epoch);
  return send_text(r, NGX_HTTP_OK, kJsonContentType,
                   {reinterpret_cast<char*>(text), static_cast<size_t>(end - text)});
}

ngx_int_t send_outcome(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  r->disable_not_modified = 1;
  const Region& region = context_of<Promotion>(r)->store->region;
  try {
    const NodeIdentity node = read_node_identity(region);
    if (add_node_headers(r, node) != NGX_OK) return NGX_ERROR;
    if (outcome.code == Code::kOk) return send_epoch(r, outcome.revision);
    if (outcome.code == Code::kNotPrimary) {
      return send_problem(r, not_primary_problem(node.role));
    }
    return send_problem(r, promotion_refusal(region, outcome.code));
  } catch (const std::bad_alloc&) {
    return send_problem(r, promotion_refusal(region, Code::kOverloaded));
  }
}

constexpr WaitKind kPromotionWait = {submit_promotion, send_outcome, nullptr, kDeadlineMs};

// The body says nothing; nginx has read it so that the connection can go on.
void proceed_after_body(ngx_http_request_t* r) noexcept {
  auto* promotion = context_of<Promotion>(r);
  submit_and_wait(r, *promotion->store, kPromotionWait, &promotion->cookie);
}

}  // namespace

ngx_int_t handle_promote(ngx_http_request_t* r, StoreConf* store) noexcept {
  if (const auto problem = why_no_checkpoint(r, *store)) return refuse(r, *problem);
  if (make_context<Promotion>(r, store) == nullptr) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  const ngx_int_t reading = ngx_http_read_client_request_body(r, proceed_after_body);
  return reading >= NGX_HTTP_SPECIAL_RESPONSE ? reading : NGX_DONE;
}

}  // namespace small_db
