// What another node asks of this one: the parameters of replication's resources, and the answers to
// what can't be done.
//
// Pure functions over the caller's memory; worker processes call them.
#pragma once

#include <cstdint>
#include <optional>

#include "engine/replication/handshake.h"
#include "engine/replication/upstream.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/query.h"

namespace small_db {

// What a follower reports.
struct AckReport {
  Uid cluster_id{};
  Uid node_id{};
  uint64_t epoch = 0;
  FollowerProgress progress;
};

// All parameters must be there, ids as 32 lower-case hex digits, numbers as decimals. Errors:
// kInvalidQuery.
[[nodiscard]] std::optional<Problem> read_hello(const Query& query, Hello* hello) noexcept;
[[nodiscard]] std::optional<Problem> read_ack(const Query& query, AckReport* report) noexcept;
[[nodiscard]] std::optional<Problem> read_node(const Query& query, Uid* node_id) noexcept;

// Why the log can't go on from where the follower stands.
// REQUIRES: judgement.verdict is not kResume. May throw std::bad_alloc.
Problem verdict_problem(const Judgement& judgement, const NodeIdentity& node, const Hello& hello);

// Of a report from another epoch, or to a node that is no primary; nothing when it counts.
std::optional<Problem> ack_problem(const NodeIdentity& node, const AckReport& report) noexcept;

// 409: a node that asks for a primary's service has asked another one.
Problem not_primary_problem(Role role) noexcept;

}  // namespace small_db
