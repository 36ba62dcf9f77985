// Stands in for the kernel's getrandom(2) in the crash tests: what a store draws (ids of its files)
// is the same in each run, so that a failure can be shown again to the byte. And it costs nothing.
#include <sys/random.h>

#include <cstring>

#include "tests/sim/sim_fs_random.h"

extern "C" ssize_t getrandom(void* into, size_t bytes, unsigned) {
  static small_db::SimRandom random(1);
  for (size_t at = 0; at < bytes; at += sizeof(uint64_t)) {
    const uint64_t word = random.next();
    std::memcpy(static_cast<char*>(into) + at, &word,
                bytes - at < sizeof word ? bytes - at : sizeof word);
  }
  return static_cast<ssize_t>(bytes);
}
