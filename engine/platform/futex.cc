#include "engine/platform/futex.h"

#include <linux/futex.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <climits>
#include <ctime>

namespace small_db {

// The kernel compares four plain bytes.
static_assert(sizeof(std::atomic<uint32_t>) == sizeof(uint32_t));
static_assert(std::atomic<uint32_t>::is_always_lock_free);

// Never FUTEX_PRIVATE_FLAG: the word is shared between processes.

bool futex_wait(std::atomic<uint32_t>& word, uint32_t expected, uint64_t timeout_us) noexcept {
  timespec timeout{};
  timeout.tv_sec = static_cast<time_t>(timeout_us / 1000000);
  timeout.tv_nsec = static_cast<long>(timeout_us % 1000000 * 1000);
  const timespec* const limit = timeout_us == UINT64_MAX ? nullptr : &timeout;
  const long result = ::syscall(SYS_futex, &word, FUTEX_WAIT, expected, limit, nullptr, 0);
  // EAGAIN (the word has changed) and EINTR are wakes without a cause.
  return result == 0 || errno != ETIMEDOUT;
}

void futex_wake(std::atomic<uint32_t>& word, uint32_t count) noexcept {
  const int sleepers = static_cast<int>(std::min<uint32_t>(count, INT_MAX));
  ::syscall(SYS_futex, &word, FUTEX_WAKE, sleepers, nullptr, nullptr, 0);
}

}  // namespace small_db
