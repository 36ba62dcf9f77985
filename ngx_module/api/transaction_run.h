// A transaction on one consistent state: which branch is taken, what its gets find, and the write
// set that does the rest. The set guards everything that was read, in the weakest way that makes
// what was read true; so either it finds at commit what was found here, and the whole transaction
// happened at that revision, or it fails and the transaction is run again on a newer state.
//
// Each step does little, so that a worker can take a long transaction in slices.
//
// Worker processes use it; one thread.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/record/write_set.h"
#include "engine/table/reader.h"
#include "ngx_module/api/transaction.h"

namespace small_db {

// What the gets of one transaction may find together, as it stands in the answer.
inline constexpr size_t kTransactionValueBytesMax = 16 * kMiB;

class TransactionRun {
 public:
  // REQUIRES: the transaction outlives the run and does not change.
  explicit TransactionRun(const Transaction& transaction) noexcept : transaction_(transaction) {}

  // Forgets what was found, for another state. May throw std::bad_alloc, as all of these.
  void restart();

  // Takes the next comparison or operation. False: the run is complete, or has failed: status().
  // Each step of a run has the same snapshot. now_ms: a record that expires by then is absent.
  bool step(const Snapshot& snapshot, uint64_t now_ms);

  // Errors: kTooLarge, the gets find more than kTransactionValueBytesMax; kCorruption.
  const Status& status() const noexcept { return status_; }

  // REQUIRES for all of these: the run is complete.
  bool is_read_only() const noexcept { return writes_ == 0; }
  // Guards and operations. REQUIRES: not is_read_only().
  Bytes set() const noexcept { return set_.bytes(); }
  // The answer's body. revision: of the state that was read, or of the commit.
  std::string answer(uint64_t revision) const;

 private:
  enum class Phase : uint8_t { kComparing, kReading, kWriting, kDone };

  // What an operation came to.
  struct Found {
    bool exists = false;         // of a get and a delete: there was a record
    bool is_own = false;         // of a get: what a put before it in the branch has written
    bool is_text = false;        // of a get: the value stands as text
    uint64_t revision = 0;       // of a get, unless is_own
    uint64_t expires_at_ms = 0;  // of a get
    std::string value;           // of a get: between its quotes
  };

  bool compare_next(const Snapshot& snapshot, uint64_t now_ms);
  bool read_next(const Snapshot& snapshot, uint64_t now_ms);
  bool write_next();
  Status compare(const Comparison& comparison, const Snapshot& snapshot, uint64_t now_ms,
                 bool* holds);
  Status read(const Operation& operation, const Snapshot& snapshot, uint64_t now_ms, Found* found);
  Status read_record(const Operation& operation, const StoredRecord& record, Found* found);
  Status take_value(std::string_view value, bool wants_text, Found* found);
  bool end(const Status& status);
  static void append_found(const Found& found, uint64_t revision, std::string* to);
  const std::vector<Operation>& branch() const noexcept {
    return succeeded_ ? transaction_.on_success : transaction_.on_failure;
  }

  const Transaction& transaction_;
  Phase phase_ = Phase::kComparing;
  size_t next_ = 0;  // comparison or operation
  bool succeeded_ = true;
  size_t writes_ = 0;
  size_t value_bytes_ = 0;
  Status status_;
  std::vector<Found> found_;                                    // by operation of the branch
  std::unordered_map<std::string_view, const Operation*> own_;  // the last write of each key
  WriteSetBuilder set_;
};

}  // namespace small_db
