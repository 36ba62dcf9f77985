// A counter's value: the decimal text of a signed 64-bit number, such as a person would write it.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string_view>

#include "engine/base/bytes.h"

namespace small_db {

// "-9223372036854775808" has the most characters.
inline constexpr size_t kCounterBytesMax = 20;

// The number that the whole text is: an optional minus sign, then digits. Nothing when it is
// something else, or does not fit 64 bits.
std::optional<int64_t> parse_counter(Bytes text) noexcept;

class CounterText {
 public:
  explicit CounterText(int64_t number) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, kCounterBytesMax> text_;
  size_t length_ = 0;
};

}  // namespace small_db
