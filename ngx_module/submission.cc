#include "ngx_module/submission.h"

#include "ngx_module/availability.h"
#include "ngx_module/worker.h"

namespace small_db {

namespace {

std::optional<Problem> why_no_room(const StoreConf& store) noexcept {
  const StoreClient* client = client_of(store);
  if (client == nullptr || client->is_full()) return refusal(store.region, Code::kOverloaded);
  return std::nullopt;
}

std::optional<Problem> why_not_from(const ngx_http_request_t* r) noexcept {
  if (r == r->main) return std::nullopt;
  // Nobody sees the answer to a mirrored request.
  ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "small_db: a subrequest can't write: \"%V %V\"",
                &r->method_name, &r->uri);
  return Problem{NGX_HTTP_FORBIDDEN, "urn:small-db:problem:subrequest", "A subrequest can't write",
                 "only a client's own request can write"};
}

// The answer to what was not submitted.
void refuse(ngx_http_request_t* r, const WaitKind& kind, Code code) noexcept {
  WriteOutcome outcome;
  outcome.code = code;
  ngx_http_finalize_request(r, kind.answer(r, outcome));
}

}  // namespace

std::optional<Problem> why_no_write(const ngx_http_request_t* r, const StoreConf& store) noexcept {
  if (auto problem = why_not_from(r)) return problem;
  if (auto problem = why_no_writes(store.region)) return problem;
  return why_no_room(store);
}

// A store that is read-only takes it: that is how an operator has it try again.
std::optional<Problem> why_no_checkpoint(const ngx_http_request_t* r,
                                         const StoreConf& store) noexcept {
  if (auto problem = why_not_from(r)) return problem;
  if (auto problem = why_no_reads(store.region)) return problem;
  return why_no_room(store);
}

std::optional<Problem> why_no_conditions(const ngx_http_request_t* r) noexcept {
  const auto& headers = r->headers_in;
  if (headers.if_match == nullptr && headers.if_none_match == nullptr) return std::nullopt;
  return make_problem(
      ProblemKind::kInvalidHeader,
      {"If-Match and If-None-Match are conditions on one key: here only the \"if\" of "
       "a transaction can state some"});
}

void submit_and_wait(ngx_http_request_t* r, const StoreConf& store, const WaitKind& kind,
                     uint64_t* cookie) noexcept {
  StoreClient* client = client_of(store);
  *cookie = client == nullptr ? 0 : open_wait(r, &client->engine(), kind);
  if (*cookie == 0) return refuse(r, kind, Code::kOverloaded);
  const Status submitted = client->submit(*cookie);
  if (!submitted.is_ok()) {
    cancel_wait(*cookie);
    return refuse(r, kind, submitted.code());
  }
  start_wait(r);
  expect_outcomes();
}

}  // namespace small_db
