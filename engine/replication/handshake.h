// Whether a backup may go on with this node's log: the decision, made from both nodes' histories.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/status.h"
#include "engine/replication/history.h"
#include "engine/shm/replication_state.h"
#include "engine/wal/format.h"

namespace small_db {

// What every answer of a node says about it.
struct NodeIdentity {
  Uid cluster_id{};
  Uid node_id{};
  uint64_t epoch = 0;
  Role role = Role::kPrimary;
  std::vector<Term> terms;  // the newest ones, see encode_terms
};

// What a backup says when it asks for the log.
struct Hello {
  Uid cluster_id{};  // zeros: it belongs to none yet
  Uid node_id{};
  uint64_t epoch = 0;     // the highest that it has heard of
  uint64_t revision = 0;  // the last that it holds
  Uid term_id{};          // of the term that this revision belongs to; zeros: of none
  // Of its own knowledge, not said: the epoch that its log is in. A node that was promoted and
  // wrote nothing is in one that a primary's next revisions may be older than.
  uint64_t log_epoch = 0;
};

enum class Verdict : uint8_t {
  kResume,        // the log goes on from there
  kBootstrap,     // it needs a checkpoint first
  kDiverged,      // it holds revisions that this node does not; `common` may be shared
  kOtherCluster,  // it belongs to other data
  kFenced,        // it has heard of a higher epoch: this node is not the primary any more
  kNotPrimary,    // this node is a backup itself
};
const char* verdict_name(Verdict verdict) noexcept;  // as in problem types: "bootstrap-needed", …

struct Judgement {
  Verdict verdict = Verdict::kResume;
  uint64_t common_revision = 0;  // of kDiverged: the newest that both may hold; 0: none
};

// node: this one. revision: the last that is durable here. oldest_revision: the log here goes on
// from every revision from this one on. Decides in the order: cluster, role, epoch, divergence,
// bootstrap.
Judgement judge(const NodeIdentity& node, uint64_t revision, uint64_t oldest_revision,
                const Hello& hello) noexcept;

}  // namespace small_db
