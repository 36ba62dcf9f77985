#include "tests/cluster/model.h"

#include <algorithm>

namespace small_db {

std::optional<Place> Lineage::at(uint64_t wanted) const {
  const Term* term = wanted > revision ? nullptr : term_of(terms, wanted);
  if (term == nullptr) return std::nullopt;
  return Place{term->id, wanted};
}

bool Lineage::includes(const Place& place) const { return at(place.revision) == place; }

std::string describe(const Place& place) {
  return encode_uid(place.term).substr(0, 4) + "/" + std::to_string(place.revision);
}

std::string describe(const Lineage& lineage) {
  std::string text = "[";
  for (const Term& term : lineage.terms) {
    text += std::to_string(term.epoch) + ":" + encode_uid(term.id).substr(0, 4) + "@" +
            std::to_string(term.after_revision) + " ";
  }
  return text + "to " + std::to_string(lineage.revision) + "]";
}

bool ClusterModel::Disk::held(const Place& place) const {
  return now.includes(place) || std::any_of(past.begin(), past.end(), [&](const Lineage& former) {
           return former.includes(place);
         });
}

size_t ClusterModel::add_disk() {
  disks_.emplace_back();
  return disks_.size() - 1;
}

void ClusterModel::note_disk(size_t number, const NodeHistory& history, uint64_t durable) {
  Disk& disk = disks_[number];
  const Lineage shown{history.terms, durable};
  const std::optional<Place> promised = disk.now.last();
  if (promised && !shown.includes(*promised)) {
    wrong("disk " + std::to_string(number) + " held " + describe(disk.now) + " and has " +
          describe(shown));
  }
  const uint64_t epoch = std::max(history.epoch(), history.heard_epoch);
  if (epoch < disk.epoch) wrong("disk " + std::to_string(number) + " forgot an epoch");
  disk.epoch = std::max(epoch, disk.epoch);
  const bool is_writer = !history.follows && !history.terms.empty();
  const bool is_new_term =
      is_writer && (disk.now.terms.empty() || disk.now.terms.back().id != history.terms.back().id);
  disk.now = shown;
  if (is_writer) {
    const Uid& term = history.terms.back().id;
    durable_[term] = std::max(durable_[term], durable);
    if (is_new_term) note_promotion(disk, number);
  }
  disk.has_caught_up = disk.has_caught_up || has_all(disk.now);
}

void ClusterModel::note_promotion(Disk& disk, size_t number) {
  if (!writers_.emplace(disk.now.terms.back().id, number).second) return;  // a restart
  promoted_[disk.now.terms.back().epoch].insert(number);
  promoted_lineages_.push_back(disk.now);
  if (disk.now.terms.size() > 1) ++promotions_;
  // Only where each backup acknowledges each write, any of them may be promoted.
  if (acks_ + 1 < nodes_ || !disk.has_caught_up) return excuse_missing(disk.now);
  if (!has_all(disk.now)) {
    wrong("disk " + std::to_string(number) +
          " was promoted without acknowledged writes: " + describe(disk.now));
  }
}

void ClusterModel::note_published(size_t number, const NodeHistory& history, uint64_t revision,
                                  const Hash128& content) {
  const std::optional<Place> place = Lineage{history.terms, revision}.last();
  if (!place) return;
  const auto [found, is_new] = contents_.emplace(*place, content);
  if (!is_new && found->second != content) {
    wrong("disk " + std::to_string(number) + " publishes another content at " + describe(*place));
  }
  const auto durable = durable_.find(place->term);
  if (durable == durable_.end() || durable->second < revision) {
    wrong("disk " + std::to_string(number) + " publishes " + describe(*place) +
          ", which is not durable at its writer");
  }
}

void ClusterModel::note_report(const Lineage& primary, size_t follower, uint64_t flushed) {
  const std::optional<Place> place = Lineage{primary.terms, flushed}.last();
  if (!place || flushed == 0 || disks_[follower].held(*place)) return;
  wrong("disk " + std::to_string(follower) + " counts as having " + describe(*place) + ": it has " +
        describe(disks_[follower].now));
}

std::vector<Place> ClusterModel::note_install(size_t number, const std::vector<Term>& terms) {
  Disk& disk = disks_[number];
  std::vector<Place> given_up;
  for (uint64_t revision = 1; revision <= disk.now.revision; ++revision) {
    const std::optional<Place> place = disk.now.at(revision);
    const Term* term = term_of(terms, revision);
    if (place && (term == nullptr || term->id != place->term)) given_up.push_back(*place);
  }
  disk.past.push_back(std::move(disk.now));
  disk.now = Lineage();
  disk.has_caught_up = false;
  return given_up;
}

void ClusterModel::note_lost_disk(size_t number) {
  Disk& disk = disks_[number];
  disk.past.push_back(std::move(disk.now));
  disk.now = Lineage();
  disk.is_lost = true;
}

bool ClusterModel::may_lose(size_t number) const {
  for (size_t other = 0; other < disks_.size(); ++other) {
    if (other != number && !disks_[other].is_lost && !disks_[other].has_caught_up) return false;
  }
  return true;
}

uint32_t ClusterModel::add_write(uint32_t key, bool is_erase) {
  writes_.push_back({key, is_erase});
  return static_cast<uint32_t>(writes_.size() - 1);
}

void ClusterModel::note_frame(size_t number, const NodeHistory& history, uint64_t first_revision,
                              const std::vector<uint32_t>& writes) {
  if (history.terms.empty()) return wrong("a write without a term");
  const Term& term = history.terms.back();
  if (history.follows || history.heard_epoch > term.epoch) {
    wrong("disk " + std::to_string(number) + " writes in epoch " + std::to_string(term.epoch) +
          ", and is fenced");
  }
  const auto writer = writers_.find(term.id);
  if (writer == writers_.end() || writer->second != number) {
    wrong("disk " + std::to_string(number) + " writes in a term that is not its own");
  }
  const std::set<size_t>& promoted = promoted_[term.epoch];
  if (promoted.find(number) == promoted.end()) wrong("a write in an epoch of another node's");
  for (size_t i = 0; i < writes.size(); ++i) {
    const Place place{term.id, first_revision + i};
    const auto [found, is_new] = written_.emplace(place, writes[i]);
    if (!is_new && found->second != writes[i]) {
      if (durable_[term.id] >= place.revision) wrong(describe(place) + " is written twice");
      found->second = writes[i];
    }
    writes_[writes[i]].place = place;
  }
}

void ClusterModel::note_answer(size_t number, uint32_t id, Code code, uint64_t revision) {
  ClusterWrite& write = writes_[id];
  write.answer = code;
  if (code != Code::kOk) return;
  if (!write.place || write.place->revision != revision) {
    return wrong("write " + std::to_string(id) + " was answered with revision " +
                 std::to_string(revision) + ", which it does not have");
  }
  const Place& place = *write.place;
  if (!disks_[number].held(place)) wrong(describe(place) + " was answered and is not durable");
  uint32_t copies = 0;
  for (size_t other = 0; other < disks_.size(); ++other) {
    if (other != number && disks_[other].held(place)) ++copies;
  }
  if (copies < acks_) {
    wrong(describe(place) + " was acknowledged with " + std::to_string(copies) + " copies");
  }
  // The other backups still follow a primary that was superseded.
  const bool is_superseded =
      std::any_of(promoted_lineages_.begin(), promoted_lineages_.end(), [&](const Lineage& other) {
        return other.terms.back().id != place.term && writers_[other.terms.back().id] != number &&
               !disks_[writers_[other.terms.back().id]].held(place);
      });
  write.is_excused = is_superseded && acks_ + 1 < nodes_;
  acknowledged_.push_back(id);
}

bool ClusterModel::has_all(const Lineage& lineage) const {
  return std::all_of(acknowledged_.begin(), acknowledged_.end(), [&](uint32_t id) {
    return writes_[id].is_excused || lineage.includes(*writes_[id].place);
  });
}

void ClusterModel::excuse_missing(const Lineage& lineage) {
  for (const uint32_t id : acknowledged_) {
    if (!lineage.includes(*writes_[id].place)) writes_[id].is_excused = true;
  }
}

uint64_t ClusterModel::excused() const {
  return static_cast<uint64_t>(std::count_if(acknowledged_.begin(), acknowledged_.end(),
                                             [&](uint32_t id) { return writes_[id].is_excused; }));
}

std::map<uint32_t, uint32_t> ClusterModel::contents(const Lineage& lineage) {
  std::map<uint32_t, uint32_t> state;
  for (uint64_t revision = 1; revision <= lineage.revision; ++revision) {
    const std::optional<Place> place = lineage.at(revision);
    const auto write = place ? written_.find(*place) : written_.end();
    if (write == written_.end()) {
      wrong("nobody wrote revision " + std::to_string(revision) + " of " + describe(lineage));
      break;
    }
    state.erase(writes_[write->second].key);
    if (!writes_[write->second].is_erase) state[writes_[write->second].key] = write->second;
  }
  return state;
}

// Each write is there once at most, and not at all when its client was told so.
void ClusterModel::check_end(const Lineage& lineage) {
  if (!has_all(lineage)) wrong("acknowledged writes are missing in " + describe(lineage));
  std::set<uint32_t> seen;
  for (uint64_t revision = 1; revision <= lineage.revision; ++revision) {
    const auto write = written_.find(lineage.at(revision).value_or(Place()));
    if (write == written_.end()) return wrong("nobody wrote revision " + std::to_string(revision));
    if (!seen.insert(write->second).second) wrong("a write is there twice");
    const Code answer = writes_[write->second].answer.value_or(Code::kOutcomeUnknown);
    if (answer != Code::kOk && answer != Code::kOutcomeUnknown) {
      wrong("write " + std::to_string(write->second) + " was refused and is there");
    }
  }
}

}  // namespace small_db
