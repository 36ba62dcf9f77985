#include "tests/chaos/linearizability.h"

#include <algorithm>
#include <bitset>
#include <cstdio>
#include <map>
#include <unordered_map>
#include <unordered_set>

namespace small_db::testing {
namespace {

// Operations of one key that are under way at the same time.
constexpr size_t kSlots = 128;
using Slots = std::bitset<kSlots>;

// More would take for ever. No run of correct answers comes near.
constexpr size_t kConfigurationsMax = 200'000;

struct Configuration {
  ValueId value = kAbsent;
  Slots done;  // of the operations under way: those that have taken effect
  bool operator==(const Configuration&) const = default;
};

struct ConfigurationHash {
  size_t operator()(const Configuration& one) const {
    return std::hash<Slots>()(one.done) * 31 + std::hash<ValueId>()(one.value);
  }
};

// The fewest deletes of unknown outcome that lead to each configuration: who needed fewer can do
// all that the others can.
using Configurations = std::unordered_map<Configuration, uint32_t, ConfigurationHash>;

struct Event {
  int64_t time;
  bool is_end;
  uint32_t operation;
};

// The check of one key.
class RegisterCheck {
 public:
  explicit RegisterCheck(std::vector<Operation> operations) : operations_(std::move(operations)) {}
  Verdict run();

 private:
  enum class Step { kGoOn, kViolation, kTooMany };

  std::vector<Event> events();
  Step begin(uint32_t operation);
  Step end(uint32_t operation);
  bool take_effect(size_t slot, Configuration* configuration) const;
  bool complete(size_t wanted, const Configuration& from, uint32_t deletes, Configurations* to);
  void settle_gets(Configuration* configuration) const;
  std::string explain(uint32_t operation, const char* what) const;

  std::vector<Operation> operations_;
  std::vector<const Operation*> under_way_;  // by slot; nullptr: free
  std::vector<size_t> slot_of_;              // by operation
  uint32_t unknown_deletes_ = 0;
  Configurations configurations_;
};

// A put of unknown outcome is kept until the last get that saw it ends: later nobody needs it.
std::vector<Event> RegisterCheck::events() {
  std::unordered_map<ValueId, int64_t> last_seen;
  for (const Operation& operation : operations_) {
    if (operation.kind != OperationKind::kGet) continue;
    int64_t& end = last_seen[operation.value];
    end = std::max(end, operation.end);
  }
  std::vector<Event> events;
  for (uint32_t i = 0; i < operations_.size(); i++) {
    const Operation& operation = operations_[i];
    int64_t end = operation.end;
    if (operation.is_unknown()) {
      const auto seen = last_seen.find(operation.value);
      if (seen == last_seen.end() || seen->second < operation.start) continue;
      end = seen->second;
    }
    events.push_back({operation.start, false, i});
    if (operation.kind != OperationKind::kDelete || !operation.is_unknown()) {
      events.push_back({end, true, i});
    }
  }
  // At the same instant, starts come first and what is certain ends first: the two overlap.
  std::sort(events.begin(), events.end(), [&](const Event& a, const Event& b) {
    const auto rank = [&](const Event& event) {
      return event.is_end ? 1 + operations_[event.operation].is_unknown() : 0;
    };
    if (a.time != b.time) return a.time < b.time;
    if (rank(a) != rank(b)) return rank(a) < rank(b);
    return a.operation < b.operation;
  });
  return events;
}

// Gets that fit the state have taken effect in it.
void RegisterCheck::settle_gets(Configuration* configuration) const {
  for (size_t slot = 0; slot < under_way_.size(); slot++) {
    const Operation* operation = under_way_[slot];
    if (operation != nullptr && operation->kind == OperationKind::kGet &&
        operation->value == configuration->value) {
      configuration->done.set(slot);
    }
  }
}

RegisterCheck::Step RegisterCheck::begin(uint32_t index) {
  const Operation& operation = operations_[index];
  if (operation.kind == OperationKind::kDelete && operation.is_unknown()) {
    unknown_deletes_++;
    return Step::kGoOn;
  }
  auto free = std::find(under_way_.begin(), under_way_.end(), nullptr);
  if (free == under_way_.end()) {
    if (under_way_.size() == kSlots) return Step::kTooMany;
    free = under_way_.insert(free, nullptr);
  }
  *free = &operation;
  slot_of_[index] = static_cast<size_t>(free - under_way_.begin());
  if (operation.is_write()) return Step::kGoOn;
  Configurations settled;
  for (const auto& [unsettled, deletes] : configurations_) {
    Configuration configuration = unsettled;
    settle_gets(&configuration);
    settled.emplace(configuration, deletes);
  }
  configurations_ = std::move(settled);
  return Step::kGoOn;
}

// Lets a write under way take effect. False: it has, or is none.
bool RegisterCheck::take_effect(size_t slot, Configuration* configuration) const {
  const Operation* operation = under_way_[slot];
  if (operation == nullptr || !operation->is_write() || configuration->done.test(slot)) {
    return false;
  }
  configuration->done.set(slot);
  configuration->value = operation->value;
  settle_gets(configuration);
  return true;
}

// Everything that can have happened from `from` on until the wanted operation has taken effect.
// False: too much.
bool RegisterCheck::complete(size_t wanted, const Configuration& from, uint32_t deletes,
                             Configurations* to) {
  Configurations seen{{from, deletes}};
  std::vector<std::pair<Configuration, uint32_t>> open{{from, deletes}};
  const auto reach = [&](const Configuration& next, uint32_t needed) {
    const auto [known, is_new] = seen.emplace(next, needed);
    if (!is_new && known->second <= needed) return;
    known->second = needed;
    open.emplace_back(next, needed);
  };
  while (!open.empty()) {
    auto [now, needed] = open.back();
    open.pop_back();
    if (now.done.test(wanted)) {
      now.done.reset(wanted);
      const auto [known, is_new] = to->emplace(now, needed);
      if (!is_new) known->second = std::min(known->second, needed);
      continue;
    }
    for (size_t slot = 0; slot < under_way_.size(); slot++) {
      Configuration next = now;
      if (take_effect(slot, &next)) reach(next, needed);
    }
    if (needed < unknown_deletes_ && now.value != kAbsent) {
      Configuration next = now;
      next.value = kAbsent;
      settle_gets(&next);
      reach(next, needed + 1);
    }
    if (seen.size() > kConfigurationsMax) return false;
  }
  return to->size() <= kConfigurationsMax;
}

RegisterCheck::Step RegisterCheck::end(uint32_t index) {
  const size_t slot = slot_of_[index];
  Configurations next;
  for (const auto& [before, deletes] : configurations_) {
    Configuration configuration = before;
    if (operations_[index].is_unknown()) {
      configuration.done.reset(slot);
      const auto [known, is_new] = next.emplace(configuration, deletes);
      if (!is_new) known->second = std::min(known->second, deletes);
    } else if (!complete(slot, configuration, deletes, &next)) {
      return Step::kTooMany;
    }
  }
  under_way_[slot] = nullptr;
  configurations_ = std::move(next);
  return configurations_.empty() ? Step::kViolation : Step::kGoOn;
}

std::string RegisterCheck::explain(uint32_t index, const char* what) const {
  const Operation& culprit = operations_[index];
  std::string text = "key " + std::to_string(culprit.key) + ": " + what + ": " + describe(culprit);
  // What wrote the value, and what was done shortly before.
  for (const Operation& other : operations_) {
    if (other.is_write() && other.value == culprit.value && culprit.value != kAbsent) {
      text += "\n  its value is of " + describe(other);
    }
  }
  std::vector<Operation> near;
  for (const Operation& other : operations_) {
    if (other.start <= culprit.end) near.push_back(other);
  }
  std::sort(near.begin(), near.end(),
            [](const Operation& a, const Operation& b) { return a.start < b.start; });
  const size_t first = near.size() > 12 ? near.size() - 12 : 0;
  for (size_t i = first; i < near.size(); i++) text += "\n  " + describe(near[i]);
  return text;
}

Verdict RegisterCheck::run() {
  slot_of_.resize(operations_.size());
  configurations_ = {{Configuration{}, 0}};
  for (const Event& event : events()) {
    const Step step = event.is_end ? end(event.operation) : begin(event.operation);
    if (step == Step::kViolation) return {false, explain(event.operation, "no order explains")};
    if (step == Step::kTooMany) return {false, explain(event.operation, "too many orders before")};
  }
  return {};
}

}  // namespace

std::string describe(const Operation& operation) {
  const char* kind = operation.kind == OperationKind::kGet   ? "get"
                     : operation.kind == OperationKind::kPut ? "put"
                                                             : "delete";
  char text[160];
  constexpr double kSecond = 1e9;
  const double start = static_cast<double>(operation.start) / kSecond;
  int length = std::snprintf(text, sizeof(text), "%s %llu [%.6f, ", kind,
                             static_cast<unsigned long long>(operation.value), start);
  if (operation.is_unknown()) {
    length += std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), "unknown]");
  } else {
    length += std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), "%.6f] s",
                            static_cast<double>(operation.end) / kSecond);
  }
  if (operation.revision != 0) {
    std::snprintf(text + length, sizeof(text) - static_cast<size_t>(length), " revision %llu",
                  static_cast<unsigned long long>(operation.revision));
  }
  return text;
}

Verdict check_linearizable(const History& history) {
  std::map<uint32_t, std::vector<Operation>> by_key;
  for (const Operation& operation : history) {
    // A get without an answer tells nothing.
    if (operation.is_unknown() && !operation.is_write()) continue;
    by_key[operation.key].push_back(operation);
  }
  for (auto& [key, operations] : by_key) {
    Verdict verdict = RegisterCheck(std::move(operations)).run();
    if (!verdict.holds) return verdict;
  }
  return {};
}

Verdict check_revisions(const History& history) {
  std::vector<Operation> writes;
  std::unordered_map<ValueId, Operation> put_of;
  std::unordered_set<ValueId> sent_again;  // what a get sees may be of either sending
  for (const Operation& operation : history) {
    if (operation.kind == OperationKind::kPut && operation.is_unknown()) {
      sent_again.insert(operation.value);
    }
    if (!operation.is_write() || operation.is_unknown() || operation.revision == 0) continue;
    writes.push_back(operation);
    if (operation.kind == OperationKind::kPut) put_of[operation.value] = operation;
  }
  std::vector<Operation> by_end = writes;
  std::sort(writes.begin(), writes.end(),
            [](const Operation& a, const Operation& b) { return a.start < b.start; });
  std::sort(by_end.begin(), by_end.end(),
            [](const Operation& a, const Operation& b) { return a.end < b.end; });
  std::unordered_set<uint64_t> known;
  Operation highest;
  size_t ended = 0;
  for (const Operation& write : writes) {
    if (!known.insert(write.revision).second) {
      return {false, "a revision was told twice: " + describe(write)};
    }
    for (; ended < by_end.size() && by_end[ended].end < write.start; ended++) {
      if (by_end[ended].revision > highest.revision) highest = by_end[ended];
    }
    if (write.revision < highest.revision) {
      return {false, describe(write) + " came after " + describe(highest)};
    }
  }
  for (const Operation& get : history) {
    if (get.is_write() || get.revision == 0 || get.value == kAbsent) continue;
    const auto put = put_of.find(get.value);
    if (put != put_of.end() && sent_again.count(get.value) == 0 &&
        put->second.revision != get.revision) {
      return {false, describe(get) + " saw the value of " + describe(put->second)};
    }
  }
  return {};
}

}  // namespace small_db::testing
