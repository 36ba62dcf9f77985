// The parser of transactions, against the library's tree: what it takes is JSON of that shape, and
// what it refuses is explained.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string>

#include "ngx_module/api/transaction.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace small_db;
  const std::string_view body(reinterpret_cast<const char*>(data), size);
  TransactionParser parser(body, {64, 4096, 1'700'000'000'000});
  size_t steps = 0;
  while (parser.step()) steps++;
  SMALL_DB_ASSERT(steps <= size + 1);
  if (const auto& problem = parser.problem()) {
    SMALL_DB_ASSERT(problem->status == 400 || problem->status == 413 || problem->status == 422);
    std::string text(problem_body_bytes(*problem), '\0');
    SMALL_DB_ASSERT(write_problem_body(*problem, text.data()) == text.data() + text.size());
    SMALL_DB_ASSERT(nlohmann::json::parse(text)["detail"] == problem->detail);
    return 0;
  }
  const auto tree = nlohmann::json::parse(body);
  SMALL_DB_ASSERT(tree.is_object() && !tree.empty());
  const Transaction& transaction = parser.transaction();
  const auto elements = [&](const char* name) {
    return tree.contains(name) ? tree[name].size() : 0;
  };
  SMALL_DB_ASSERT(tree.size() ==
                  0u + tree.contains("if") + tree.contains("then") + tree.contains("else"));
  SMALL_DB_ASSERT(transaction.comparisons.size() == elements("if"));
  SMALL_DB_ASSERT(transaction.on_success.size() == elements("then"));
  SMALL_DB_ASSERT(transaction.on_failure.size() == elements("else"));
  for (size_t i = 0; i < transaction.on_success.size(); i++) {
    const auto& element = tree["then"][i];
    const Operation& operation = transaction.on_success[i];
    SMALL_DB_ASSERT(!operation.key.empty() && operation.key.size() <= 64);
    if (!element.contains("key_encoding")) SMALL_DB_ASSERT(element["key"] == operation.key);
    const char* name = operation.kind == OperationKind::kPut      ? "put"
                       : operation.kind == OperationKind::kDelete ? "delete"
                                                                  : "get";
    SMALL_DB_ASSERT(element["op"] == name);
  }
  return 0;
}
