#include "engine/base/assert.h"

#include <cstdio>
#include <cstdlib>

namespace small_db {

void assertion_failed(const char* expression, const char* file, int line) noexcept {
  std::fprintf(stderr, "small_db: %s:%d: assertion failed: %s\n", file, line, expression);
  std::abort();
}

}  // namespace small_db
