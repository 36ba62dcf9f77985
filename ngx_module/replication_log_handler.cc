// GET and HEAD of …/replication/log: decides whether the follower may go on with this node's log,
// and begins to send it.

#include <exception>

#include "engine/platform/clock.h"
#include "engine/platform/posix_file_system.h"
#include "engine/replication/log_feed.h"
#include "ngx_module/api/follower_request.h"
#include "ngx_module/api/upstream_head.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/log_stream.h"
#include "ngx_module/node_headers.h"
#include "ngx_module/response.h"

namespace small_db {
namespace {

Result<uint64_t> oldest_revision(const StoreConf& store) {
  const Result<std::unique_ptr<PosixDirectory>> directory =
      PosixDirectory::open(std::string(text_of(store.dir)));
  if (!directory.is_ok()) return directory.status();
  return LogFeed::oldest_revision(*directory.value());
}

// From now on the owner keeps the log that the follower will ask for.
bool take_place(const Region& region, const Uid& node_id) noexcept {
  const uint64_t now_us = system_clock().monotonic_us();
  FollowerState* follower = find_follower(region.replication(), node_id, now_us);
  if (follower == nullptr) return false;
  follower->seen_us.store(now_us, std::memory_order_relaxed);
  return true;
}

ngx_int_t answer(ngx_http_request_t* r, const StoreConf& store, const Hello& hello) {
  const NodeIdentity node = read_node_identity(store.region);
  if (add_node_headers(r, node) != NGX_OK) return NGX_ERROR;
  // Pairs with the release behind the sync.
  const uint64_t durable =
      store.region.replication().durable_revision.load(std::memory_order_acquire);
  const Result<uint64_t> oldest = oldest_revision(store);
  if (!oldest.is_ok()) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, oldest.status().error_number(),
                  "small_db_store \"%V\": the log can't be read: %s: %s", &store.name,
                  oldest.status().site(), code_name(oldest.status().code()));
    return send_refusal(
        r, oldest.status().code() == Code::kNotFound ? Code::kUnavailable : oldest.status().code());
  }
  const Judgement judgement = judge(node, durable, oldest.value(), hello);
  if (judgement.verdict != Verdict::kResume) {
    if (judgement.verdict == Verdict::kDiverged &&
        add_number_header(r, node_header::kCommon, judgement.common_revision) != NGX_OK) {
      return NGX_ERROR;
    }
    return send_problem(r, verdict_problem(judgement, node, hello));
  }
  if (!take_place(store.region, hello.node_id)) {
    return send_problem(r, problem_of(Code::kOverloaded, "too many followers"));
  }
  return start_log_stream(r, store, node, hello);
}

}  // namespace

ngx_int_t handle_replication_log(const ResourceRequest& request) noexcept {
  ngx_http_request_t* r = request.r;
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  if (discarded != NGX_OK) return discarded;
  Hello hello;
  if (const auto problem = read_hello(request.query, &hello)) return send_problem(r, *problem);
  if (r != r->main) return NGX_HTTP_FORBIDDEN;
  if (const auto problem = why_no_reads(request.store->region)) return send_problem(r, *problem);
  try {
    return answer(r, *request.store, hello);
  } catch (const std::exception&) {
    return send_refusal(r, Code::kOverloaded);
  }
}

}  // namespace small_db
