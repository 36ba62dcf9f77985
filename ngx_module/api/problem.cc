#include "ngx_module/api/problem.h"

#include <charconv>
#include <iterator>
#include <new>

#include "ngx_module/api/json_text.h"
#include "ngx_module/api/utf8.h"

namespace small_db {
namespace {

// How soon a client may try again what was refused for a passing reason.
constexpr int kRetryAfterSeconds = 1;

struct KindRow {
  ProblemKind kind;
  int status;
  const char* type;
  const char* title;
};

constexpr KindRow kKinds[] = {
    {ProblemKind::kUnknownPath, 404, "urn:small-db:problem:unknown-path", "No such resource"},
    {ProblemKind::kNotFound, 404, "urn:small-db:problem:not-found", "No such key"},
    {ProblemKind::kInvalidPath, 400, "urn:small-db:problem:invalid-path", "Invalid path"},
    {ProblemKind::kAmbiguousPath, 400, "urn:small-db:problem:ambiguous-path", "Ambiguous path"},
    {ProblemKind::kInvalidKey, 400, "urn:small-db:problem:invalid-key", "Invalid key"},
    {ProblemKind::kInvalidQuery, 400, "urn:small-db:problem:invalid-query", "Invalid query"},
    {ProblemKind::kInvalidHeader, 400, "urn:small-db:problem:invalid-header", "Invalid header"},
    {ProblemKind::kInvalidBody, 400, "urn:small-db:problem:invalid-body", "Invalid body"},
    {ProblemKind::kInvalidArgument, 400, "urn:small-db:problem:invalid-argument",
     "Invalid argument"},
    {ProblemKind::kNoCheckpoint, 404, "urn:small-db:problem:no-checkpoint", "No checkpoint yet"},
    {ProblemKind::kNotPrimary, 403, "urn:small-db:problem:not-primary",
     "This node is not the primary"},
    {ProblemKind::kNotAcceptable, 406, "urn:small-db:problem:not-acceptable", "Not acceptable"},
    {ProblemKind::kMethodNotAllowed, 405, "urn:small-db:problem:method-not-allowed",
     "Method not allowed"},
    {ProblemKind::kDiverged, 409, "urn:small-db:problem:diverged", "The histories differ"},
    {ProblemKind::kOtherCluster, 409, "urn:small-db:problem:other-cluster", "Another cluster"},
    {ProblemKind::kFenced, 409, "urn:small-db:problem:fenced", "There is a later primary"},
    {ProblemKind::kStaleEpoch, 409, "urn:small-db:problem:stale-epoch", "Stale epoch"},
    {ProblemKind::kNotANumber, 409, "urn:small-db:problem:not-a-number", "Not a number"},
    {ProblemKind::kOutOfRange, 409, "urn:small-db:problem:out-of-range", "Out of range"},
    {ProblemKind::kBootstrapNeeded, 410, "urn:small-db:problem:bootstrap-needed",
     "A checkpoint is needed first"},
    {ProblemKind::kConditionFailed, 412, "urn:small-db:problem:condition-failed",
     "Precondition failed"},
    {ProblemKind::kTooLarge, 413, "urn:small-db:problem:too-large", "Too large"},
    {ProblemKind::kUnsupportedMediaType, 415, "urn:small-db:problem:unsupported-media-type",
     "Unsupported media type"},
    {ProblemKind::kInvalidOperation, 422, "urn:small-db:problem:invalid-operation",
     "Invalid operation"},
    {ProblemKind::kRangeNotSatisfiable, 416, "urn:small-db:problem:range-not-satisfiable",
     "Range not satisfiable"},
    {ProblemKind::kInternal, 500, "urn:small-db:problem:internal", "Internal error"},
    {ProblemKind::kCorruption, 500, "urn:small-db:problem:corruption", "Data is damaged"},
    {ProblemKind::kCheckpointFailed, 500, "urn:small-db:problem:checkpoint-failed",
     "The checkpoint failed"},
    {ProblemKind::kOverloaded, 503, "urn:small-db:problem:overloaded", "Overloaded"},
    {ProblemKind::kContended, 503, "urn:small-db:problem:contended",
     "Others changed the same keys"},
    {ProblemKind::kUnavailable, 503, "urn:small-db:problem:unavailable",
     "The store does not serve now"},
    {ProblemKind::kReadOnly, 503, "urn:small-db:problem:read-only",
     "The store takes no writes now"},
    {ProblemKind::kNotReplicated, 503, "urn:small-db:problem:not-replicated",
     "Too few backups answer"},
    {ProblemKind::kOutcomeUnknown, 503, "urn:small-db:problem:outcome-unknown",
     "The write may be durable or not"},
    {ProblemKind::kNoMemory, 507, "urn:small-db:problem:no-memory", "The store's memory is full"},
    {ProblemKind::kNoDiskSpace, 507, "urn:small-db:problem:no-disk-space", "The disk is full"},
};

constexpr bool rows_are_in_order() {
  for (size_t i = 0; i < std::size(kKinds); i++) {
    if (kKinds[i].kind != static_cast<ProblemKind>(i)) return false;
  }
  return true;
}
static_assert(rows_are_in_order(), "a kind is the index of its row");

// Text for a detail may hold a path or a reason from disk: what would break the line or the JSON
// becomes '?'.
void append_printable(std::string_view text, std::string* to) {
  while (!text.empty()) {
    const size_t valid = utf8_valid_prefix(as_bytes(text));
    for (const char character : text.substr(0, valid)) {
      to->push_back(static_cast<uint8_t>(character) < 0x20 ? '?' : character);
    }
    if (valid == text.size()) return;
    to->push_back('?');
    text.remove_prefix(valid + 1);
  }
}

// Measures where `to` is null, else writes: one function, so that length and text cannot differ.
class BodyOutput {
 public:
  explicit BodyOutput(char* to) noexcept : to_(to) {}
  void text(std::string_view text) noexcept {
    if (to_ != nullptr) to_ = write_text(text, to_);
    bytes_ += text.size();
  }
  void escaped(std::string_view text) noexcept {
    if (to_ != nullptr) to_ = write_json_escaped(text, to_);
    bytes_ += json_escaped_bytes(text);
  }
  size_t bytes() const noexcept { return bytes_; }
  char* end() const noexcept { return to_; }

 private:
  char* to_;
  size_t bytes_ = 0;
};

void put_problem(const Problem& problem, BodyOutput* output) noexcept {
  output->text(R"({"type":")");
  output->escaped(problem.type);
  output->text(R"(","title":")");
  output->escaped(problem.title);
  output->text(R"(","status":)");
  output->text(DetailPiece(static_cast<uint64_t>(problem.status)).text());
  if (!problem.detail.empty()) {
    output->text(R"(,"detail":")");
    output->escaped(problem.detail);
    output->text("\"");
  }
  output->text(R"(,"error":")");
  output->escaped(problem.title);
  if (!problem.detail.empty()) {
    output->text(": ");
    output->escaped(problem.detail);
  }
  output->text("\"}");
}

}  // namespace

DetailPiece::DetailPiece(uint64_t number) noexcept {
  const auto end = std::to_chars(digits_.data(), digits_.data() + digits_.size(), number).ptr;
  text_ = {digits_.data(), static_cast<size_t>(end - digits_.data())};
}

QuotedInput::QuotedInput(std::string_view input) noexcept {
  constexpr size_t kShownBytes = 64;
  constexpr char kHexDigits[] = "0123456789abcdef";
  for (const char character : input.substr(0, kShownBytes)) {
    const auto byte = static_cast<uint8_t>(character);
    if (byte >= 0x20 && byte < 0x7f) {
      text_[length_++] = character;
      continue;
    }
    text_[length_++] = '\\';
    text_[length_++] = 'x';
    text_[length_++] = kHexDigits[byte >> 4];
    text_[length_++] = kHexDigits[byte & 15];
  }
  for (size_t i = 0; input.size() > kShownBytes && i < 3; i++) text_[length_++] = '.';
}

Problem make_problem(ProblemKind kind, std::initializer_list<DetailPiece> pieces) noexcept {
  const KindRow& row = kKinds[static_cast<size_t>(kind)];
  Problem problem;
  problem.status = row.status;
  problem.type = row.type;
  problem.title = row.title;
  problem.retry_after_seconds = row.status == 503 ? kRetryAfterSeconds : 0;
  try {
    for (const DetailPiece& piece : pieces) append_printable(piece.text(), &problem.detail);
  } catch (const std::bad_alloc&) {
    problem.detail.clear();
  }
  return problem;
}

Problem method_not_allowed(std::string_view method, const char* allow) noexcept {
  Problem problem = make_problem(
      ProblemKind::kMethodNotAllowed,
      {QuotedInput(method).text(), " is not among the methods of this resource: ", allow});
  problem.allow = allow;
  return problem;
}

Problem too_large(const char* what, uint64_t bytes, const char* limit_name,
                  uint64_t limit) noexcept {
  return make_problem(ProblemKind::kTooLarge,
                      {what, " has ", bytes, " bytes, the limit ", limit_name, " is ", limit});
}

ProblemKind problem_kind(Code code) noexcept {
  switch (code) {
    case Code::kNotFound:
      return ProblemKind::kNotFound;
    case Code::kInvalidArgument:
      return ProblemKind::kInvalidArgument;
    case Code::kTooLarge:
      return ProblemKind::kTooLarge;
    case Code::kNoMemory:
      return ProblemKind::kNoMemory;
    case Code::kNoDiskSpace:
      return ProblemKind::kNoDiskSpace;
    case Code::kOverloaded:
      return ProblemKind::kOverloaded;
    case Code::kUnavailable:
      return ProblemKind::kUnavailable;
    case Code::kReadOnly:
      return ProblemKind::kReadOnly;
    case Code::kNotPrimary:
      return ProblemKind::kNotPrimary;
    case Code::kNotReplicated:
      return ProblemKind::kNotReplicated;
    case Code::kOutcomeUnknown:
      return ProblemKind::kOutcomeUnknown;
    case Code::kNotANumber:
      return ProblemKind::kNotANumber;
    case Code::kOutOfRange:
      return ProblemKind::kOutOfRange;
    case Code::kConditionFailed:
      return ProblemKind::kConditionFailed;
    case Code::kCorruption:
      return ProblemKind::kCorruption;
    case Code::kOk:
    case Code::kWrongFormat:
    case Code::kIoError:
    case Code::kInterrupted:
      break;
  }
  return ProblemKind::kInternal;
}

Problem problem_of(Code code, std::string_view detail) noexcept {
  SMALL_DB_ASSERT(code != Code::kOk);
  return make_problem(problem_kind(code), {detail});
}

Problem checkpoint_problem(Code code, std::string_view detail) noexcept {
  Problem problem = problem_of(code, detail);
  if (code == Code::kOutcomeUnknown) problem.title = "The checkpoint may be done or not";
  if (problem.status == 503 || problem.status == 507) return problem;
  return make_problem(ProblemKind::kCheckpointFailed, {detail});
}

size_t problem_body_bytes(const Problem& problem) noexcept {
  BodyOutput output(nullptr);
  put_problem(problem, &output);
  return output.bytes();
}

char* write_problem_body(const Problem& problem, char* to) noexcept {
  BodyOutput output(to);
  put_problem(problem, &output);
  return output.end();
}

}  // namespace small_db
