// GET and HEAD of …/replication/checkpoint: the checkpoint in force, for a follower that begins
// with it. While it is sent, the log that goes on from it is kept.

#include <exception>

#include "engine/platform/clock.h"
#include "ngx_module/api/follower_request.h"
#include "ngx_module/api/upstream_head.h"
#include "ngx_module/availability.h"
#include "ngx_module/checkpoint_file.h"
#include "ngx_module/checkpoint_wait.h"
#include "ngx_module/handlers.h"
#include "ngx_module/node_headers.h"
#include "ngx_module/response.h"

namespace small_db {
namespace {

constexpr ngx_msec_t kNoteMs = 1000;

// In the request's pool, whose cleanup ends it.
struct Download {
  Download(ngx_http_request_t* r, const Region& of, const Uid& node, uint64_t first) noexcept
      : region(of), node_id(node), generation(first) {
    timer.handler = [](ngx_event_t* event) noexcept {
      auto* download = static_cast<Download*>(event->data);
      download->note();
      ngx_add_timer(event, kNoteMs);
    };
    timer.data = this;
    timer.log = r->connection->log;
    timer.cancelable = 1;
    ngx_add_timer(&timer, kNoteMs);
  }
  ~Download() {
    if (timer.timer_set) ngx_del_timer(&timer);
  }
  Download(const Download&) = delete;
  Download& operator=(const Download&) = delete;

  // False: there are too many followers.
  bool note() const noexcept {
    const uint64_t now_us = system_clock().monotonic_us();
    FollowerState* follower = find_follower(region.replication(), node_id, now_us);
    if (follower == nullptr) return false;
    follower->log_generation.store(generation, std::memory_order_relaxed);
    follower->seen_us.store(now_us, std::memory_order_relaxed);
    return true;
  }

  Region region;
  Uid node_id;
  uint64_t generation;
  ngx_event_t timer{};
};

Download* start_download(ngx_http_request_t* r, const Region& region, const Uid& node_id,
                         uint64_t generation) noexcept {
  ngx_pool_cleanup_t* cleanup = ngx_pool_cleanup_add(r->pool, sizeof(Download));
  if (cleanup == nullptr) return nullptr;
  auto* download = new (cleanup->data) Download(r, region, node_id, generation);
  cleanup->handler = [](void* data) noexcept { static_cast<Download*>(data)->~Download(); };
  return download;
}

ngx_int_t send_file(ngx_http_request_t* r, const StoreConf& store, const Uid& node_id,
                    const CheckpointFile& file) {
  const Download* download = start_download(r, store.region, node_id, file.generation);
  if (download == nullptr) return NGX_ERROR;
  if (!download->note()) {
    return send_problem(r, problem_of(Code::kOverloaded, "too many followers"));
  }
  r->disable_not_modified = 1;
  if (set_etag(r, file.etag) != NGX_OK ||
      add_number_header(r, node_header::kGeneration, file.generation) != NGX_OK ||
      add_header(r, "Cache-Control", "no-store, no-transform") != NGX_OK) {
    return NGX_ERROR;
  }
  return send_checkpoint_file(r, file);
}

// The request, once more: what waited for a checkpoint kept nothing else.
std::optional<Problem> read_request(const ngx_http_request_t* r, Uid* node_id) {
  Query query;
  if (auto problem = parse_query(text_of(r->args), &query)) return problem;
  return read_node(query, node_id);
}

ngx_int_t send_made_checkpoint(ngx_http_request_t* r, const StoreConf& store, Code code) noexcept {
  if (code != Code::kOk) return send_problem(r, checkpoint_refusal(store.region, code));
  try {
    Uid node_id;
    if (const auto problem = read_request(r, &node_id)) return send_problem(r, *problem);
    CheckpointFile file;
    if (find_checkpoint_file(r, store, &file) != CheckpointFound::kFile) {
      return send_refusal(r, Code::kIoError);
    }
    if (add_node_headers(r, read_node_identity(store.region)) != NGX_OK) return NGX_ERROR;
    return send_file(r, store, node_id, file);
  } catch (const std::exception&) {
    return send_refusal(r, Code::kOverloaded);
  }
}

ngx_int_t answer(ngx_http_request_t* r, StoreConf* store, const Uid& node_id) {
  const NodeIdentity node = read_node_identity(store->region);
  CheckpointFile file;
  if (node.role == Role::kPrimary) {
    const CheckpointFound found = find_checkpoint_file(r, *store, &file);
    if (found == CheckpointFound::kNone) return take_checkpoint(r, store, send_made_checkpoint);
    if (found == CheckpointFound::kFailure)
      return refuse(r, refusal(store->region, Code::kIoError));
  }
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  if (discarded != NGX_OK) return discarded;
  if (add_node_headers(r, node) != NGX_OK) return NGX_ERROR;
  if (node.role != Role::kPrimary) return send_problem(r, not_primary_problem(node.role));
  return send_file(r, *store, node_id, file);
}

}  // namespace

ngx_int_t handle_replication_checkpoint(const ResourceRequest& request) noexcept {
  ngx_http_request_t* r = request.r;
  Uid node_id;
  if (const auto problem = read_node(request.query, &node_id)) return refuse(r, *problem);
  if (r != r->main) return NGX_HTTP_FORBIDDEN;
  if (const auto problem = why_no_reads(request.store->region)) return refuse(r, *problem);
  try {
    return answer(r, request.store, node_id);
  } catch (const std::exception&) {
    return refuse(r, refusal(request.store->region, Code::kOverloaded));
  }
}

}  // namespace small_db
