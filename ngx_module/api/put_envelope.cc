#include "ngx_module/api/put_envelope.h"

#include <exception>
#include <iterator>

namespace small_db {
namespace {

constexpr const char* kWhat = "the body";
constexpr const char* kExpiryMustBe = "a whole number of seconds or a string";
constexpr const char* kPatchMustBe = "a whole number of seconds, a string or null";

enum PutMember : size_t { kValue, kEncoding, kTtl, kExpiresAt };
constexpr MemberRule kPutMembers[] = {
    {"value", kJsonString, "a string"},
    {"encoding", kJsonString, "a string"},
    {"ttl", kJsonInteger | kJsonString, kExpiryMustBe},
    {"expires_at", kJsonInteger | kJsonString, kExpiryMustBe},
};

enum PatchMember : size_t { kPatchTtl, kPatchExpiresAt };
constexpr MemberRule kPatchMembers[] = {
    {"ttl", kJsonInteger | kJsonString | kJsonNull, kPatchMustBe},
    {"expires_at", kJsonInteger | kJsonString | kJsonNull, kPatchMustBe},
};

bool is_json_space(char letter) noexcept {
  return letter == ' ' || letter == '\t' || letter == '\r' || letter == '\n';
}

// Takes the token from the front of the text, with the white space before it. False: it is not
// there.
bool take_front(std::string_view token, std::string_view* text) noexcept {
  while (!text->empty() && is_json_space(text->front())) text->remove_prefix(1);
  if (!text->starts_with(token)) return false;
  text->remove_prefix(token.size());
  return true;
}

// The same at the back, with the white space behind it.
bool take_back(char token, std::string_view* text) noexcept {
  while (!text->empty() && is_json_space(text->back())) text->remove_suffix(1);
  if (!text->ends_with(token)) return false;
  text->remove_suffix(1);
  return true;
}

std::optional<JsonFault> read_put(std::string_view body, size_t value_bytes_max, uint64_t now_ms,
                                  PutEnvelope* envelope) {
  FlatObject object(kPutMembers);
  if (auto fault = object.parse(body, kWhat)) return fault;
  if (!object[kValue].is_given()) return object.fault_at_end({"the member 'value' is missing"});
  if (auto fault =
          read_expiry(object, object[kTtl], object[kExpiresAt], now_ms, &envelope->expiry)) {
    return fault;
  }
  return decode_value(object, object[kValue], object[kEncoding], value_bytes_max, &envelope->value);
}

std::optional<JsonFault> read_patch(std::string_view body, uint64_t now_ms, Expiry* expiry) {
  FlatObject object(kPatchMembers);
  if (auto fault = object.parse(body, kWhat)) return fault;
  if (auto fault =
          read_expiry(object, object[kPatchTtl], object[kPatchExpiresAt], now_ms, expiry)) {
    return fault;
  }
  if (expiry->is_given) return std::nullopt;
  return object.fault_at_end({"the member 'ttl' or 'expires_at' is missing"});
}

std::optional<Problem> problem_of(const std::optional<JsonFault>& fault) noexcept {
  if (!fault) return std::nullopt;
  return problem_of_fault(*fault, ProblemKind::kInvalidBody);
}

// The library throws nothing of its own here: errors come as events.
Problem no_memory() noexcept {
  return make_problem(ProblemKind::kOverloaded, {"the process is out of memory"});
}

}  // namespace

std::optional<std::string_view> only_value(std::string_view body) noexcept {
  // Without white space, as programs write it; it may stand between any two tokens.
  const bool is_dense = take_front("{\"value\":\"", &body);
  if (!is_dense) {
    if (!take_front("{", &body) || !take_front("\"value\"", &body)) return std::nullopt;
    if (!take_front(":", &body) || !take_front("\"", &body)) return std::nullopt;
  }
  if (!take_back('}', &body) || !take_back('"', &body)) return std::nullopt;
  return body;
}

std::optional<Problem> parse_put_envelope(std::string_view body, size_t value_bytes_max,
                                          uint64_t now_ms, PutEnvelope* envelope) noexcept {
  try {
    return problem_of(read_put(body, value_bytes_max, now_ms, envelope));
  } catch (const std::exception&) {
    return no_memory();
  }
}

std::optional<Problem> parse_patch(std::string_view body, uint64_t now_ms,
                                   Expiry* expiry) noexcept {
  try {
    return problem_of(read_patch(body, now_ms, expiry));
  } catch (const std::exception&) {
    return no_memory();
  }
}

}  // namespace small_db
