// POST of a transaction: read and parse the body, run it on one snapshot, submit what it writes
// together with guards on all that it read, and answer. Where somebody else was quicker, the guards
// do not hold, and it is run again on the state that they left.
//
// All of it is cut into slices; the snapshot is pinned while the run lasts, and let go before the
// request waits.

#include <memory>
#include <new>
#include <optional>

#include "ngx_module/api/held_snapshot.h"
#include "ngx_module/api/transaction.h"
#include "ngx_module/api/transaction_run.h"
#include "ngx_module/api/write_parameters.h"
#include "ngx_module/availability.h"
#include "ngx_module/body.h"
#include "ngx_module/handlers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"
#include "ngx_module/slices.h"
#include "ngx_module/store_clock.h"
#include "ngx_module/submission.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

constexpr size_t kReadBytes = 64 * kKiB;  // of the body, in one step
constexpr int kRunsMax = 100;

struct TransactionRequest {
  TransactionRequest(ngx_http_request_t* r, StoreConf* of) noexcept : store(of), body(r) {}
  // What the engine may be reading goes after the wait has been cancelled.
  ~TransactionRequest() { cancel_wait(cookie); }

  StoreConf* store;
  BodyReader body;
  std::string gathered;
  std::unique_ptr<TransactionParser> parser;
  std::unique_ptr<TransactionRun> run;
  HeldSnapshot snapshot;
  uint64_t now_ms = 0;
  int runs = 0;
  uint64_t cookie = 0;
  Slices slices;
};

TransactionRequest* transaction_of(const ngx_http_request_t* r) noexcept {
  return context_of<TransactionRequest>(r);
}

Problem no_memory() noexcept {
  return problem_of(Code::kOverloaded, "no memory for the transaction");
}

// The end of a step that ends the work.
bool fail(ngx_http_request_t* r, const Problem& problem) noexcept {
  transaction_of(r)->snapshot.let_go();
  ngx_http_finalize_request(r, send_problem(r, problem));
  return false;
}

ngx_int_t send_answer(ngx_http_request_t* r, uint64_t revision) noexcept {
  try {
    return send_text(r, NGX_HTTP_OK, "application/json", transaction_of(r)->run->answer(revision));
  } catch (const std::bad_alloc&) {
    return send_problem(r, no_memory());
  }
}

Status submit_transaction(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept {
  return client.write(cookie, transaction_of(r)->run->set());
}

void start_run(ngx_http_request_t* r) noexcept;

ngx_int_t send_outcome(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  r->disable_not_modified = 1;
  if (outcome.code == Code::kOk) return send_answer(r, outcome.revision);
  if (outcome.code != Code::kConditionFailed) return send_refusal(r, outcome.code);
  if (transaction->runs >= kRunsMax) {
    return send_problem(r, make_problem(ProblemKind::kContended,
                                        {"what the transaction reads was changed by others before "
                                         "it could commit, ",
                                         uint64_t{kRunsMax}, " times; nothing was changed"}));
  }
  // The reference that this answer gives back is not the one that the new run holds.
  r->main->count++;
  start_run(r);
  return NGX_DONE;
}

constexpr WaitKind kTransactionWait = {submit_transaction, send_outcome, nullptr, kWriteDeadlineMs};

bool end_run(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  const Status status = transaction->run->status();
  const uint64_t revision = transaction->snapshot.get()->root().revision;
  transaction->snapshot.let_go();
  if (status.code() == Code::kTooLarge) {
    return fail(
        r, make_problem(ProblemKind::kTooLarge,
                        {"the values that the transaction gets are more than the ",
                         uint64_t{kTransactionValueBytesMax}, " bytes that an answer may hold"}));
  }
  if (!status.is_ok()) {
    ngx_log_error(NGX_LOG_ERR, r->connection->log, 0, "small_db_store \"%V\": damaged memory: %s",
                  &transaction->store->name, status.site());
    return fail(r, refusal(transaction->store->region, status.code()));
  }
  if (transaction->run->is_read_only()) {
    ngx_http_finalize_request(r, send_answer(r, revision));
    return false;
  }
  submit_and_wait(r, *transaction->store, kTransactionWait, &transaction->cookie);
  return false;
}

bool run_step(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  const Snapshot* snapshot = transaction->snapshot.get();
  if (snapshot == nullptr) {  // taken back: this process has let its slot go
    return fail(r, refusal(transaction->store->region, Code::kUnavailable));
  }
  try {
    if (transaction->run->step(*snapshot, transaction->now_ms)) return true;
  } catch (const std::bad_alloc&) {
    return fail(r, no_memory());
  }
  return end_run(r);
}

void start_run(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  StoreClient* client = client_of(*transaction->store);
  if (client == nullptr) {
    fail(r, refusal(transaction->store->region, Code::kOverloaded));
    return;
  }
  const Status taken = transaction->snapshot.take(client->engine());
  if (!taken.is_ok()) {
    fail(r, refusal(transaction->store->region, taken.code()));
    return;
  }
  transaction->now_ms = store_now_ms(transaction->store->region);
  transaction->runs++;
  try {
    transaction->run->restart();
  } catch (const std::bad_alloc&) {
    fail(r, no_memory());
    return;
  }
  transaction->slices.start(r, run_step);
}

bool parse_step(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  TransactionParser& parser = *transaction->parser;
  try {
    if (parser.step()) return true;
    if (parser.problem()) return fail(r, *parser.problem());
    transaction->run = std::make_unique<TransactionRun>(parser.transaction());
  } catch (const std::bad_alloc&) {
    return fail(r, no_memory());
  }
  start_run(r);
  return false;
}

bool gather_step(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  const OperationLimits limits = {transaction->store->max_key_size,
                                  transaction->store->max_value_size,
                                  store_now_ms(transaction->store->region)};
  try {
    std::optional<std::string_view> whole;
    if (transaction->gathered.empty()) whole = transaction->body.in_one_piece();
    if (!whole) {
      if (transaction->gathered.empty()) {
        transaction->gathered.reserve(transaction->body.bytes_left());
      }
      if (!transaction->body.append_to(&transaction->gathered, kReadBytes)) {
        return fail(r, unreadable_body());
      }
      if (!transaction->body.is_at_end()) return true;
      whole = transaction->gathered;
    }
    transaction->parser = std::make_unique<TransactionParser>(*whole, limits);
  } catch (const std::bad_alloc&) {
    return fail(r, no_memory());
  }
  transaction->slices.start(r, parse_step);
  return false;
}

// nginx has read the body; it holds a reference to the request that the answer gives back.
void proceed_with_body(ngx_http_request_t* r) noexcept {
  TransactionRequest* transaction = transaction_of(r);
  transaction->body = BodyReader(r);
  transaction->slices.start(r, gather_step);
}

// Problems that are known before the body is read.
std::optional<Problem> refuse_early(const ngx_http_request_t* r, const StoreConf& store) noexcept {
  const ngx_table_elt_t* header = r->headers_in.content_type;
  const std::string_view type = header == nullptr ? std::string_view() : text_of(header->value);
  if (!may_be_json(type)) {
    return make_problem(
        ProblemKind::kUnsupportedMediaType,
        {"the Content-Type is '", QuotedInput(type).text(), "', a transaction is JSON"});
  }
  if (auto problem = why_no_conditions(r)) return problem;
  return why_no_write(r, store);
}

}  // namespace

ngx_int_t handle_transaction(ResourceRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  if (const auto problem = refuse_early(r, *request.store)) return refuse(r, *problem);
  if (make_context<TransactionRequest>(r, r, request.store) == nullptr) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  return read_body(r, proceed_with_body);
}

}  // namespace small_db
