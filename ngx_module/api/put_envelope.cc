#include "ngx_module/api/put_envelope.h"

#include <exception>
#include <iterator>

#include "ngx_module/api/base64.h"

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

// Takes the token from the front of the text, with the white space before it. False: it is not
// there.
bool take_token(std::string_view token, std::string_view* text) noexcept {
  const size_t start = text->find_first_not_of(" \t\r\n");
  if (start == std::string_view::npos || text->compare(start, token.size(), token) != 0) {
    return false;
  }
  text->remove_prefix(start + token.size());
  return true;
}

// What stands between the quotes of {"value":"…"}, up to the first quote that could end it.
std::optional<std::string_view> only_value(std::string_view body) noexcept {
  for (const std::string_view token : {"{", "\"value\"", ":", "\""}) {
    if (!take_token(token, &body)) return std::nullopt;
  }
  const std::string_view text = body.substr(0, body.find('"'));
  body.remove_prefix(text.size());
  if (!take_token("\"", &body) || !take_token("}", &body)) return std::nullopt;
  if (body.find_first_not_of(" \t\r\n") != std::string_view::npos) return std::nullopt;
  return text;
}

// The body that almost every client sends, {"value":"BASE64"}, read without a parser: base64 has no
// character that JSON escapes. False for everything else, right or wrong: that is the parser's.
bool read_only_base64(std::string_view body, size_t value_bytes_max, std::string* value) {
  const std::optional<std::string_view> text = only_value(body);
  if (!text || base64_decoded_bytes(*text) > value_bytes_max) return false;
  value->resize(base64_decoded_bytes(*text));
  return !base64_decode(*text, reinterpret_cast<std::byte*>(value->data()));
}

std::optional<JsonFault> read_put(std::string_view body, size_t value_bytes_max, uint64_t now_ms,
                                  PutEnvelope* envelope) {
  if (read_only_base64(body, value_bytes_max, &envelope->value)) return std::nullopt;
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
