#include "ngx_module/api/write_parameters.h"

#include <algorithm>
#include <initializer_list>

#include "engine/record/counter.h"
#include "ngx_module/api/expiry.h"
#include "ngx_module/api/header_text.h"

namespace small_db {
namespace {

constexpr std::string_view kForm = "application/x-www-form-urlencoded";

std::optional<Problem> read_number(const Query& query, Parameter parameter, int64_t* number) {
  const std::optional<std::string_view> text = query.value(parameter);
  if (!text) return std::nullopt;
  const std::optional<int64_t> parsed = parse_counter(as_bytes(*text));
  if (!parsed) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter '", parameter_name(parameter),
                         "' must be a whole number within 64 bits, such as 1 or -5, and not '",
                         QuotedInput(*text).text(), "'"});
  }
  *number = *parsed;
  return std::nullopt;
}

// Without parameters such as charset.
std::string_view media_type_of(std::string_view content_type) noexcept {
  return without_spaces(content_type.substr(0, content_type.find(';')));
}

bool is_one_of(std::string_view media_type,
               std::initializer_list<std::string_view> types) noexcept {
  return std::any_of(types.begin(), types.end(), [media_type](std::string_view type) {
    return equals_ignoring_case(media_type, type);
  });
}

}  // namespace

std::optional<Problem> read_expiry(const Query& query, uint64_t now_ms, Expiry* expiry) noexcept {
  *expiry = Expiry();
  const bool has_ttl = query.has(Parameter::kTtl);
  const bool has_time = query.has(Parameter::kExpiresAt);
  if (!has_ttl && !has_time) return std::nullopt;
  if (has_ttl && has_time) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"give either 'ttl' or 'expires_at', not both"});
  }
  const ParsedExpiry parsed = has_ttl ? parse_ttl(query.text(Parameter::kTtl), now_ms)
                                      : parse_expires_at(query.text(Parameter::kExpiresAt), now_ms);
  if (!parsed.is_ok()) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"the parameter '", has_ttl ? "ttl" : "expires_at", "' ", parsed.why_not});
  }
  *expiry = {true, parsed.expires_at_ms};
  return std::nullopt;
}

std::optional<Problem> read_counter_step(const Query& query, CounterStep* step) noexcept {
  *step = CounterStep();
  if (!query.has(Parameter::kIncr)) {
    return make_problem(ProblemKind::kInvalidQuery,
                        {"POST to a key adds to a counter: the parameter 'incr' is missing"});
  }
  if (auto problem = read_number(query, Parameter::kIncr, &step->delta)) return problem;
  return read_number(query, Parameter::kInit, &step->initial);
}

BodyForm body_form(std::string_view content_type, const Query& query) noexcept {
  if (query.has(Parameter::kRaw)) {
    return query.flag(Parameter::kRaw) ? BodyForm::kRaw : BodyForm::kEnvelope;
  }
  const std::string_view type = media_type_of(content_type);
  if (is_one_of(type, {"", "application/json", "text/json", kForm})) return BodyForm::kEnvelope;
  return equals_ignoring_case(type, "multipart/form-data") ? BodyForm::kMultipart : BodyForm::kRaw;
}

bool may_be_json(std::string_view content_type) noexcept {
  return is_one_of(media_type_of(content_type),
                   {"", "application/json", "text/json", "application/merge-patch+json", kForm});
}

bool may_be_lines(std::string_view content_type) noexcept {
  return is_one_of(media_type_of(content_type),
                   {"", "application/x-ndjson", "application/ndjson", "application/jsonl",
                    "application/x-jsonlines", "application/jsonlines", kForm});
}

}  // namespace small_db
