#include "tests/sim/history.h"

#include <algorithm>

namespace small_db {

std::string SimOperation::value() const {
  std::string value(value_bytes, '\0');
  uint32_t state = id * 2654435761u + 1;
  for (char& c : value) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return value;
}

void History::acknowledge(uint64_t revision) { acknowledged_ = std::max(acknowledged_, revision); }

bool History::may_end_at(uint64_t revision) const {
  if (revision < acknowledged_) return false;
  return revision == 0 || std::binary_search(frame_ends_.begin(), frame_ends_.end(), revision);
}

void History::settle_at(uint64_t revision) {
  operations_.resize(revision);
  while (!frame_ends_.empty() && frame_ends_.back() > revision) frame_ends_.pop_back();
  acknowledged_ = revision;
}

std::map<std::string, uint64_t> History::state_at(uint64_t revision) const {
  std::map<std::string, uint64_t> state;
  for (uint64_t r = 1; r <= revision; ++r) {
    if (at(r).is_put) {
      state[at(r).key] = r;
    } else {
      state.erase(at(r).key);
    }
  }
  return state;
}

}  // namespace small_db
