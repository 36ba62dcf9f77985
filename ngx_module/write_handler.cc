// PUT, DELETE, PATCH and POST of a key: refuse what needs no body to be refused, read the body,
// make a write of it, submit, and leave the request to wait.
//
// A put or delete without a condition is one record, and a long value is streamed from where it
// lies. Everything else is a write set, which the store's owner evaluates when it commits.

#include "ngx_module/api/base64.h"
#include "ngx_module/api/conditions.h"
#include "ngx_module/api/put_envelope.h"
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

constexpr size_t kReadBytes = 64 * kKiB;  // of the body, in one step

// A write from its header to its end. What the engine may be reading goes after the wait has been
// cancelled.
struct Write {
  Write(ItemRequest from, BodyForm its_form) noexcept
      : store(from.store), key(from.key), query(std::move(from.query)), form(its_form) {}
  ~Write() { cancel_wait(cookie); }

  StoreConf* store;
  std::string_view key;  // in the request's pool or in `query`
  Query query;
  BodyForm form;  // of a PUT
  Conditions conditions;
  std::optional<BodyReader> body;
  std::string gathered;        // the body, where nginx has it in pieces
  std::string decoded;         // the value, where a parser read the body
  std::string_view value;      // of a PUT: in one of these, in the request's pool, or in the body
  Expiry expiry;               // of the record that is put or changed
  std::vector<std::byte> set;  // empty: a put or delete without a condition
  uint64_t cookie = 0;
  Slices slices;
};

Write* write_of(const ngx_http_request_t* r) noexcept { return context_of<Write>(r); }

std::string_view content_type_of(const ngx_http_request_t* r) noexcept {
  const ngx_table_elt_t* header = r->headers_in.content_type;
  return header == nullptr ? std::string_view() : text_of(header->value);
}

std::optional<std::string_view> value_of(const ngx_table_elt_t* header) noexcept {
  if (header == nullptr) return std::nullopt;
  return text_of(header->value);
}

Problem no_memory() noexcept { return problem_of(Code::kOverloaded, "no memory for the request"); }

Problem unsupported(std::string_view content_type, const char* what) noexcept {
  return make_problem(ProblemKind::kUnsupportedMediaType,
                      {"the Content-Type is '", QuotedInput(content_type).text(), "', ", what});
}

std::optional<Problem> refuse_put(const ngx_http_request_t* r, const ItemRequest& request,
                                  BodyForm form) noexcept {
  const size_t limit = request.store->max_value_size;
  if (form == BodyForm::kMultipart) {
    return unsupported(content_type_of(r), "which is neither JSON nor a raw value; ?raw takes any");
  }
  // Half of a value would take the place of the whole (RFC 9110 section 14.5).
  if (r->headers_in.content_range != nullptr) {
    return make_problem(ProblemKind::kInvalidHeader, {"a PUT can't have Content-Range"});
  }
  const size_t body_limit = form == BodyForm::kRaw ? limit : put_envelope_bytes_max(limit);
  if (r->headers_in.content_length_n <= static_cast<off_t>(body_limit)) return std::nullopt;
  const auto bytes = static_cast<uint64_t>(r->headers_in.content_length_n);
  return too_large("the body", bytes, "max_value_size", limit);
}

std::optional<Problem> refuse_patch(const ngx_http_request_t* r) noexcept {
  const std::string_view content_type = content_type_of(r);
  if (may_be_json(content_type)) return std::nullopt;
  return unsupported(content_type, "a change of the time to live is JSON");
}

std::optional<Problem> refuse_post(const ngx_http_request_t* r,
                                   const ItemRequest& request) noexcept {
  CounterStep step;
  if (auto problem = read_counter_step(request.query, &step)) return problem;
  if (r->headers_in.content_length_n <= 0 && !r->headers_in.chunked) return std::nullopt;
  return make_problem(ProblemKind::kInvalidBody,
                      {"a step of a counter has no body: the parameter incr says it"});
}

// What the parameters say of the expiry. The time is asked for only if they say anything.
std::optional<Problem> read_expiry(const Query& query, const StoreConf& store, Expiry* expiry) {
  if (!query.has(Parameter::kTtl) && !query.has(Parameter::kExpiresAt)) return std::nullopt;
  return read_expiry(query, store_now_ms(store.region), expiry);
}

// Problems that are known before the body is read.
std::optional<Problem> refuse_early(const ngx_http_request_t* r, const ItemRequest& request,
                                    BodyForm form) noexcept {
  std::optional<Problem> problem;
  if (r->method == NGX_HTTP_PUT) problem = refuse_put(r, request, form);
  if (r->method == NGX_HTTP_PATCH) problem = refuse_patch(r);
  if (r->method == NGX_HTTP_POST) problem = refuse_post(r, request);
  if (problem) return problem;
  Expiry expiry;
  if ((problem = read_expiry(request.query, *request.store, &expiry))) return problem;
  return why_no_write(r, *request.store);
}

// Most bodies: base64 and nothing else. Decoded into the request's pool, which costs less than
// memory of its own. False: the parser has to look at it.
bool read_only_base64(ngx_http_request_t* r, std::string_view body, Write* write) noexcept {
  const std::optional<std::string_view> text = only_value(body);
  if (!text) return false;
  const size_t bytes = base64_decoded_bytes(*text);
  if (bytes > write->store->max_value_size) return false;
  void* value = ngx_pnalloc(r->pool, bytes);
  if (value == nullptr) return false;
  if (base64_decode(*text, static_cast<std::byte*>(value))) {
    ngx_pfree(r->pool, value);
    return false;
  }
  write->value = {static_cast<const char*>(value), bytes};
  return true;
}

std::optional<Problem> read_envelope(std::string_view body, Write* write) {
  PutEnvelope envelope;
  const size_t limit = write->store->max_value_size;
  const uint64_t now_ms = store_now_ms(write->store->region);
  if (auto problem = parse_put_envelope(body, limit, now_ms, &envelope)) return problem;
  if (envelope.expiry.is_given) {
    if (write->expiry.is_given) {
      return make_problem(ProblemKind::kInvalidBody,
                          {"'ttl' or 'expires_at' is given by a parameter already"});
    }
    write->expiry = envelope.expiry;
  }
  write->decoded = std::move(envelope.value);
  write->value = write->decoded;
  return std::nullopt;
}

// The value of a PUT, and when it expires.
std::optional<Problem> read_put(ngx_http_request_t* r, std::string_view body, Write* write) {
  const size_t limit = write->store->max_value_size;
  if (auto problem = read_expiry(write->query, *write->store, &write->expiry)) return problem;
  if (write->form == BodyForm::kRaw) {
    if (body.size() > limit) return too_large("the value", body.size(), "max_value_size", limit);
    write->value = body;
    return std::nullopt;
  }
  if (!read_only_base64(r, body, write)) {
    if (auto problem = read_envelope(body, write)) return problem;
  }
  if (!write->gathered.empty()) std::string().swap(write->gathered);  // the value is decoded
  return std::nullopt;
}

void add_operation(const ngx_http_request_t* r, const Write& write, WriteSetBuilder* set) {
  const Bytes key = as_bytes(write.key);
  const uint64_t expires_at_ms = write.expiry.expires_at_ms;
  if (r->method == NGX_HTTP_PUT) return set->put(key, as_bytes(write.value), expires_at_ms);
  if (r->method == NGX_HTTP_DELETE) return set->erase(key);
  if (r->method == NGX_HTTP_PATCH) return set->set_expiry(key, expires_at_ms);
  CounterStep step;
  if (read_counter_step(write.query, &step)) return;
  set->add(key, step.delta, step.initial, expires_at_ms);
}

// From the body to what is submitted.
std::optional<Problem> prepare(ngx_http_request_t* r, std::string_view body,
                               Write* write) noexcept {
  try {
    std::optional<Problem> problem;
    if (r->method == NGX_HTTP_PUT) problem = read_put(r, body, write);
    if (r->method == NGX_HTTP_PATCH) {
      problem = parse_patch(body, store_now_ms(write->store->region), &write->expiry);
    }
    if (r->method == NGX_HTTP_POST) {
      problem = read_expiry(write->query, *write->store, &write->expiry);
    }
    if (problem) return problem;
    const bool is_record = (r->method & (NGX_HTTP_PUT | NGX_HTTP_DELETE)) != 0;
    if (is_record && write->conditions.is_empty()) return std::nullopt;
    WriteSetBuilder set;
    add_guards(write->conditions, as_bytes(write->key), &set);
    add_operation(r, *write, &set);
    write->set = set.release();
    return std::nullopt;
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
}

Status submit_write(ngx_http_request_t* r, Client& client, uint64_t cookie) noexcept {
  const Write& write = *write_of(r);
  if (!write.set.empty()) return client.write(cookie, write.set);
  if (r->method == NGX_HTTP_DELETE) return client.erase(cookie, as_bytes(write.key));
  return client.put(cookie, as_bytes(write.key), as_bytes(write.value), write.expiry.expires_at_ms);
}

ngx_int_t send_success(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  const Write& write = *write_of(r);
  if (r->method == NGX_HTTP_DELETE) return send_text(r, NGX_HTTP_OK, kJsonContentType, kOkBody);
  if (set_etag(r, outcome.revision) != NGX_OK) return NGX_ERROR;
  if (r->method == NGX_HTTP_POST) {
    const CounterBody body(outcome.number, outcome.revision);
    return send_text(r, NGX_HTTP_OK, kJsonContentType, body.text());
  }
  if (add_expires_at(r, write.expiry.expires_at_ms) != NGX_OK) return NGX_ERROR;
  return send_text(r, NGX_HTTP_OK, kJsonContentType, kOkBody);
}

ngx_int_t send_outcome(ngx_http_request_t* r, const WriteOutcome& outcome) noexcept {
  const Write& write = *write_of(r);
  // Else the filter for conditional requests would turn a committed write's 200 into 304 or 412.
  r->disable_not_modified = 1;
  if (outcome.code == Code::kOk) return send_success(r, outcome);
  if (outcome.code != Code::kConditionFailed) return send_refusal(r, outcome.code);
  if (outcome.revision != 0 && set_etag(r, outcome.revision) != NGX_OK) return NGX_ERROR;
  return send_problem(r, condition_problem(write.conditions, outcome.revision));
}

constexpr WaitKind kWriteWait = {submit_write, send_outcome, nullptr, kWriteDeadlineMs};

void proceed(ngx_http_request_t* r, std::string_view body) noexcept {
  Write* write = write_of(r);
  if (const auto problem = prepare(r, body, write)) {
    ngx_http_finalize_request(r, send_problem(r, *problem));
    return;
  }
  submit_and_wait(r, *write->store, kWriteWait, &write->cookie);
}

// The next piece of a body that does not lie in memory as a whole.
bool gather_step(ngx_http_request_t* r) noexcept {
  Write* write = write_of(r);
  std::optional<Problem> problem;
  try {
    if (write->gathered.empty()) write->gathered.reserve(write->body->bytes_left());
    if (!write->body->append_to(&write->gathered, kReadBytes)) problem = unreadable_body();
  } catch (const std::bad_alloc&) {
    problem = no_memory();
  }
  if (!problem && !write->body->is_at_end()) return true;
  if (problem) {
    ngx_http_finalize_request(r, send_problem(r, *problem));
  } else {
    proceed(r, write->gathered);
  }
  return false;
}

// nginx has read the body; it holds a reference to the request that the answer gives back.
void proceed_with_body(ngx_http_request_t* r) noexcept {
  Write* write = write_of(r);
  write->body.emplace(r);
  if (const auto whole = write->body->in_one_piece()) return proceed(r, *whole);
  write->slices.start(r, gather_step);
}

std::optional<Problem> read_conditions(const ngx_http_request_t* r, Conditions* to) noexcept {
  try {
    return parse_conditions(value_of(r->headers_in.if_match), value_of(r->headers_in.if_none_match),
                            to);
  } catch (const std::bad_alloc&) {
    return no_memory();
  }
}

}  // namespace

ngx_int_t handle_write(ItemRequest request) noexcept {
  ngx_http_request_t* r = request.r;
  Conditions conditions;
  if (const auto problem = read_conditions(r, &conditions)) return refuse(r, *problem);
  const bool is_put = r->method == NGX_HTTP_PUT;
  const BodyForm form = is_put ? body_form(content_type_of(r), request.query) : BodyForm::kEnvelope;
  if (const auto problem = refuse_early(r, request, form)) return refuse(r, *problem);
  Write* write = make_context<Write>(r, std::move(request), form);
  if (write == nullptr) return NGX_HTTP_INTERNAL_SERVER_ERROR;
  write->conditions = std::move(conditions);
  return read_body(r, proceed_with_body);
}

}  // namespace small_db
