// What a node tells of its part in replication: in …/status, in …/metrics, and as its role.
#pragma once

#include <cstdint>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

#include "engine/replication/handshake.h"
#include "engine/shm/region.h"

namespace small_db {

struct FollowerFigures {
  Uid node_id{};
  uint64_t epoch = 0;     // of its last report; 0: it made none
  uint64_t received = 0;  // last revisions
  uint64_t flushed = 0;
  uint64_t applied = 0;
  uint64_t behind = 0;  // revisions that are durable here and not there
  uint64_t seen_ago_us = 0;
  bool connected = false;
};

// Figures of a node at about one moment; each is right by itself.
struct ReplicationFigures {
  Role role = Role::kPrimary;
  uint64_t epoch = 0;  // of the newest term
  Uid cluster_id{};
  Uid node_id{};
  uint64_t durable_revision = 0;
  uint32_t acks_required = 0;
  AckState ack_state = AckState::kComplete;
  uint64_t ack_timeouts = 0;
  std::vector<FollowerFigures> followers;

  // Of a backup.
  FollowPhase phase = FollowPhase::kIdle;
  std::string primary;  // its URL
  std::string problem;
  uint64_t primary_revision = 0;
  uint64_t behind_revisions = 0;
  uint64_t behind_bytes = 0;
  uint64_t behind_us = 0;
  uint64_t contact_ago_us = 0;  // 0: none yet
  uint64_t download_bytes = 0;
  uint64_t download_total = 0;
  uint64_t bootstraps = 0;
  uint64_t reconnects = 0;
};

// The role that clients and other nodes are told: a primary that has heard of a higher epoch is
// fenced, though its owner may not know it yet.
Role told_role(const ReplicationState& state) noexcept;

// Reads the figures. Any process. May throw std::bad_alloc.
ReplicationFigures read_replication(const Region& region);

// "complete", "missing", "degraded".
const char* ack_state_name(AckState state) noexcept;

// The member `replication` of …/status. May throw std::bad_alloc.
nlohmann::ordered_json replication_member(const ReplicationFigures& figures);

}  // namespace small_db
