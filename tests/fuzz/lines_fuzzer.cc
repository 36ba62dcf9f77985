// Lines of a batch: however a body is cut into pieces, the outcome is the same; what is taken
// becomes a well-formed write set in ascending order, and what is refused is explained.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>

#include "ngx_module/api/line_batch.h"

namespace {

using namespace small_db;

constexpr OperationLimits kLimits = {64, 4096, 1'700'000'000'000};

std::optional<Problem> add_all(std::string_view body, size_t piece_bytes, LineBatch* batch) {
  LineReader reader;
  for (;;) {
    while (const auto line = reader.next(body.empty())) {
      if (auto problem = batch->add(*line)) return problem;
    }
    if (body.empty()) return std::nullopt;
    const size_t bytes = std::min(piece_bytes, body.size());
    reader.buffer()->append(body.substr(0, bytes));
    body.remove_prefix(bytes);
  }
}

std::string set_of(LineBatch* batch, size_t step_bytes) {
  WriteSetBuilder set;
  while (batch->build(step_bytes, &set)) {
  }
  return std::string(as_text(set.bytes()));
}

void check_set(std::string_view bytes, size_t operations) {
  WriteSetReader reader(as_bytes(bytes));
  if (operations == 0) return;
  SMALL_DB_ASSERT(reader.begin().is_ok() && reader.guards() == 0);
  std::string before;
  for (uint32_t i = 0; i < reader.operations(); i++) {
    const Result<OperationView> operation = reader.next_operation();
    SMALL_DB_ASSERT(operation.is_ok());
    if (operation.value().type == OperationType::kReplaceRange) continue;
    const std::string key(as_text(operation.value().record.key));
    SMALL_DB_ASSERT(before < key);
    before = key;
  }
  SMALL_DB_ASSERT(reader.end().is_ok());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size < 2) return 0;
  const std::string_view body(reinterpret_cast<const char*>(data) + 2, size - 2);
  const bool replaces = (data[0] & 1) != 0;
  const auto purpose = replaces ? LineBatch::Purpose::kContents : LineBatch::Purpose::kChanges;
  const std::string prefix = replaces && (data[0] & 2) != 0 ? "k" : "";
  LineBatch whole(kLimits, purpose, prefix);
  LineBatch pieces(kLimits, purpose, prefix);
  const auto problem = add_all(body, body.size() + 1, &whole);
  const auto same = add_all(body, size_t{data[1]} + 1, &pieces);
  SMALL_DB_ASSERT(problem.has_value() == same.has_value());
  if (problem) {
    SMALL_DB_ASSERT(problem->detail == same->detail && problem->status == same->status);
    SMALL_DB_ASSERT(problem->status == 400 || problem->status == 413 || problem->status == 422);
    SMALL_DB_ASSERT(problem->detail.find("line ") != std::string::npos);
    return 0;
  }
  const std::string set = set_of(&whole, SIZE_MAX);
  SMALL_DB_ASSERT(set == set_of(&pieces, size_t{data[1]} + 1));
  check_set(set, whole.operations());
  return 0;
}
