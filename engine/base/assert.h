// Assertions that are always on. For programmer errors only: never for what came from disk,
// network, client, configuration, or memory that another process wrote; those return a Status.
#pragma once

namespace small_db {

// Prints file, line and expression to standard error and aborts.
[[noreturn]] void assertion_failed(const char* expression, const char* file, int line) noexcept;

}  // namespace small_db

#define SMALL_DB_ASSERT(expression)                     \
  (static_cast<bool>(expression) ? static_cast<void>(0) \
                                 : ::small_db::assertion_failed(#expression, __FILE__, __LINE__))
