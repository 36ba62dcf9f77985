// Bodies that tell how a write ended. Pure functions; worker processes call them.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace small_db {

// {"value":"42","revision":17}: a counter after its step.
class CounterBody {
 public:
  CounterBody(int64_t number, uint64_t revision) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 80> text_;
  size_t length_ = 0;
};

// {"ok":true,"revision":17,"count":3}: a write of many keys.
class CountBody {
 public:
  CountBody(uint64_t revision, uint64_t count) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 80> text_;
  size_t length_ = 0;
};

}  // namespace small_db
