// What clients saw: one entry for each time that a request went out. The history of a run is what
// the linearizability check judges.
#pragma once

#include <cstdint>
#include <limits>
#include <string>
#include <vector>

namespace small_db::testing {

// The content of a key: the number of a put, which no other put has; or nothing.
using ValueId = uint64_t;
inline constexpr ValueId kAbsent = 0;

// Times are nanoseconds of one monotonic clock.
inline constexpr int64_t kNever = std::numeric_limits<int64_t>::max();

enum class OperationKind : uint8_t { kGet, kPut, kDelete };

struct Operation {
  uint32_t key = 0;
  OperationKind kind = OperationKind::kGet;
  ValueId value = kAbsent;  // written, or seen
  int64_t start = 0;
  // When the answer came. kNever: there was no clear one, so that the write may take effect at any
  // time after its start, or never.
  int64_t end = kNever;
  uint64_t revision = 0;  // as answered; 0: not told

  bool is_write() const { return kind != OperationKind::kGet; }
  bool is_unknown() const { return end == kNever; }
};

using History = std::vector<Operation>;

// "put 17 [1.000201, 1.000954] s".
std::string describe(const Operation& operation);

}  // namespace small_db::testing
