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

JsonKey::JsonKey(Bytes key) noexcept
    : key_(key),
      is_text_(is_utf8(key)),
      escaped_bytes_(is_text_ ? json_escaped_bytes(as_text(key)) : 0) {}

size_t JsonKey::bytes() const noexcept {
  if (is_text_) return kBefore.size() + escaped_bytes_ + kAfterText.size();
  return kBefore.size() + base64_encoded_bytes(key_.size()) + kAfterBase64.size();
}

char* JsonKey::write(char* to) const noexcept {
  to = write_text(kBefore, to);
  if (is_text_) {
    const bool is_plain = escaped_bytes_ == key_.size();
    to = is_plain ? write_text(as_text(key_), to) : write_json_escaped(as_text(key_), to);
    return write_text(kAfterText, to);
  }
  Base64Encoder encoder(to);
  encoder.add(key_);
  return write_text(kAfterBase64, encoder.finish());
}

}  // namespace small_db
