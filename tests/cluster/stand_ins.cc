// These definitions come before the engine's and the C library's: the linker takes the program's
// own first.
#include "tests/cluster/stand_ins.h"

#include <sys/random.h>

#include <algorithm>
#include <cstring>

#include "engine/base/assert.h"
#include "engine/platform/futex.h"
#include "tests/cluster/fiber.h"
#include "tests/sim/sim_fs_random.h"

namespace small_db {
namespace {

SimRandom kernel_random(1);

}  // namespace

void reseed_kernel(uint64_t seed) { kernel_random = SimRandom(seed); }

bool futex_wait(std::atomic<uint32_t>&, uint32_t, uint64_t) noexcept {
  SMALL_DB_ASSERT(Fiber::is_within());  // nobody would end the wait
  Fiber::pause();
  return true;
}

void futex_wake(std::atomic<uint32_t>&, uint32_t) noexcept {}

}  // namespace small_db

extern "C" ssize_t getrandom(void* into, size_t bytes, unsigned) {
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = small_db::kernel_random.next();
    std::memcpy(static_cast<char*>(into) + at, &word, std::min(bytes - at, sizeof word));
  }
  return static_cast<ssize_t>(bytes);
}
