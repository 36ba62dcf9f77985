#include "tests/sim/history.h"

#include <algorithm>
#include <cstring>

#include "engine/table/reader.h"

namespace small_db {
namespace {

bool same_bytes(const StoredValue& value, const std::string& expected) {
  if (value.bytes() != expected.size()) return false;
  size_t at = 0;
  bool same = true;
  const Status status = value.for_each_piece([&](Bytes piece) {
    same = same && std::memcmp(piece.data(), expected.data() + at, piece.size()) == 0;
    at += piece.size();
  });
  return status.is_ok() && same && at == expected.size();
}

bool is_key(Bytes key, uint32_t number) {
  const std::string expected = sim_key(number);
  return key.size() == expected.size() && std::memcmp(key.data(), expected.data(), key.size()) == 0;
}

// What is wrong with the record at hand, which should be the put of `entry`.
const char* difference(const StoredRecord& record, uint32_t key, const SimState::Entry& entry) {
  if (!is_key(record.key, key)) return "another key";
  if (record.revision != entry.revision) return "another revision";
  if (record.expires_at_ms != entry.expires_at_ms) return "another expiry";
  if (!same_bytes(record.value, *entry.value)) return "another value";
  return nullptr;
}

}  // namespace

std::string sim_key(uint32_t key) {
  std::string name = "key/000";
  for (size_t digit = name.size(); key != 0; key /= 10) {
    name[--digit] = static_cast<char>('0' + key % 10);
  }
  return name;
}

std::shared_ptr<const std::string> sim_value(uint32_t id, uint32_t bytes) {
  std::string value(bytes, '\0');
  uint32_t state = id * 2654435761u + 1;
  for (char& c : value) {
    state = state * 1664525u + 1013904223u;
    c = static_cast<char>(state >> 24);
  }
  return std::make_shared<const std::string>(std::move(value));
}

void SimState::apply(uint64_t at_revision, const SimOperation& operation) {
  revision = at_revision;
  for (const SimChange& change : operation.changes) apply(change);
}

void SimState::apply(const SimChange& change) {
  switch (change.kind) {
    case SimChange::Kind::kPut:
      entries[change.key] = {revision, change.expires_at_ms, change.value};
      break;
    case SimChange::Kind::kErase:
      entries[change.key] = {};
      break;
    case SimChange::Kind::kEraseRange:
      for (uint32_t key = change.key; key < change.end; ++key) entries[key] = {};
      break;
    case SimChange::Kind::kRemoveExpired:
      for (Entry& entry : entries) {
        if (entry.expires_at_ms != 0 && entry.expires_at_ms <= change.expires_at_ms) entry = {};
      }
      break;
  }
}

void History::add(const SimOperation& operation) {
  open_.push_back(operation);
  operations_.push_back(operation.id);
}

void History::end_frame() { frame_ends_.push_back(last_revision()); }

bool History::publish(uint64_t revision) {
  if (revision == published_.revision) return true;
  while (!frame_ends_.empty() && frame_ends_.front() < revision) frame_ends_.pop_front();
  if (frame_ends_.empty() || frame_ends_.front() != revision) return false;
  frame_ends_.pop_front();
  while (published_.revision < revision) {
    published_.apply(published_.revision + 1, open_.front());
    open_.pop_front();
  }
  return true;
}

bool History::settle_at(uint64_t revision) {
  if (!publish(revision)) return false;
  open_.clear();
  frame_ends_.clear();
  operations_.resize(revision);
  return true;
}

uint32_t History::id_at(uint64_t revision) const {
  return revision == 0 || revision > operations_.size() ? 0 : operations_[revision - 1];
}

uint64_t History::removals() const {
  const auto end = operations_.begin() + static_cast<ptrdiff_t>(published_.revision);
  return static_cast<uint64_t>(std::count(operations_.begin(), end, 0u));
}

std::vector<SimState> History::legal_states() const {
  std::vector<SimState> states = {published_};
  for (const uint64_t end : frame_ends_) {
    states.push_back(states.back());
    SimState& state = states.back();
    while (state.revision < end) {
      state.apply(state.revision + 1, open_[state.revision - published_.revision]);
    }
  }
  return states;
}

std::string compare_published(Region region, const SimState& state) {
  SlotPins pins(region, region.slot_count() - 1);
  const Result<Snapshot> snapshot = Snapshot::take(pins);
  if (!snapshot.is_ok()) return snapshot.status().text();
  if (snapshot.value().root().revision != state.revision) {
    return "the root has revision " + std::to_string(snapshot.value().root().revision);
  }
  Cursor cursor = snapshot.value().cursor();
  Status status = cursor.seek_first();
  uint64_t keys = 0;
  for (uint32_t key = 0; key < state.entries.size(); ++key) {
    const SimState::Entry& entry = state.entries[key];
    if (entry.revision == 0) continue;
    if (!status.is_ok()) return status.text();
    if (!cursor.is_valid()) return sim_key(key) + ": missing";
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return sim_key(key) + ": " + record.status().text();
    const char* wrong = difference(record.value(), key, entry);
    if (wrong != nullptr) return sim_key(key) + ": " + wrong;
    ++keys;
    status = cursor.next();
  }
  if (!status.is_ok()) return status.text();
  if (cursor.is_valid()) return "more keys than there should be";
  if (snapshot.value().root().keys != keys) return "the root counts other keys";
  return "";
}

}  // namespace small_db
