// GET and HEAD of the collection: a page of a list, or a count. One state is held from the first
// record to the last, and let go before anything is sent; the work is done in slices.

#include <memory>
#include <new>
#include <optional>

#include "ngx_module/api/held_snapshot.h"
#include "ngx_module/api/list_page.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"
#include "ngx_module/slices.h"
#include "ngx_module/store_clock.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

// In microseconds: several steps make a slice.
constexpr size_t kStepBudget = 100;

struct ListWork {
  explicit ListWork(StoreConf* of) noexcept : store(of) {}

  StoreConf* store;
  HeldSnapshot snapshot;
  std::optional<ListPage> page;     // of a list
  std::optional<RangeCount> count;  // of a count
  std::string body;                 // what is sent: it must stay until all of it is
  Slices slices;
};

Problem no_memory() noexcept {
  return problem_of(Code::kOverloaded, "the process is out of memory");
}

// Gives back the reference that the work holds.
void end_work(ngx_http_request_t* r, ngx_int_t result) noexcept {
  context_of<ListWork>(r)->snapshot.let_go();
  ngx_http_finalize_request(r, result);
}

ngx_int_t send_list(ngx_http_request_t* r) noexcept {
  ListWork* work = context_of<ListWork>(r);
  auto* buffer = static_cast<ngx_buf_t*>(ngx_calloc_buf(r->pool));
  if (buffer == nullptr) return NGX_ERROR;
  buffer->pos = reinterpret_cast<u_char*>(work->body.data());
  buffer->last = buffer->pos + work->body.size();
  buffer->memory = 1;
  return send_body(r, NGX_HTTP_OK, kJsonContentType, buffer, work->body.size());
}

// True when the body is there.
Result<bool> work_on(ListWork* work) {
  if (work->snapshot.get() == nullptr) return Status(Code::kUnavailable, "list: taken back");
  if (work->count) {
    Result<bool> done = work->count->work(kStepBudget);
    if (done.is_ok() && done.value()) work->body = work->count->body();
    return done;
  }
  Result<bool> done = work->page->work(kStepBudget);
  if (done.is_ok() && done.value()) work->body = work->page->release_body();
  return done;
}

void answer_failure(ngx_http_request_t* r, const Status& status) noexcept {
  const StoreConf& store = *context_of<ListWork>(r)->store;
  if (status.code() == Code::kCorruption) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "small_db_store \"%V\": damaged memory: %s",
                  &store.name, status.site());
  }
  end_work(r, send_problem(r, refusal(store.region, status.code())));
}

bool step(ngx_http_request_t* r) noexcept {
  ListWork* work = context_of<ListWork>(r);
  try {
    const Result<bool> done = work_on(work);
    if (!done.is_ok()) {
      answer_failure(r, done.status());
      return false;
    }
    if (!done.value()) return true;
  } catch (const std::bad_alloc&) {
    end_work(r, send_problem(r, no_memory()));
    return false;
  }
  work->snapshot.let_go();
  end_work(r, send_list(r));
  return false;
}

// Takes the state that the list is of.
Status begin_work(ListWork* work, ListQuery query, Client& client) {
  SMALL_DB_RETURN_IF_ERROR(work->snapshot.take(client));
  const uint64_t now_ms = store_now_ms(work->store->region);
  const Snapshot& snapshot = *work->snapshot.get();
  if (query.is_count) {
    work->count.emplace(std::move(query.range), snapshot, now_ms);
  } else {
    work->page.emplace(std::move(query), snapshot, now_ms);
  }
  return Status::ok();
}

ngx_int_t start(const ResourceRequest& request, StoreClient* client) {
  ngx_http_request_t* r = request.r;
  ListQuery query;
  if (const auto problem = parse_list_query(request.query, &query))
    return send_problem(r, *problem);
  auto* work = make_context<ListWork>(r, request.store);
  if (work == nullptr) return send_problem(r, no_memory());
  const Status begun = begin_work(work, std::move(query), client->engine());
  if (!begun.is_ok()) return send_problem(r, refusal(request.store->region, begun.code()));
  r->main->count++;
  work->slices.start(r, step);
  return NGX_DONE;
}

}  // namespace

ngx_int_t handle_list(const ResourceRequest& request) noexcept {
  ngx_http_request_t* r = request.r;
  r->disable_not_modified = 1;
  const ngx_int_t discarded = ngx_http_discard_request_body(r);
  if (discarded != NGX_OK) return discarded;
  if (const auto problem = why_no_reads(request.store->region)) return send_problem(r, *problem);
  StoreClient* client = client_of(*request.store);
  if (client == nullptr) {
    return send_problem(r,
                        problem_of(Code::kOverloaded, "this process is not attached to the store"));
  }
  try {
    return start(request, client);
  } catch (const std::bad_alloc&) {
    return send_problem(r, no_memory());
  }
}

}  // namespace small_db
