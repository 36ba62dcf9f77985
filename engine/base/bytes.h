// Spans of bytes and little-endian fields. Every format of the engine is little-endian, on disk and
// in shared memory, and the engine runs on little-endian machines only.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace small_db {

static_assert(std::endian::native == std::endian::little, "formats are little-endian");

using Bytes = std::span<const std::byte>;
using MutableBytes = std::span<std::byte>;

inline Bytes as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::byte*>(text.data()), text.size()};
}

inline std::string_view as_text(Bytes bytes) noexcept {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Reads a T at `from`, which needs no alignment. REQUIRES: sizeof(T) readable bytes.
template <typename T>
inline T load(const std::byte* from) noexcept {
  T value;
  std::memcpy(&value, from, sizeof(T));
  return value;
}

// Writes `value` at `to`, which needs no alignment. REQUIRES: sizeof(T) writable bytes.
template <typename T>
inline void store(std::byte* to, T value) noexcept {
  std::memcpy(to, &value, sizeof(T));
}

// `from` copied to `to`; an empty span may have a null pointer, which memcpy may not.
inline void copy_bytes(std::byte* to, Bytes from) noexcept {
  if (!from.empty()) std::memcpy(to, from.data(), from.size());
}

// Byte order of keys: unsigned, a prefix before what it is a prefix of. Negative, zero or positive.
inline int compare_bytes(Bytes left, Bytes right) noexcept {
  const size_t common = left.size() < right.size() ? left.size() : right.size();
  const int order = common == 0 ? 0 : std::memcmp(left.data(), right.data(), common);
  if (order != 0) return order;
  return left.size() < right.size() ? -1 : (left.size() > right.size() ? 1 : 0);
}

constexpr uint64_t align_up(uint64_t value, uint64_t alignment) noexcept {
  return (value + alignment - 1) / alignment * alignment;
}

}  // namespace small_db
