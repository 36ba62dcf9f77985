// A text for people in memory that processes share: one writer, any number of readers, no lock. The
// bytes are zero at first, which is the empty text.
//
// A seqlock: the version is odd while the text changes. The characters are stored with release and
// loaded with acquire order instead of fences between relaxed accesses: a reader that got one
// character of a newer text is then sure to see that text's odd version, or a later one, at its
// second look.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <thread>

#include "engine/base/kill_point.h"

namespace small_db {

template <size_t kBytes>
struct alignas(64) SharedText {
  // The text as last set whole; empty if there is none, or if its writer died or was stopped in the
  // middle of it.
  std::string get() const {
    for (int attempt = 0; attempt < kAttemptsMax; ++attempt) {
      const uint32_t seen = version.load(std::memory_order_acquire);  // pairs with set's last
      if (seen % 2 == 0) {
        std::string text;
        for (const std::atomic<char>& character : characters) {
          const char value = character.load(std::memory_order_acquire);  // pairs with set's
          if (value == 0) break;
          text.push_back(value);
        }
        if (version.load(std::memory_order_relaxed) == seen) return text;
      }
      std::this_thread::yield();
    }
    return {};
  }

  // Cut to kBytes - 1, at its first zero byte. A former writer that died between its stores left
  // an odd version: this goes on from there.
  void set(std::string_view text) noexcept {
    const uint32_t writing = version.load(std::memory_order_relaxed) | 1;
    version.store(writing, std::memory_order_relaxed);
    SMALL_DB_KILL_POINT("text: half written");
    text = text.substr(0, kBytes - 1);
    for (size_t i = 0; i < text.size(); ++i) {
      characters[i].store(text[i], std::memory_order_release);  // pairs with get's load
    }
    characters[text.size()].store(0, std::memory_order_release);
    version.store(writing + 1, std::memory_order_release);  // pairs with get's load
    SMALL_DB_KILL_POINT("text: written");
  }

  static constexpr int kAttemptsMax = 1000;

  std::atomic<uint32_t> version;
  std::atomic<char> characters[kBytes];
};

}  // namespace small_db
