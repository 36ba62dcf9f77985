// The engine's one error type: a code, an errno and the place that made it. Text is made at the
// edge (logs, HTTP), never here, so that a Status costs no allocation and can be made on any
// thread.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <utility>

#include "engine/base/assert.h"

namespace small_db {

enum class Code : uint8_t {
  kOk = 0,
  kNotFound,         // no such key, no such file
  kInvalidArgument,  // the caller's input breaks a documented rule
  kTooLarge,         // the input exceeds a configured or built-in limit
  kNoMemory,         // the arena has no room; nothing was changed
  kNoDiskSpace,      // the log has no prepared space and none can be had; nothing was changed
  kOverloaded,       // a ring or a slot table is full; nothing was changed, try again
  kUnavailable,      // the store does not serve now (loading, refused, handed over)
  kReadOnly,         // the store serves reads only, after an I/O failure
  kNotPrimary,       // this node is a backup, or was fenced: writes go to the primary
  kNotReplicated,    // too few backups answer; nothing was changed
  kOutcomeUnknown,   // the write may or may not be durable
  kConditionFailed,  // a precondition did not hold; nothing was changed
  kNotANumber,       // a counter's text is no decimal number of 64 bits; nothing was changed
  kOutOfRange,       // a counter would leave the range of its type; nothing was changed
  kCorruption,       // bytes on disk or in shared memory contradict themselves
  kWrongFormat,      // a file or region of another format or version
  kIoError,          // a system call failed; error_number() says how
  kInterrupted,      // a wait was told to stop
};

// The code's stable lower-case name, such as "no-memory": for logs and metrics.
const char* code_name(Code code) noexcept;

class [[nodiscard]] Status {
 public:
  constexpr Status() noexcept = default;
  // site: a string literal that names the failing step, such as "log: sync".
  constexpr Status(Code code, const char* site, int error_number = 0) noexcept
      : code_(code), error_number_(error_number), site_(site) {}

  static constexpr Status ok() noexcept { return Status(); }

  constexpr bool is_ok() const noexcept { return code_ == Code::kOk; }
  constexpr Code code() const noexcept { return code_; }
  constexpr int error_number() const noexcept { return error_number_; }
  constexpr const char* site() const noexcept { return site_; }

  // "log: sync: io-error: Input/output error (5)". Allocates; for logs and tests.
  std::string text() const;

 private:
  Code code_ = Code::kOk;
  int32_t error_number_ = 0;
  const char* site_ = "";
};

// A value, or the Status that explains why there is none.
template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) noexcept : value_(std::move(value)) {}  // NOLINT(google-explicit-constructor)
  Result(Status status) noexcept : status_(status) {      // NOLINT(google-explicit-constructor)
    SMALL_DB_ASSERT(!status.is_ok());
  }

  bool is_ok() const noexcept { return value_.has_value(); }
  const Status& status() const noexcept { return status_; }

  T& value() & noexcept {
    SMALL_DB_ASSERT(is_ok());
    return *value_;
  }
  const T& value() const& noexcept {
    SMALL_DB_ASSERT(is_ok());
    return *value_;
  }
  T&& value() && noexcept {
    SMALL_DB_ASSERT(is_ok());
    return std::move(*value_);
  }

 private:
  std::optional<T> value_;
  Status status_;
};

}  // namespace small_db

// Returns the Status of `expression` from the enclosing function unless it is ok.
#define SMALL_DB_RETURN_IF_ERROR(expression)                \
  do {                                                      \
    ::small_db::Status small_db_status_ = (expression);     \
    if (!small_db_status_.is_ok()) return small_db_status_; \
  } while (false)
