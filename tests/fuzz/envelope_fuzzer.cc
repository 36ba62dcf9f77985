// The parser of PUT bodies: whatever it takes must say the same value when written again by the
// encoder, and whatever it refuses must be explained by a well-formed problem body. What is read
// without it, it would have read the same.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "ngx_module/api/base64.h"
#include "ngx_module/api/put_envelope.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  constexpr size_t kLimit = 4096;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  constexpr uint64_t kNowMs = 1'700'000'000'000;
  PutEnvelope envelope;
  if (const auto text = only_value(body); text && base64_decoded_bytes(*text) <= kLimit) {
    std::string value(base64_decoded_bytes(*text), '\0');
    if (!base64_decode(*text, reinterpret_cast<std::byte*>(value.data()))) {
      SMALL_DB_ASSERT(!parse_put_envelope(body, kLimit, kNowMs, &envelope));
      SMALL_DB_ASSERT(envelope.value == value && !envelope.expiry.is_given);
      envelope = {};
    }
  }
  if (const auto problem = parse_put_envelope(body, kLimit, kNowMs, &envelope)) {
    SMALL_DB_ASSERT(problem->status == 400 || problem->status == 413);
    SMALL_DB_ASSERT(!problem->detail.empty());
    std::string text(problem_body_bytes(*problem), '\0');
    SMALL_DB_ASSERT(write_problem_body(*problem, text.data()) == text.data() + text.size());
    SMALL_DB_ASSERT(nlohmann::json::parse(text)["detail"] == problem->detail);
    return 0;
  }
  const std::string& value = envelope.value;
  SMALL_DB_ASSERT(value.size() <= kLimit && body.size() <= put_envelope_bytes_max(kLimit));
  // An independent reading: the library's tree.
  const auto tree = nlohmann::json::parse(body);
  SMALL_DB_ASSERT(tree.is_object() &&
                  tree.size() == 1u + tree.contains("encoding") + envelope.expiry.is_given);
  SMALL_DB_ASSERT(!envelope.expiry.is_given || envelope.expiry.expires_at_ms > kNowMs);
  const auto text = tree["value"].get<std::string>();
  const std::string encoding = tree.contains("encoding") ? tree["encoding"] : "base64";
  if (encoding.size() != 6) {
    SMALL_DB_ASSERT(text == value);
    return 0;
  }
  std::string encoded(base64_encoded_bytes(value.size()), '\0');
  Base64Encoder encoder(encoded.data());
  encoder.add(as_bytes(value));
  SMALL_DB_ASSERT(encoder.finish() == encoded.data() + encoded.size());
  SMALL_DB_ASSERT(encoded == text);
  return 0;
}
