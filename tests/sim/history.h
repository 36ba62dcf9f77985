// What a simulated store was told, in the order in which it committed it, and what it may therefore
// hold: the oracle of the crash tests.
//
// It keeps one whole state, that of the last published revision, and the operations behind it. So
// the states that a crash may leave are made in no more time than the keys and the open frames
// take, however long the history is.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "engine/shm/region.h"

namespace small_db {

// What happens to one key, or to several.
struct SimChange {
  enum class Kind : uint8_t {
    kPut,
    kErase,
    kEraseRange,     // keys from `key` up to, not including, `end`
    kRemoveExpired,  // of all keys, what expires at expires_at_ms or before
  };
  Kind kind = Kind::kPut;
  uint32_t key = 0;  // number of the key
  uint32_t end = 0;
  uint64_t expires_at_ms = 0;  // of a put; 0: never
  std::shared_ptr<const std::string> value = nullptr;
};

// A request: its changes are made together or not at all.
struct SimOperation {
  uint32_t id = 0;  // unique in the history; 0: the store's own, which removes what has expired
  std::vector<SimChange> changes;
};

// The name of a key; names and numbers have the same order. REQUIRES: key < 1000.
std::string sim_key(uint32_t key);

// The value that a put of this id stores: its bytes follow from id and length.
std::shared_ptr<const std::string> sim_value(uint32_t id, uint32_t bytes);

// A whole state of the store.
struct SimState {
  struct Entry {
    uint64_t revision = 0;  // of the put; 0: there is no such key
    uint64_t expires_at_ms = 0;
    std::shared_ptr<const std::string> value;
  };

  void apply(uint64_t at_revision, const SimOperation& operation);
  void apply(const SimChange& change);

  uint64_t revision = 0;
  std::vector<Entry> entries;  // by key
};

class History {
 public:
  explicit History(uint32_t keys) { published_.entries.resize(keys); }

  // The operation of the next revision; in a frame that was given to the log, durable or not.
  void add(const SimOperation& operation);

  // A frame ends here: a crash may leave this revision as the last.
  void end_frame();

  // Whoever reads sees this revision, so that no crash may take it back. Returns false when the
  // store has no business there: no frame ends at it, or it lies behind what was published before.
  [[nodiscard]] bool publish(uint64_t revision);

  // publish, and what came after never happens: its revisions are given out again.
  [[nodiscard]] bool settle_at(uint64_t revision);

  uint64_t published_revision() const { return published_.revision; }
  uint64_t last_revision() const { return published_.revision + open_.size(); }
  // The id of the operation with this revision; 0 when there is none.
  uint32_t id_at(uint64_t revision) const;
  // Revisions that removed what had expired, up to the published one.
  uint64_t removals() const;

  const SimState& published() const { return published_; }
  // All states that a crash may leave now, ascending by revision, the published one first.
  std::vector<SimState> legal_states() const;

 private:
  SimState published_;
  std::deque<SimOperation> open_;     // beyond the published revision
  std::deque<uint64_t> frame_ends_;   // beyond the published revision, ascending
  std::vector<uint32_t> operations_;  // ids, by revision - 1
};

// Compares all keys, revisions and values that the region publishes with `state`. Empty when they
// agree, else what differs. REQUIRES: no process holds the region's last slot.
std::string compare_published(Region region, const SimState& state);

}  // namespace small_db
