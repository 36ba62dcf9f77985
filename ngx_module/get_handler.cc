// GET and HEAD of a key. The state is pinned while the value is copied into the response's one
// buffer, and let go before anything is sent: how fast a client reads concerns nobody else.

#include "ngx_module/api/response_body.h"
#include "ngx_module/availability.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

struct EncodedItem {
  ngx_buf_t* buffer = nullptr;  // none for HEAD
  size_t bytes = 0;
};

uint64_t now_ms() noexcept {
  const ngx_time_t* now = ngx_timeofday();
  return static_cast<uint64_t>(now->sec) * 1000 + now->msec;
}

// Errors: kNotFound, kCorruption, kOverloaded (no pin is free, or no memory), kUnavailable.
Status encode_item(const ItemRequest& request, Client& client, EncodedItem* item) noexcept {
  const Result<Snapshot> snapshot = client.snapshot();
  if (!snapshot.is_ok()) return snapshot.status();
  const Result<StoredRecord> found = snapshot.value().find(as_bytes(request.key));
  if (!found.is_ok()) return found.status();
  const StoredRecord& record = found.value();
  if (record.expires_at_ms != 0 && record.expires_at_ms <= now_ms()) {
    return {Code::kNotFound, "get: expired"};
  }
  ItemBody body(as_bytes(request.key), record.value.bytes());
  item->bytes = body.bytes();
  if (request.r->method == NGX_HTTP_HEAD) return Status::ok();
  item->buffer = ngx_create_temp_buf(request.r->pool, item->bytes);
  if (item->buffer == nullptr) return {Code::kOverloaded, "get: memory"};
  body.begin(reinterpret_cast<char*>(item->buffer->last));
  SMALL_DB_RETURN_IF_ERROR(
      record.value.for_each_piece([&body](Bytes piece) noexcept { body.add(piece); }));
  item->buffer->last += item->bytes;
  return body.finish();
}

ngx_int_t answer_failure(const ItemRequest& request, const Status& status) noexcept {
  if (status.code() == Code::kNotFound) {
    return send_problem(request.r, make_problem(ProblemKind::kNotFound, {}));
  }
  if (status.code() == Code::kCorruption) {
    ngx_log_error(NGX_LOG_ERR, request.r->connection->log, 0,
                  "small_db_store \"%V\": damaged memory: %s", &request.store->name, status.site());
  }
  return send_problem(request.r, refusal(request.store->region, status.code()));
}

}  // namespace

ngx_int_t handle_get(const ItemRequest& request) noexcept {
  if (const auto problem = why_no_reads(request.store->region)) {
    return send_problem(request.r, *problem);
  }
  StoreClient* client = client_of(*request.store);
  if (client == nullptr) {
    return send_problem(request.r,
                        problem_of(Code::kOverloaded, "this process is not attached to the store"));
  }
  EncodedItem item;
  const Status status = encode_item(request, client->engine(), &item);
  if (!status.is_ok()) return answer_failure(request, status);
  return send_body(request.r, NGX_HTTP_OK, kJsonContentType, item.buffer, item.bytes);
}

}  // namespace small_db
