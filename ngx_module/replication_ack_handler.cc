// POST of …/replication/ack: what a follower has received, made durable and applied. A follower
// that has heard of a higher epoch ends this node's time as the primary: its owner, which is woken,
// makes that durable.

#include <exception>

#include "engine/platform/clock.h"
#include "engine/shm/doorbell.h"
#include "ngx_module/api/follower_request.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/node_headers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"

namespace small_db {
namespace {

struct Ack {
  StoreConf* store;
  AckReport report;
};

void hear_of(const Region& region, uint64_t epoch) noexcept {
  std::atomic<uint64_t>& heard = region.replication().heard_epoch;
  uint64_t highest = heard.load(std::memory_order_relaxed);
  while (highest < epoch &&
         !heard.compare_exchange_weak(highest, epoch, std::memory_order_seq_cst)) {
  }
  ring_doorbell(region);
}

ngx_int_t answer(ngx_http_request_t* r, const Region& region, const AckReport& report) {
  const NodeIdentity before = read_node_identity(region);
  const bool same_cluster = report.cluster_id == before.cluster_id;
  if (same_cluster && report.epoch > before.epoch && before.role != Role::kBackup) {
    hear_of(region, report.epoch);
  }
  const NodeIdentity node = read_node_identity(region);
  if (add_node_headers(r, node) != NGX_OK) return NGX_ERROR;
  if (const auto problem = ack_problem(node, report)) return send_problem(r, *problem);
  const uint64_t now_us = system_clock().monotonic_us();
  FollowerState* follower = find_follower(region.replication(), report.node_id, now_us);
  if (follower == nullptr) {
    return send_problem(r, problem_of(Code::kOverloaded, "too many followers"));
  }
  follower->seen_us.store(now_us, std::memory_order_relaxed);
  const FollowerProgress& progress = report.progress;
  note_ack(region.replication(), *follower, report.epoch, progress.received, progress.flushed,
           progress.applied);
  return send_text(r, NGX_HTTP_OK, kJsonContentType, kOkBody);
}

// The body says nothing; nginx has read it so that the connection can go on.
void proceed_after_body(ngx_http_request_t* r) noexcept {
  const Ack* ack = context_of<Ack>(r);
  const Region& region = ack->store->region;
  r->disable_not_modified = 1;
  ngx_int_t rc = NGX_ERROR;
  if (const auto problem = why_no_reads(region)) {
    rc = send_problem(r, *problem);
  } else {
    try {
      rc = answer(r, region, ack->report);
    } catch (const std::exception&) {
      rc = send_refusal(r, Code::kOverloaded);
    }
  }
  ngx_http_finalize_request(r, rc);
}

}  // namespace

ngx_int_t handle_replication_ack(const ResourceRequest& request) noexcept {
  ngx_http_request_t* r = request.r;
  AckReport report;
  if (const auto problem = read_ack(request.query, &report)) return refuse(r, *problem);
  if (r != r->main) return NGX_HTTP_FORBIDDEN;
  if (make_context<Ack>(r, Ack{request.store, report}) == nullptr) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  const ngx_int_t reading = ngx_http_read_client_request_body(r, proceed_after_body);
  return reading >= NGX_HTTP_SPECIAL_RESPONSE ? reading : NGX_DONE;
}

}  // namespace small_db
