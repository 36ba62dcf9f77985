#include "engine/base/status.h"

#include <cstring>

namespace small_db {

const char* code_name(Code code) noexcept {
  switch (code) {
    case Code::kOk:
      return "ok";
    case Code::kNotFound:
      return "not-found";
    case Code::kInvalidArgument:
      return "invalid-argument";
    case Code::kTooLarge:
      return "too-large";
    case Code::kNoMemory:
      return "no-memory";
    case Code::kNoDiskSpace:
      return "no-disk-space";
    case Code::kOverloaded:
      return "overloaded";
    case Code::kUnavailable:
      return "unavailable";
    case Code::kReadOnly:
      return "read-only";
    case Code::kNotPrimary:
      return "not-primary";
    case Code::kNotReplicated:
      return "not-replicated";
    case Code::kOutcomeUnknown:
      return "outcome-unknown";
    case Code::kConditionFailed:
      return "condition-failed";
    case Code::kNotANumber:
      return "not-a-number";
    case Code::kOutOfRange:
      return "out-of-range";
    case Code::kCorruption:
      return "corruption";
    case Code::kWrongFormat:
      return "wrong-format";
    case Code::kIoError:
      return "io-error";
    case Code::kInterrupted:
      return "interrupted";
  }
  return "unknown";
}

std::string Status::text() const {
  std::string text = site_;
  if (!text.empty()) text += ": ";
  text += code_name(code_);
  if (error_number_ != 0) {
    text += ": ";
    text += std::strerror(error_number_);
    text += " (" + std::to_string(error_number_) + ")";
  }
  return text;
}

}  // namespace small_db
