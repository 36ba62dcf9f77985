#include "ngx_module/api/response_body.h"

#include <algorithm>

#include "ngx_module/api/json_text.h"
#include "ngx_module/api/problem.h"

namespace small_db {
namespace {

constexpr std::string_view kBeforeKey = "{";
constexpr std::string_view kBeforeValue = R"(,"value":")";
constexpr std::string_view kAfterValue = R"(","encoding":"base64"})";
constexpr std::string_view kAfterTextValue = R"(","encoding":"utf-8"})";

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
    : key_(key), value_bytes_(value_bytes), value_left_(value_bytes) {}

size_t ItemBody::bytes() const noexcept {
  return kBeforeKey.size() + key_.bytes() + kBeforeValue.size() +
         base64_encoded_bytes(value_bytes_) + kAfterValue.size();
}

void ItemBody::begin(char* to) noexcept {
  to = key_.write(write_text(kBeforeKey, to));
  encoder_ = Base64Encoder(write_text(kBeforeValue, to));
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

size_t TextItemBody::bytes() const noexcept {
  return kBeforeKey.size() + key_.bytes() + kBeforeValue.size() + json_escaped_bytes(value_) +
         kAfterTextValue.size();
}

char* TextItemBody::write(char* to) const noexcept {
  to = write_text(kBeforeValue, key_.write(write_text(kBeforeKey, to)));
  return write_text(kAfterTextValue, write_json_escaped(value_, to));
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

std::string_view role_body(Role role) noexcept {
  switch (role) {
    case Role::kUnknown:
      return R"({"role":"unknown"})";
    case Role::kPrimary:
      return R"({"role":"primary"})";
    case Role::kBackup:
      return R"({"role":"backup"})";
    case Role::kFenced:
      break;
  }
  return R"({"role":"fenced"})";
}

}  // namespace small_db
