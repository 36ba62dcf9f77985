// Where the storage worker tells people what happened: one line per event, for nginx's error log.
#pragma once

#include <cstdint>
#include <string_view>

namespace small_db {

enum class Severity : uint8_t { kInfo, kNotice, kWarning, kError, kAlert };

class EventLog {
 public:
  virtual ~EventLog() = default;
  // Any thread. Never throws.
  virtual void write(Severity severity, std::string_view line) noexcept = 0;
};

}  // namespace small_db
