#include "ngx_module/api/replication_figures.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "engine/platform/clock.h"

namespace small_db {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
T figure(const std::atomic<T>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

uint64_t difference(uint64_t larger, uint64_t smaller) noexcept {
  return larger > smaller ? larger - smaller : 0;
}

double seconds(uint64_t us) { return static_cast<double>(us) / 1e6; }

Uid node_of(const FollowerState& follower) noexcept {
  std::array<std::atomic<uint64_t>, 2> words;
  words[0] = figure(follower.node);
  words[1] = figure(follower.node_high);
  return load_uid(words);
}

Json follower_member(const FollowerFigures& follower) {
  return {{"node", encode_uid(follower.node_id)},
          {"connected", follower.connected},
          {"epoch", follower.epoch},
          {"received", follower.received},
          {"flushed", follower.flushed},
          {"applied", follower.applied},
          {"behind", follower.behind},
          {"seen_seconds_ago", seconds(follower.seen_ago_us)}};
}

Json following_member(const ReplicationFigures& figures) {
  Json member = {{"primary", figures.primary}, {"phase", follow_phase_name(figures.phase)}};
  if (!figures.problem.empty()) member["problem"] = figures.problem;
  member["primary_revision"] = figures.primary_revision;
  member["behind"] = {{"revisions", figures.behind_revisions},
                      {"bytes", figures.behind_bytes},
                      {"seconds", seconds(figures.behind_us)}};
  if (figures.contact_ago_us != 0) {
    member["contact_seconds_ago"] = seconds(figures.contact_ago_us);
  }
  if (figures.phase == FollowPhase::kBootstrapping) {
    member["download"] = {{"bytes", figures.download_bytes}, {"total", figures.download_total}};
  }
  member["bootstraps"] = figures.bootstraps;
  member["reconnects"] = figures.reconnects;
  return member;
}

void read_following(const ReplicationState& state, uint64_t now_us, ReplicationFigures* figures) {
  figures->phase = static_cast<FollowPhase>(figure(state.follow_phase));
  figures->primary = state.primary_name.get();
  figures->problem = state.follow_problem.get();
  figures->primary_revision = figure(state.primary_revision);
  figures->behind_revisions = difference(figures->primary_revision, figures->durable_revision);
  figures->behind_bytes = figure(state.bytes_behind);
  const uint64_t since_ms = figure(state.behind_since_ms);
  if (since_ms != 0) figures->behind_us = difference(system_clock().wall_ms(), since_ms) * 1000;
  const uint64_t contact_us = figure(state.contact_us);
  if (contact_us != 0) figures->contact_ago_us = difference(now_us, contact_us);
  figures->download_bytes = figure(state.download_bytes);
  figures->download_total = figure(state.download_total);
  figures->bootstraps = figure(state.bootstraps);
  figures->reconnects = figure(state.reconnects);
}

}  // namespace

Role told_role(const ReplicationState& state) noexcept {
  const auto role = static_cast<Role>(figure(state.role));
  const bool is_fenced = figure(state.heard_epoch) > figure(state.epoch);
  return role == Role::kPrimary && is_fenced ? Role::kFenced : role;
}

ReplicationFigures read_replication(const Region& region) {
  const ReplicationState& state = region.replication();
  const uint64_t now_us = system_clock().monotonic_us();
  ReplicationFigures figures;
  figures.role = told_role(state);
  figures.epoch = figure(state.epoch);
  figures.cluster_id = load_uid(state.cluster_id);
  figures.node_id = load_uid(state.node_id);
  figures.durable_revision = figure(state.durable_revision);
  figures.acks_required = figure(state.acks_required);
  figures.ack_state = static_cast<AckState>(figure(state.ack_state));
  figures.ack_timeouts = figure(state.ack_timeouts);
  for (const FollowerState& each : state.followers) {
    if (figure(each.node) == 0) continue;
    FollowerFigures follower;
    follower.node_id = node_of(each);
    follower.epoch = figure(each.epoch);
    follower.received = figure(each.received);
    follower.flushed = figure(each.flushed);
    follower.applied = figure(each.applied);
    follower.behind = difference(figures.durable_revision, follower.flushed);
    follower.seen_ago_us = difference(now_us, figure(each.seen_us));
    follower.connected = follower.seen_ago_us < kFollowerConnectedUs;
    figures.followers.push_back(follower);
  }
  read_following(state, now_us, &figures);
  return figures;
}

const char* ack_state_name(AckState state) noexcept {
  switch (state) {
    case AckState::kComplete:
      return "complete";
    case AckState::kMissing:
      return "missing";
    case AckState::kDegraded:
      return "degraded";
  }
  return "unknown";
}

Json replication_member(const ReplicationFigures& figures) {
  Json member = {{"role", role_name(figures.role)},
                 {"epoch", figures.epoch},
                 {"cluster", encode_uid(figures.cluster_id)},
                 {"node", encode_uid(figures.node_id)},
                 {"durable_revision", figures.durable_revision},
                 {"ack",
                  {{"required", figures.acks_required},
                   {"state", ack_state_name(figures.ack_state)},
                   {"timeouts", figures.ack_timeouts}}}};
  member["followers"] = Json::array();
  for (const FollowerFigures& follower : figures.followers) {
    member["followers"].push_back(follower_member(follower));
  }
  if (!figures.primary.empty()) member["following"] = following_member(figures);
  return member;
}

}  // namespace small_db
