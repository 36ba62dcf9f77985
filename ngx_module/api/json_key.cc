#include "ngx_module/api/json_key.h"

#include <string_view>

#include "ngx_module/api/base64.h"
#include "ngx_module/api/json_text.h"
#include "ngx_module/api/utf8.h"

namespace small_db {
namespace {

constexpr std::string_view kBefore = R"("key":")";
constexpr std::string_view kAfterText = "\"";
constexpr std::string_view kAfterBase64 = R"(","key_encoding":"base64")";

}  // namespace

JsonKey::JsonKey(Bytes key) noexcept : key_(key), is_text_(is_utf8(key)) {}

size_t JsonKey::bytes() const noexcept {
  if (is_text_) return kBefore.size() + json_escaped_bytes(as_text(key_)) + kAfterText.size();
  return kBefore.size() + base64_encoded_bytes(key_.size()) + kAfterBase64.size();
}

char* JsonKey::write(char* to) const noexcept {
  to = write_text(kBefore, to);
  if (is_text_) return write_text(kAfterText, write_json_escaped(as_text(key_), to));
  Base64Encoder encoder(to);
  encoder.add(key_);
  return write_text(kAfterBase64, encoder.finish());
}

}  // namespace small_db
