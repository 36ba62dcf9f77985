// What the benchmark programs share: arguments of the form --name=value, keys, time, and the way
// out when something fails.
#pragma once

#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "engine/platform/clock.h"

namespace small_db::bench {

[[noreturn]] inline void fail(std::string_view what) {
  std::fprintf(stderr, "%.*s\n", static_cast<int>(what.size()), what.data());
  std::exit(1);
}

class Arguments {
 public:
  Arguments(int count, char** arguments) : arguments_(arguments + 1, arguments + count) {}

  std::string text(std::string_view name, std::string_view otherwise) const {
    const std::string start = "--" + std::string(name) + "=";
    for (std::string_view argument : arguments_) {
      if (argument.substr(0, start.size()) == start) {
        return std::string(argument.substr(start.size()));
      }
    }
    return std::string(otherwise);
  }

  // A whole number of at least 1.
  uint64_t number(std::string_view name, uint64_t otherwise) const {
    const std::string value = text(name, std::to_string(otherwise));
    char* end = nullptr;
    const uint64_t result = std::strtoull(value.c_str(), &end, 10);
    if (*end != '\0' || result == 0) fail("--" + std::string(name) + ": a number of at least 1");
    return result;
  }

 private:
  std::vector<std::string_view> arguments_;
};

inline constexpr size_t kValueBytes = 100;

// The same keys as redis-benchmark makes with -r.
inline std::string key_of(uint64_t index) {
  char text[32];
  std::snprintf(text, sizeof text, "key:%012llu", static_cast<unsigned long long>(index));
  return text;
}

// xorshift64*: costs next to nothing beside what is measured.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed * 0x9e3779b97f4a7c15 + 1) {}
  uint64_t below(uint64_t limit) {
    state_ ^= state_ >> 12;
    state_ ^= state_ << 25;
    state_ ^= state_ >> 27;
    return ((state_ * 0x2545f4914f6cdd1d) >> 32) * limit >> 32;
  }

 private:
  uint64_t state_;
};

class Stopwatch {
 public:
  double seconds() const {
    return static_cast<double>(system_clock().monotonic_us() - started_us_) / 1e6;
  }

 private:
  uint64_t started_us_ = system_clock().monotonic_us();
};

}  // namespace small_db::bench
