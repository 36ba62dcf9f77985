// futex(2) on a word that processes share.
#pragma once

#include <atomic>
#include <cstdint>

namespace small_db {

// Sleeps while `word` holds `expected`, at most timeout_us (UINT64_MAX: for ever). Returns false at
// the timeout; may return true without cause.
bool futex_wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_us) noexcept;

// Wakes up to `count` sleepers.
void futex_wake(std::atomic<uint32_t>& word, uint32_t count) noexcept;

}  // namespace small_db
