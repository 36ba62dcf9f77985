// Writes of many keys as one: POST of lines (puts and deletes), PUT of lines (all that there will
// be under a prefix), DELETE of a prefix. Each is one write set: all of it or nothing, one
// revision.
//
// Lines are read, parsed, sorted and written out in slices, so that a hundred thousand of them hold
// nobody else up.

#include <memory>
#include <new>

#include "ngx_module/api/line_batch.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/api/write_answers.h"
#include "ngx_module/api/write_parameters.h"
#include "ngx_module/body.h"
#include "ngx_module/handlers.h"
#include "ngx_module/request_context.h"
#include "ngx_module/response.h"
#include "ngx_module/slices.h"
#include "ngx_module/store_clock.h"
#include "ngx_module/submission.h"

namespace small_db {
namespace {

constexpr size_t kReadBytes = 64 * kKiB;   // of the body, in one step
constexpr size_t kBuildBytes = 16 * kKiB;  // of the write set, in one step

// What is read of the lines, and their write set in the making. Not there for a DELETE.
struct Lines {
  Lines(const ngx_http_request_t* r, const OperationLimits& limits, LineBatch::Purpose purpose,
        std::string prefix)
      : body(r), batch(limits, purpose, std::move(prefix)) {}

  BodyReader body;
  LineReader reader;
  LineBatch batch;
  WriteSetBuilder set;
};

struct Batch {
  explicit Batch(ResourceRequest from) noexcept : store(from.store), query(std::move(from.query)) {}
  // What the engine may be reading goes after the wait has been cancelled.
  ~Batch() { cancel_wait(cookie); }

  StoreConf* store;
  Query query;
  std::unique_ptr<Lines> lines;
  std::vector<std::byte> set;
  uint64_t cookie = 0;
  Slices slices;
};

Batch* batch_of(const ngx_http_request_t* r) noexcept { return context_of<Batch>(r); }

Problem no_memory() noexcept { return problem_of(Code::kOverloaded, "no memory for the batch"); }

Status submit_batch(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept {
  return client.write(cookie, batch_of(r)->set);
}

ngx_int_t send_outcome(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  r->disable_not_modified = 1;
  if (outcome.code != Code::kOk) return send_refusal(r, outcome.code);
  const CountBody body(outcome.revision, outcome.records);
  return send_text(r, NGX_HTTP_OK, kJsonContentType, body.text());
}

constexpr WaitKind kBatchWait = {submit_batch, send_outcome, nullptr, kWriteDeadlineMs};

void fail(ngx_http_request_t* r, const Problem& problem) noexcept {
  ngx_http_finalize_request(r, send_problem(r, problem));
}

void submit(ngx_http_request_t* r) noexcept {
  Batch* batch = batch_of(r);
  submit_and_wait(r, *batch->store, kBatchWait, &batch->cookie);
}

// One line, or a piece of the body. *is_done: all lines are parsed.
std::optional<Problem> read_lines(Lines* lines, bool* is_done) {
  if (const auto line = lines->reader.next(lines->body.is_at_end())) return lines->batch.add(*line);
  *is_done = lines->body.is_at_end();
  if (*is_done) return std::nullopt;
  const size_t pending = lines->reader.pending_bytes();
  if (pending > lines->batch.line_bytes_max()) return lines->batch.too_long(pending);
  if (lines->body.append_to(lines->reader.buffer(), kReadBytes)) return std::nullopt;
  return unreadable_body();
}

bool build_step(ngx_http_request_t* r) noexcept {
  Batch* batch = batch_of(r);
  try {
    if (batch->lines->batch.build(kBuildBytes, &batch->lines->set)) return true;
    batch->set = batch->lines->set.release();
  } catch (const std::bad_alloc&) {
    fail(r, no_memory());
    return false;
  }
  batch->lines.reset();
  submit(r);
  return false;
}

bool parse_step(ngx_http_request_t* r) noexcept {
  Batch* batch = batch_of(r);
  bool is_done = false;
  std::optional<Problem> problem;
  try {
    problem = read_lines(batch->lines.get(), &is_done);
  } catch (const std::bad_alloc&) {
    problem = no_memory();
  }
  if (!problem && !is_done) return true;
  if (!problem && r->method == NGX_HTTP_POST && batch->lines->batch.operations() == 0) {
    problem = make_problem(ProblemKind::kInvalidBody, {"the body has no line that says anything"});
  }
  if (problem) {
    fail(r, *problem);
    return false;
  }
  batch->slices.start(r, build_step);
  return false;
}

// nginx has read the body; it holds a reference to the request that the answer gives back.
void proceed_with_lines(ngx_http_request_t* r) noexcept {
  Batch* batch = batch_of(r);
  const StoreConf& store = *batch->store;
  const OperationLimits limits = {store.max_key_size, store.max_value_size,
                                  store_now_ms(store.region)};
  const bool replaces = r->method == NGX_HTTP_PUT;
  try {
    batch->lines = std::make_unique<Lines>(
        r, limits, replaces ? LineBatch::Purpose::kContents : LineBatch::Purpose::kChanges,
        std::string(batch->query.text(Parameter::kPrefix)));
  } catch (const std::bad_alloc&) {
    return fail(r, no_memory());
  }
  batch->slices.start(r, parse_step);
}

void proceed_with_erasure(ngx_http_request_t* r) noexcept {
  Batch* batch = batch_of(r);
  try {
    WriteSetBuilder set;
    const Bytes prefix = as_bytes(batch->query.text(Parameter::kPrefix));
    set.erase_range(prefix, end_of_prefix(prefix));
    batch->set = set.release();
  } catch (const std::bad_alloc&) {
    return fail(r, no_memory());
  }
  submit(r);
}

// What a PUT or DELETE concerns must be said: an empty prefix is everything there is.
std::optional<Problem> refuse_prefix(const ResourceRequest& request) noexcept {
  const std::string_view prefix = request.query.text(Parameter::kPrefix);
  const size_t limit = request.store->max_key_size;
  if (prefix.size() > limit) return too_large("the prefix", prefix.size(), "max_key_size", limit);
  const bool all = request.query.flag(Parameter::kAll);
  if (prefix.empty() && !all) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter 'prefix' must say which keys are meant, or all=true that "
                         "all are"});
  }
  if (!prefix.empty() && all) {
    return make_problem(ProblemKind::kInvalidQuery, {"give either 'prefix' or 'all', not both"});
  }
  return std::nullopt;
}

std::optional<Problem> refuse_lines(const ngx_http_request_t* r,
                                    const ResourceRequest& request) noexcept {
  const ngx_table_elt_t* header = r->headers_in.content_type;
  const std::string_view type = header == nullptr ? std::string_view() : text_of(header->value);
  if (!may_be_lines(type)) {
    return make_problem(ProblemKind::kUnsupportedMediaType,
                        {"the Content-Type is '", QuotedInput(type).text(),
                         "', lines of JSON are application/x-ndjson or application/jsonl"});
  }
  if (r->method != NGX_HTTP_PUT || request.query.flag(Parameter::kReplace)) return std::nullopt;
  return make_problem(ProblemKind::kInvalidQuery,
                      {"a PUT of many keys replaces what is there, and must say replace=true"});
}

// Problems that are known before the body is read.
std::optional<Problem> refuse_early(const ngx_http_request_t* r,
                                    const ResourceRequest& request) noexcept {
  if (auto problem = why_no_conditions(r)) return problem;
  std::optional<Problem> problem;
  if (r->method != NGX_HTTP_DELETE) problem = refuse_lines(r, request);
  if (!problem && r->method != NGX_HTTP_POST) problem = refuse_prefix(request);
  return problem ? problem : why_no_write(r, *request.store);
}

}  // namespace

ngx_int_t handle_batch(ResourceRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  if (const auto problem = refuse_early(r, request)) return refuse(r, *problem);
  if (make_context<Batch>(r, std::move(request)) == nullptr) {
    return NGX_HTTP_INTERNAL_SERVER_ERROR;
  }
  return read_body(r, r->method == NGX_HTTP_DELETE ? proceed_with_erasure : proceed_with_lines);
}

}  // namespace small_db
