// The threads of a simulated node that follow a primary, as engine/store/replication_threads.cc has
// them, and what the oracle looks at after each step.
#include <algorithm>

#include "engine/wal/log_reader.h"
#include "tests/cluster/cluster_node.h"

namespace small_db {
namespace {

constexpr uint64_t kAckEveryUs = 20'000;
constexpr uint64_t kPauseUs = 10'000;

std::string log_number(const std::string& name) {
  const size_t at = name.find("logfile.");
  return at == std::string::npos ? "" : name.substr(at);
}

}  // namespace

void ClusterNode::run_receiver() {
  Follower follower(region_.region(), *directory_, *this, *this, *log_upstream_,
                    store_->replicated(), *store_);
  const auto follows = [&] { return role() == Role::kBackup && !store_->following_stopped(); };
  while (!ending_ && !bootstrap_) {
    if (!follows()) {
      follower.rest();
      while (!ending_ && !follows()) Fiber::pause();
      continue;
    }
    store_->replicated().ask_to_open();
    while (!ending_ && store_->replicated().is_asked_to_open()) Fiber::pause();
    if (ending_ || !follows()) continue;
    const Follower::Next next = follower.follow();
    const uint64_t pause_until_us = world_.now_us + kPauseUs;
    if (next == Follower::Next::kInstall) {
      bootstrap_ = follower.bootstrap();
    } else if (next == Follower::Next::kLater) {
      while (!ending_ && world_.now_us < pause_until_us) Fiber::pause();
    }
  }
}

void ClusterNode::run_acknowledger() {
  std::optional<FollowerProgress> told = FollowerProgress();
  while (!ending_) {
    const uint64_t until_us = world_.now_us + kAckEveryUs;
    const auto news = [&] {
      return told && store_->is_following() && store_->progress().flushed != told->flushed;
    };
    while (!ending_ && !news() && world_.now_us < until_us) Fiber::pause();
    if (ending_) return;
    if (store_->is_following() || store_->has_set_aside()) {
      told = store_->acknowledge(*ack_upstream_);
    } else {
      Fiber::pause();
    }
  }
}

void ClusterNode::observe() {
  const Region region = region_.region();
  const ReplicationState& state = region.replication();
  const std::array<uint64_t, 6> now = {
      state.durable_revision.load(), revision(),        state.epoch.load(),
      state.heard_epoch.load(),      state.role.load(), state.acks.load()};
  if (now == seen_) return;
  seen_ = now;
  const NodeHistory known = history();
  world_.disk_of_id[state.node_id[0].load()] = disk_number_;
  world_.model.note_disk(disk_number_, known, state.durable_revision.load());
  if (role() == Role::kPrimary) note_followers();
  const Result<Snapshot> snapshot = client_->snapshot();
  if (!snapshot.is_ok() || snapshot.value().root().revision == 0) return;
  world_.model.note_published(disk_number_, known, snapshot.value().root().revision,
                              snapshot.value().root().content);
}

// Node ids are asked of the followers' disks: the model numbers those.
void ClusterNode::note_followers() {
  for (const FollowerState& follower : region_.region().replication().followers) {
    const uint64_t node = follower.node.load();
    if (node == 0 || follower.epoch.load() != epoch()) continue;
    const auto disk = world_.disk_of_id.find(node);
    if (disk == world_.disk_of_id.end()) continue;
    world_.model.note_report({history().terms, UINT64_MAX}, disk->second, follower.flushed.load());
  }
}

void ClusterNode::check_saved(const std::vector<Place>& given_up) {
  std::set<uint64_t> saved;
  for (const std::string& name : disk_.names()) {
    if (name.rfind("diverged.", 0) != 0) continue;
    if (log_number(name).empty()) return;  // a checkpoint: what it holds is not told apart
    SimDisk scratch;
    scratch.set_contents(log_number(name), as_bytes(disk_.contents(name)));
    const std::unique_ptr<Directory> directory = scratch.mount();
    const uint64_t generation = std::stoull(log_number(name).substr(sizeof "logfile." - 1));
    auto reader = LogReader::open(*directory, generation);
    if (!reader.is_ok()) continue;
    for (;;) {
      const Result<ReadOutcome> outcome = reader.value()->next();
      if (!outcome.is_ok() || outcome.value() != ReadOutcome::kFrame) break;
      const FrameHeader& frame = reader.value()->frame().header();
      for (uint32_t i = 0; i < frame.requests; ++i) saved.insert(frame.first_revision + i);
    }
  }
  for (const Place& place : given_up) {
    if (saved.count(place.revision) == 0) {
      return world_.model.wrong("node " + std::to_string(index_) + " dropped " + describe(place));
    }
  }
}

std::string ClusterNode::compare() {
  const std::map<uint32_t, uint32_t> wanted = world_.model.contents({history().terms, revision()});
  const Result<Snapshot> snapshot = client_->snapshot();
  if (!snapshot.is_ok()) return "nothing is there";
  Cursor cursor = snapshot.value().cursor();
  size_t found = 0;
  for (bool ok = cursor.seek_first().is_ok(); ok && cursor.is_valid(); ok = cursor.next().is_ok()) {
    ++found;
  }
  if (found != wanted.size()) return "other keys";
  for (const auto& [key, write] : wanted) {
    if (read_value(*client_, cluster_key(key)) != cluster_value(write)) {
      return "another value of " + cluster_key(key);
    }
  }
  return "";
}

}  // namespace small_db
