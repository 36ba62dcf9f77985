#include "engine/record/counter.h"

#include <charconv>

namespace small_db {

std::optional<int64_t> parse_counter(Bytes text) noexcept {
  if (text.size() > kCounterBytesMax) return std::nullopt;
  const char* const from = reinterpret_cast<const char*>(text.data());
  const char* const end = from + text.size();
  int64_t number = 0;
  const auto [parsed, error] = std::from_chars(from, end, number);
  if (error != std::errc() || parsed != end) return std::nullopt;
  return number;
}

CounterText::CounterText(int64_t number) noexcept {
  const auto end = std::to_chars(text_.data(), text_.data() + text_.size(), number).ptr;
  length_ = static_cast<size_t>(end - text_.data());
}

}  // namespace small_db
