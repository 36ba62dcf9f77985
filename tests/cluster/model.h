// The oracle of the cluster's simulation: who wrote what, who holds it, who was told what.
//
// A place is a term and a revision: what stands there was written by one node, once. A lineage says
// which place each revision of a node is. Checked whenever something changed:
//  1. Nodes that publish the same place have the same content.
//  2. A term has one writer, and an epoch has one, unless two nodes were promoted into it; a place
//     that was durable is never written with anything else; who has heard of a higher epoch does
//     not write.
//  3. A write that was acknowledged with N backups is on N other disks by then. What a node has
//     shown as durable is there after a power failure, and so is the epoch that it has shown.
//  4. What a primary knows of a follower is true: it never shows less lag than there is.
//  5. A backup publishes nothing that is not durable at the writer of its term.
//  6. What a node held, and gives up for its primary's state, is saved beside it.
//  7. Nothing that was acknowledged is missing at a promotion and at the end, but for what the
//     operator gave up: see excuse_missing.
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "engine/base/status.h"
#include "engine/record/content_hash.h"
#include "engine/replication/history.h"

namespace small_db {

struct Place {
  Uid term{};
  uint64_t revision = 0;
  auto operator<=>(const Place&) const = default;
};

struct Lineage {
  std::vector<Term> terms;
  uint64_t revision = 0;  // the last that is there

  std::optional<Place> at(uint64_t revision) const;
  std::optional<Place> last() const { return at(revision); }
  bool includes(const Place& place) const;
};

// A client's request: puts a value that follows from its id, or deletes the key.
struct ClusterWrite {
  uint32_t key = 0;
  bool is_erase = false;
  std::optional<Place> place = std::nullopt;  // where it was written last
  std::optional<Code> answer = std::nullopt;
  bool is_excused = false;  // acknowledged, and given up by the operator
};

class ClusterModel {
 public:
  ClusterModel(uint32_t nodes, uint32_t acks) : nodes_(nodes), acks_(acks) {}

  const std::string& problem() const { return problem_; }
  void wrong(const std::string& what) {
    if (problem_.empty()) problem_ = what;
  }

  // A new disk: nothing is on it. Returns its number.
  size_t add_disk();
  // What a disk holds now, as its node shows it; first: since the node was started.
  void note_disk(size_t disk, const NodeHistory& history, uint64_t durable);
  void note_published(size_t disk, const NodeHistory& history, uint64_t revision,
                      const Hash128& content);
  void note_report(const Lineage& primary, size_t follower, uint64_t flushed);
  // A node begins to put another state in force; returns what it gives up.
  std::vector<Place> note_install(size_t disk, const std::vector<Term>& terms);
  void note_lost_disk(size_t disk);

  uint32_t add_write(uint32_t key, bool is_erase);
  // A primary's frame, before it goes to the disk.
  void note_frame(size_t disk, const NodeHistory& history, uint64_t first_revision,
                  const std::vector<uint32_t>& writes);
  void note_answer(size_t disk, uint32_t write, Code code, uint64_t revision);

  // Whether one more disk may be lost: another one has everything that was acknowledged.
  bool may_lose(size_t disk) const;
  // What the state of that lineage must be: by key, the write that put it.
  std::map<uint32_t, uint32_t> contents(const Lineage& lineage);
  void check_end(const Lineage& lineage);
  const Lineage& lineage(size_t disk) const { return disks_[disk].now; }
  uint32_t promotions() const { return promotions_; }
  uint64_t acknowledged() const { return acknowledged_.size(); }
  uint64_t excused() const;

 private:
  struct Disk {
    Lineage now;
    std::vector<Lineage> past;
    uint64_t epoch = 0;  // the highest shown
    bool is_lost = false;
    bool has_caught_up = false;  // since it took another state: had all that was acknowledged
    bool held(const Place& place) const;
  };

  void note_promotion(Disk& disk, size_t number);
  bool has_all(const Lineage& lineage) const;
  void excuse_missing(const Lineage& lineage);

  const uint32_t nodes_;
  const uint32_t acks_;
  std::string problem_;
  std::vector<Disk> disks_;
  std::vector<ClusterWrite> writes_{1};  // by id; 0: none
  std::vector<uint32_t> acknowledged_;
  std::map<Place, uint32_t> written_;
  std::map<Place, Hash128> contents_;
  std::map<Uid, size_t> writers_;                  // of terms: disks
  std::map<Uid, uint64_t> durable_;                // of terms: as their writers showed
  std::map<uint64_t, std::set<size_t>> promoted_;  // by epoch: disks
  std::vector<Lineage> promoted_lineages_;
  uint32_t promotions_ = 0;
};

std::string describe(const Place& place);
std::string describe(const Lineage& lineage);

}  // namespace small_db
