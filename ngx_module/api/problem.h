// Error answers: application/problem+json (RFC 9457). The one place that maps the engine's codes to
// HTTP. The types are part of the contract: clients branch on them, so they never change.
//
// Nothing here throws: where memory for the detail cannot be had, the problem has none.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

#include "engine/base/status.h"

namespace small_db {

inline constexpr std::string_view kProblemContentType = "application/problem+json";

enum class ProblemKind : uint8_t {
  kUnknownPath,           // 404: no such resource under the mount point
  kNotFound,              // 404: no such key
  kInvalidPath,           // 400: the path is not valid percent-encoding
  kAmbiguousPath,         // 400: the path means two things to nginx and to the store
  kInvalidKey,            // 400: the key is empty or missing
  kInvalidQuery,          // 400: an unknown, repeated or malformed parameter
  kInvalidHeader,         // 400: a header's value is malformed
  kInvalidBody,           // 400: the body is not the JSON that is asked for
  kInvalidArgument,       // 400: any other broken rule
  kNoCheckpoint,          // 404: the store has no checkpoint yet
  kNotPrimary,            // 403: a backup, or a node that was fenced, takes no writes
  kNotAcceptable,         // 406: the value can't be shown as asked for
  kMethodNotAllowed,      // 405: with Allow
  kDiverged,              // 409: a follower holds what this node does not
  kOtherCluster,          // 409: a follower belongs to other data
  kFenced,                // 409: a follower has heard of a later primary
  kStaleEpoch,            // 409: a follower has not heard of this primary's epoch
  kNotANumber,            // 409: a counter's text is no number
  kOutOfRange,            // 409: a counter would leave its range
  kBootstrapNeeded,       // 410: a follower needs a checkpoint first
  kConditionFailed,       // 412
  kTooLarge,              // 413: names the limit
  kUnsupportedMediaType,  // 415
  kInvalidOperation,      // 422: an operation of a batch or transaction that can't be done
  kRangeNotSatisfiable,   // 416: with Content-Range
  kInternal,              // 500
  kCorruption,            // 500
  kCheckpointFailed,      // 500: the generation before stays in force
  kOverloaded,            // 503: nothing was done, try again
  kContended,             // 503: others changed what a transaction read, again and again
  kUnavailable,           // 503: the store does not serve now
  kReadOnly,              // 503: the store takes no writes now
  kNotReplicated,         // 503: too few backups answer
  kOutcomeUnknown,        // 503: the write may be durable or not
  kNoMemory,              // 507
  kNoDiskSpace,           // 507
};

struct Problem {
  int status = 500;
  const char* type = "";
  const char* title = "";
  std::string detail;           // UTF-8 without line breaks; may be empty
  int retry_after_seconds = 0;  // value of Retry-After; 0: no such header
  const char* allow = "";       // value of Allow; empty: no such header
};

// A piece of a detail: text or a number.
class DetailPiece {
 public:
  DetailPiece(std::string_view text) noexcept : text_(text) {}  // NOLINT
  DetailPiece(const char* text) noexcept : text_(text) {}       // NOLINT
  DetailPiece(uint64_t number) noexcept;                        // NOLINT
  DetailPiece(const DetailPiece&) = delete;
  DetailPiece& operator=(const DetailPiece&) = delete;

  std::string_view text() const noexcept { return text_; }

 private:
  std::array<char, 20> digits_;
  std::string_view text_;
};

// What came from a client, made fit for a detail: cut to 64 bytes, and what is not printable ASCII
// as \xNN.
class QuotedInput {
 public:
  explicit QuotedInput(std::string_view input) noexcept;
  std::string_view text() const noexcept { return {text_.data(), length_}; }

 private:
  std::array<char, 64 * 4 + 3> text_;
  size_t length_ = 0;
};

// The problem with its detail joined from `pieces`.
Problem make_problem(ProblemKind kind, std::initializer_list<DetailPiece> pieces) noexcept;

// 405, with the Allow header. allow: a literal such as "GET, HEAD, OPTIONS".
Problem method_not_allowed(std::string_view method, const char* allow) noexcept;

// 413: "the value has 2000000 bytes, the limit max_value_size is 1048576".
Problem too_large(const char* what, uint64_t bytes, const char* limit_name,
                  uint64_t limit) noexcept;

// The kind that a failed engine call is answered with.
ProblemKind problem_kind(Code code) noexcept;

// The answer to a failed engine call. detail: what the caller knows, such as the store's reason;
// bytes that are not UTF-8 or that break the line are replaced. REQUIRES: code is not kOk.
Problem problem_of(Code code, std::string_view detail) noexcept;

// The answer to a failed checkpoint. REQUIRES: code is not kOk.
Problem checkpoint_problem(Code code, std::string_view detail) noexcept;

// The body: {"type","title","status","detail"?,"error"}. Exact length; and its writing, which
// returns the end of the output. REQUIRES: room for problem_body_bytes(problem).
size_t problem_body_bytes(const Problem& problem) noexcept;
char* write_problem_body(const Problem& problem, char* to) noexcept;

}  // namespace small_db
