// What a simulated store was told, in the order in which it committed it, and what it must
// therefore hold: the oracle of the crash tests.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

namespace small_db {

struct SimOperation {
  uint32_t id = 0;  // unique in the history
  bool is_put = true;
  std::string key;
  uint32_t value_bytes = 0;

  // The bytes that a put of this id stores: they follow from id and length.
  std::string value() const;
};

class History {
 public:
  // The operation of the next revision; in a frame that was given to the log, durable or not.
  void add(const SimOperation& operation) { operations_.push_back(operation); }

  // A frame ends here: a crash may leave this revision as the last.
  void end_frame() { frame_ends_.push_back(operations_.size()); }

  // The store told a client that this revision, and so all before it, is durable.
  void acknowledge(uint64_t revision);

  uint64_t acknowledged_revision() const { return acknowledged_; }
  uint64_t last_revision() const { return operations_.size(); }
  const SimOperation& at(uint64_t revision) const { return operations_.at(revision - 1); }

  // True when a recovered store may stand at `revision`.
  bool may_end_at(uint64_t revision) const;

  // A recovered store stands at `revision`: what came after never happened, what is there stays.
  void settle_at(uint64_t revision);

  // The last put of each key that exists at `revision`, by key; the number is the put's revision.
  std::map<std::string, uint64_t> state_at(uint64_t revision) const;

 private:
  std::vector<SimOperation> operations_;  // by revision - 1
  std::vector<uint64_t> frame_ends_;      // ascending
  uint64_t acknowledged_ = 0;
};

}  // namespace small_db
