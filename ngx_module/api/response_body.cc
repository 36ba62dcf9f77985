#include "ngx_module/api/response_body.h"

#include <algorithm>

#include "ngx_module/api/json_text.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/utf8.h"

namespace small_db {
namespace {

constexpr std::string_view kBeforeKey = R"({"key":")";
constexpr std::string_view kBeforeValue = R"(","value":")";
constexpr std::string_view kBeforeValueAfterEncodedKey = R"(","key_encoding":"base64","value":")";
constexpr std::string_view kAfterValue = R"(","encoding":"base64"})";

std::string_view before_value(bool key_is_text) noexcept {
  return key_is_text ? kBeforeValue : kBeforeValueAfterEncodedKey;
}

// 420 as 0.42, 1000 as 1.
char* write_progress(uint32_t permille, char* to) noexcept {
  permille = std::min(permille, 1000U);
  *to++ = static_cast<char>('0' + permille / 1000);
  uint32_t rest = permille % 1000;
  if (rest == 0) return to;
  *to++ = '.';
  for (uint32_t unit = 100; rest != 0; rest %= unit, unit /= 10) {
    *to++ = static_cast<char>('0' + rest / unit);
  }
  return to;
}

}  // namespace

ItemBody::ItemBody(Bytes key, size_t value_bytes) noexcept
    : key_(key),
      key_is_text_(is_utf8(key)),
      key_output_bytes_(key_is_text_ ? json_escaped_bytes(as_text(key))
                                     : base64_encoded_bytes(key.size())),
      value_bytes_(value_bytes),
      value_left_(value_bytes) {}

size_t ItemBody::bytes() const noexcept {
  return kBeforeKey.size() + key_output_bytes_ + before_value(key_is_text_).size() +
         base64_encoded_bytes(value_bytes_) + kAfterValue.size();
}

void ItemBody::begin(char* to) noexcept {
  to = write_text(kBeforeKey, to);
  if (key_is_text_) {
    to = write_json_escaped(as_text(key_), to);
  } else {
    Base64Encoder key_encoder(to);
    key_encoder.add(key_);
    to = key_encoder.finish();
  }
  encoder_ = Base64Encoder(write_text(before_value(key_is_text_), to));
}

void ItemBody::add(Bytes piece) noexcept {
  if (piece.size() > value_left_) exceeded_ = true;
  const size_t taken = std::min(piece.size(), value_left_);
  encoder_.add(piece.first(taken));
  value_left_ -= taken;
}

Status ItemBody::finish() noexcept {
  if (exceeded_ || value_left_ != 0) return Status(Code::kCorruption, "response: value length");
  write_text(kAfterValue, encoder_.finish());
  return Status::ok();
}

HealthBody::HealthBody(const Health& health) noexcept {
  // A quote and a backslash are all that is escaped in a detail: two bytes for one.
  static_assert(sizeof(text_) >= 2 * kReasonBytes + 128);
  char* to = text_.data();
  if (is_healthy(health)) {
    const std::string_view text = health.disk_full ? kOkDiskFullBody : kOkBody;
    length_ = static_cast<size_t>(write_text(text, to) - to);
    return;
  }
  to = write_text(R"({"ok":false,"state":")", to);
  to = write_text(state_name(health.state), to);
  *to++ = '"';
  if (health.state == StoreState::kLoading) {
    to = write_text(R"(,"progress":)", to);
    to = write_progress(health.progress_permille, to);
  }
  if (!health.reason.empty()) {
    to = write_text(R"(,"reason":")", to);
    const Problem printable =
        make_problem(ProblemKind::kUnavailable, {health.reason.substr(0, kReasonBytes)});
    to = write_json_escaped(printable.detail, to);
    *to++ = '"';
  }
  *to++ = '}';
  length_ = static_cast<size_t>(to - text_.data());
}

const char* state_name(StoreState state) noexcept {
  switch (state) {
    case StoreState::kStarting:
      return "starting";
    case StoreState::kLoading:
      return "loading";
    case StoreState::kServing:
      return "serving";
    case StoreState::kReadOnly:
      return "read-only";
    case StoreState::kRefused:
      return "refused";
    case StoreState::kHandedOver:
      return "handed-over";
  }
  return "unknown";
}

}  // namespace small_db
