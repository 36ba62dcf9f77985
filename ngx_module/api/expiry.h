// When a record expires, as clients say it and as they are told: a time to live, or a point in
// time. What the store keeps is Unix time in milliseconds, 0 for never.
//
// Pure functions; worker processes call them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace small_db {

// The last millisecond of the year 9999, the last that RFC 3339 can say.
inline constexpr uint64_t kExpiryMsMax = 253'402'300'799'999;

// What was parsed. `why_not` is a literal that says what is wrong, in words that follow the
// parameter's name ("must be …"); nullptr when nothing is.
struct ParsedExpiry {
  uint64_t expires_at_ms = 0;
  const char* why_not = nullptr;

  bool is_ok() const noexcept { return why_not == nullptr; }
};

// A time to live from now on: "90" and "90s" are seconds, "15m", "24h", "7d".
ParsedExpiry parse_ttl(std::string_view text, uint64_t now_ms) noexcept;
ParsedExpiry expiry_after(int64_t seconds, uint64_t now_ms) noexcept;

// A point in time, which must not have passed: RFC 3339 ("2031-01-31T12:00:00Z", any offset, with
// or without a fraction of a second) or Unix time in seconds.
ParsedExpiry parse_expires_at(std::string_view text, uint64_t now_ms) noexcept;
ParsedExpiry expiry_at(int64_t unix_seconds, uint64_t now_ms) noexcept;

// "2031-01-31T12:00:00Z", or with milliseconds where there are any: "2031-01-31T12:00:00.250Z".
class ExpiryText {
 public:
  // A time beyond kExpiryMsMax is shown as kExpiryMsMax.
  explicit ExpiryText(uint64_t expires_at_ms) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 24> text_;
  size_t length_ = 0;
};

}  // namespace small_db
