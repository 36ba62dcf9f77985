// Reads the submission rings of all slots, in turn and in fair shares. Runs in the owner's commit
// thread.
#pragma once

#include <optional>
#include <vector>

#include "engine/shm/region.h"
#include "engine/shm/slot.h"
#include "engine/shm/submission_ring.h"

namespace small_db {

// A submission, and whose it is.
struct Request {
  uint32_t slot = 0;
  SlotHolder holder;
  Submission submission;
};

class Intake {
 public:
  explicit Intake(Region region);

  // The next submission in turn; the same one again until accept() is called. A slot has its turn
  // until it has none left or kQuantumBytes of it were accepted. A slot whose ring makes no sense
  // is passed over until another process holds it.
  std::optional<Request> next();

  // The request that next() returned is dealt with.
  void accept();

  // True when next() may return something: for the decision to sleep.
  bool ready();

 private:
  static constexpr uint64_t kQuantumBytes = 64 * 1024;

  struct Source {
    SlotHolder holder;  // whose ring the consumer reads
    std::optional<SubmissionConsumer> consumer;
    std::optional<Submission> waiting;  // returned by next() and not accepted
    bool broken = false;
  };

  void follow_holder(uint32_t slot);
  bool fetch(uint32_t slot);

  Region region_;
  std::vector<Source> sources_;
  uint32_t turn_ = 0;
  uint64_t turn_bytes_ = 0;
};

}  // namespace small_db
