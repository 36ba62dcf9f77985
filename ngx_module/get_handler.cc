// GET and HEAD of a key. The state is pinned while conditions are decided and the value is copied
// into the response's one buffer, and let go before anything is sent: how fast a client reads
// concerns nobody else.

#include <new>

#include "ngx_module/api/conditions.h"
#include "ngx_module/api/representation.h"
#include "ngx_module/api/response_body.h"
#include "ngx_module/api/utf8.h"
#include "ngx_module/availability.h"
#include "ngx_module/bytes_response.h"
#include "ngx_module/handlers.h"
#include "ngx_module/response.h"
#include "ngx_module/store_clock.h"
#include "ngx_module/worker.h"

namespace small_db {
namespace {

// What the client wants to know.
struct Question {
  Representation representation = Representation::kBase64;
  Conditions conditions;
};

enum class Verdict : uint8_t { kSend, kNotModified, kConditionFailed, kNotText };

struct ItemAnswer {
  Verdict verdict = Verdict::kSend;
  uint64_t revision = 0;
  uint64_t expires_at_ms = 0;
  ngx_buf_t* buffer = nullptr;  // none for HEAD
  size_t bytes = 0;             // of the body
};

std::optional<std::string_view> value_of(const ngx_table_elt_t* header) noexcept {
  if (header == nullptr) return std::nullopt;
  return text_of(header->value);
}

// nginx keeps no place of its own for it.
Accept read_accept(const ngx_http_request_t* r) noexcept {
  constexpr std::string_view kName = "accept";
  Accept accept;
  for (const ngx_list_part_t* part = &r->headers_in.headers.part; part != nullptr;
       part = part->next) {
    const auto* headers = static_cast<const ngx_table_elt_t*>(part->elts);
    for (ngx_uint_t i = 0; i < part->nelts; i++) {
      if (headers[i].key.len != kName.size()) continue;
      const std::string_view name(reinterpret_cast<char*>(headers[i].lowcase_key), kName.size());
      if (name == kName) accept.add(text_of(headers[i].value));
    }
  }
  return accept;
}

std::optional<Problem> read_question(const ItemRequest& request, Question* question) noexcept {
  const auto& headers = request.r->headers_in;
  try {
    if (auto problem = choose_representation(request.query, read_accept(request.r),
                                             &question->representation)) {
      return problem;
    }
    return parse_conditions(value_of(headers.if_match), value_of(headers.if_none_match),
                            &question->conditions);
  } catch (const std::bad_alloc&) {
    return problem_of(Code::kOverloaded, "the process is out of memory");
  }
}

Verdict decide(const Conditions& conditions, uint64_t revision) noexcept {
  if (conditions.if_match && !conditions.if_match->match_strongly(revision)) {
    return Verdict::kConditionFailed;
  }
  const bool is_known =
      conditions.if_none_match && conditions.if_none_match->match_weakly(revision);
  return is_known ? Verdict::kNotModified : Verdict::kSend;
}

// Room for the body; nothing with HEAD.
Status make_buffer(const ItemRequest& request, size_t bytes, ItemAnswer* answer) noexcept {
  answer->bytes = bytes;
  if (request.r->method == NGX_HTTP_HEAD) return Status::ok();
  answer->buffer = ngx_create_temp_buf(request.r->pool, bytes);
  if (answer->buffer == nullptr) return {Code::kOverloaded, "get: memory"};
  answer->buffer->last += bytes;
  return Status::ok();
}

Status show_base64(const ItemRequest& request, const StoredValue& value,
                   ItemAnswer* answer) noexcept {
  ItemBody body(as_bytes(request.key), value.bytes());
  SMALL_DB_RETURN_IF_ERROR(make_buffer(request, body.bytes(), answer));
  if (answer->buffer == nullptr) return Status::ok();
  body.begin(reinterpret_cast<char*>(answer->buffer->pos));
  SMALL_DB_RETURN_IF_ERROR(
      value.for_each_piece([&body](Bytes piece) noexcept { body.add(piece); }));
  return body.finish();
}

Status show_bytes(const ItemRequest& request, const StoredValue& value,
                  ItemAnswer* answer) noexcept {
  SMALL_DB_RETURN_IF_ERROR(make_buffer(request, value.bytes(), answer));
  if (answer->buffer == nullptr) return Status::ok();
  return value.copy_to(reinterpret_cast<std::byte*>(answer->buffer->pos));
}

// Of a copy: what is measured must still be the same when it is written, whatever another process
// does to shared memory.
Status show_text(const ItemRequest& request, const StoredValue& value,
                 ItemAnswer* answer) noexcept {
  ngx_pool_t* pool = request.r->pool;
  auto* copy = static_cast<char*>(ngx_pnalloc(pool, value.bytes() + 1));
  if (copy == nullptr) return {Code::kOverloaded, "get: memory"};
  SMALL_DB_RETURN_IF_ERROR(value.copy_to(reinterpret_cast<std::byte*>(copy)));
  const std::string_view text(copy, value.bytes());
  if (!is_utf8(as_bytes(text))) {
    answer->verdict = Verdict::kNotText;
    return Status::ok();
  }
  const TextItemBody body(as_bytes(request.key), text);
  SMALL_DB_RETURN_IF_ERROR(make_buffer(request, body.bytes(), answer));
  if (answer->buffer != nullptr) body.write(reinterpret_cast<char*>(answer->buffer->pos));
  ngx_pfree(pool, copy);
  return Status::ok();
}

// Errors: kNotFound, kCorruption, kOverloaded (no pin is free, or no memory), kUnavailable.
Status find_answer(const ItemRequest& request, const Question& question, Client& client,
                   ItemAnswer* answer) noexcept {
  const Result<Snapshot> snapshot = client.snapshot();
  if (!snapshot.is_ok()) return snapshot.status();
  const Result<StoredRecord> found = snapshot.value().find(as_bytes(request.key));
  if (!found.is_ok()) return found.status();
  const StoredRecord& record = found.value();
  if (record.expires_at_ms != 0 && record.expires_at_ms <= store_now_ms(request.store->region)) {
    return {Code::kNotFound, "get: expired"};
  }
  answer->revision = record.revision;
  answer->expires_at_ms = record.expires_at_ms;
  answer->verdict = decide(question.conditions, record.revision);
  if (answer->verdict != Verdict::kSend) return Status::ok();
  switch (question.representation) {
    case Representation::kBytes:
      return show_bytes(request, record.value, answer);
    case Representation::kUtf8:
      return show_text(request, record.value, answer);
    case Representation::kBase64:
      break;
  }
  return show_base64(request, record.value, answer);
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

// What every answer about a record that is there says of it.
ngx_int_t add_record_headers(ngx_http_request_t* r, const ItemAnswer& answer) noexcept {
  if (set_etag(r, answer.revision) != NGX_OK) return NGX_ERROR;
  if (add_header(r, "Vary", "Accept") != NGX_OK) return NGX_ERROR;
  return add_expires_at(r, answer.expires_at_ms);
}

ngx_int_t send_answer(const ItemRequest& request, const Question& question,
                      const ItemAnswer& answer) noexcept {
  ngx_http_request_t* r = request.r;
  if (add_record_headers(r, answer) != NGX_OK) return NGX_ERROR;
  switch (answer.verdict) {
    case Verdict::kNotModified:
      return send_not_modified(r);
    case Verdict::kConditionFailed:
      return send_problem(r, condition_problem(question.conditions, answer.revision));
    case Verdict::kNotText:
      return send_problem(
          r, make_problem(ProblemKind::kNotAcceptable,
                          {"the value is not UTF-8: ask for encoding=base64, or for ?raw"}));
    case Verdict::kSend:
      break;
  }
  if (question.representation == Representation::kBytes) {
    return send_bytes(r, answer.buffer, answer.bytes);
  }
  return send_body(r, NGX_HTTP_OK, kJsonContentType, answer.buffer, answer.bytes);
}

}  // namespace

ngx_int_t handle_get(const ItemRequest& request) noexcept {
  // Conditions are decided here, before a value is copied, and by a record's revision alone.
  request.r->disable_not_modified = 1;
  if (const auto problem = why_no_reads(request.store->region)) {
    return send_problem(request.r, *problem);
  }
  StoreClient* client = client_of(*request.store);
  if (client == nullptr) {
    return send_problem(request.r,
                        problem_of(Code::kOverloaded, "this process is not attached to the store"));
  }
  Question question;
  if (const auto problem = read_question(request, &question)) {
    return send_problem(request.r, *problem);
  }
  ItemAnswer answer;
  const Status status = find_answer(request, question, client->engine(), &answer);
  if (!status.is_ok()) return answer_failure(request, status);
  return send_answer(request, question, answer);
}

}  // namespace small_db
