// Bodies of successful answers. Each knows its exact length before a byte is written, so that a
// response is one buffer of the right size, and a value goes from shared memory to the client with
// one copy.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "engine/base/bytes.h"
#include "engine/base/status.h"
#include "engine/replication/handshake.h"
#include "engine/shm/region.h"
#include "ngx_module/api/base64.h"
#include "ngx_module/api/json_key.h"

namespace small_db {

inline constexpr std::string_view kJsonContentType = "application/json";
inline constexpr std::string_view kOkBody = R"({"ok":true})";
inline constexpr std::string_view kOkDiskFullBody = R"({"ok":true,"disk_full":true})";

// {"key":"…","value":"…","encoding":"base64"}. A key that is not UTF-8 stands there as base64, with
// "key_encoding":"base64" after it.
//
//   ItemBody body(key, value.bytes());
//   char* end = buffer of body.bytes();
//   body.begin(buffer);
//   value.for_each_piece([&](Bytes piece) { body.add(piece); });
//   status = body.finish();
class ItemBody {
 public:
  // key must stay valid until begin() has returned.
  ItemBody(Bytes key, size_t value_bytes) noexcept;

  size_t bytes() const noexcept;

  // REQUIRES: room for bytes() at `to`.
  void begin(char* to) noexcept;

  // The value's next piece. What exceeds the announced length is not written: pieces come from
  // memory that another process wrote.
  void add(Bytes piece) noexcept;

  // Errors: kCorruption when the pieces were not exactly the announced length; the buffer must then
  // not be sent.
  Status finish() noexcept;

 private:
  JsonKey key_;
  size_t value_bytes_;
  size_t value_left_;
  bool exceeded_ = false;
  Base64Encoder encoder_{nullptr};
};

// {"key":"…","value":"…","encoding":"utf-8"}, the key as above.
class TextItemBody {
 public:
  // Both must outlive this. REQUIRES: value is UTF-8.
  TextItemBody(Bytes key, std::string_view value) noexcept : key_(key), value_(value) {}

  size_t bytes() const noexcept;

  // Returns the end of the output. REQUIRES: room for bytes().
  char* write(char* to) const noexcept;

 private:
  JsonKey key_;
  std::string_view value_;
};

// GET …/health. Runs in a worker.
struct Health {
  StoreState state = StoreState::kStarting;
  uint32_t progress_permille = 0;  // told while loading
  bool disk_full = false;          // told while it serves: puts may be refused
  std::string_view reason;         // told unless it serves; may be empty, may be any bytes
};

// 200 when true, 503 with Retry-After otherwise.
inline bool is_healthy(const Health& health) noexcept {
  return health.state == StoreState::kServing;
}

// {"ok":true} | {"ok":true,"disk_full":true} | {"ok":false,"state":"loading","progress":0.42} |
// {"ok":false,"state":"refused","reason":"…"}. A reason is cut to kReasonBytes.
class HealthBody {
 public:
  explicit HealthBody(const Health& health) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 2 * kReasonBytes + 256> text_;
  size_t length_ = 0;
};

// "starting", "loading", "serving", "read-only", "refused", "handed-over".
const char* state_name(StoreState state) noexcept;

// {"role":"primary"} | {"role":"backup"} | {"role":"fenced"}.
std::string_view role_body(Role role) noexcept;

}  // namespace small_db
