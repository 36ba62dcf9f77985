#include "engine/shm/replication_state.h"

#include <cstring>

#include "engine/platform/futex.h"

namespace small_db {
namespace {

uint64_t low_half(const Uid& uid) noexcept {
  uint64_t half = 0;
  std::memcpy(&half, uid.data(), sizeof half);
  return half;
}

uint64_t high_half(const Uid& uid) noexcept {
  uint64_t half = 0;
  std::memcpy(&half, uid.data() + sizeof half, sizeof half);
  return half;
}

// Whoever takes an entry over: what it says is of nobody until its new holder acknowledges.
void clear(FollowerState& follower) noexcept {
  follower.epoch.store(0, std::memory_order_seq_cst);
  follower.received.store(0, std::memory_order_relaxed);
  follower.flushed.store(0, std::memory_order_relaxed);
  follower.applied.store(0, std::memory_order_relaxed);
  follower.log_generation.store(UINT64_MAX, std::memory_order_relaxed);
}

// Takes the entry over from *holder, or learns who has it.
bool take_place(FollowerState& follower, uint64_t* holder, const Uid& node_id,
                uint64_t now_us) noexcept {
  const uint64_t node = low_half(node_id);
  if (!follower.node.compare_exchange_strong(*holder, node, std::memory_order_acq_rel)) {
    return false;
  }
  clear(follower);
  follower.node_high.store(high_half(node_id), std::memory_order_relaxed);
  follower.seen_us.store(now_us, std::memory_order_relaxed);
  return true;
}

// Flushed up to which revision, if what the entry says is of that epoch; else 0.
uint64_t flushed_in(const FollowerState& follower, uint64_t epoch) noexcept {
  if (follower.epoch.load(std::memory_order_seq_cst) != epoch) return 0;
  const uint64_t flushed = follower.flushed.load(std::memory_order_seq_cst);
  return follower.epoch.load(std::memory_order_seq_cst) == epoch ? flushed : 0;
}

}  // namespace

const char* role_name(Role role) noexcept {
  switch (role) {
    case Role::kUnknown:
      break;
    case Role::kPrimary:
      return "primary";
    case Role::kBackup:
      return "backup";
    case Role::kFenced:
      return "fenced";
  }
  return "unknown";
}

const char* follow_phase_name(FollowPhase phase) noexcept {
  switch (phase) {
    case FollowPhase::kIdle:
      return "idle";
    case FollowPhase::kConnecting:
      return "connecting";
    case FollowPhase::kBootstrapping:
      return "bootstrapping";
    case FollowPhase::kStreaming:
      return "streaming";
    case FollowPhase::kStopped:
      return "stopped";
  }
  return "unknown";
}

Uid load_uid(const std::array<std::atomic<uint64_t>, 2>& words) noexcept {
  Uid uid{};
  for (size_t i = 0; i < words.size(); ++i) {
    const uint64_t word = words[i].load(std::memory_order_relaxed);
    std::memcpy(uid.data() + i * sizeof word, &word, sizeof word);
  }
  return uid;
}

void store_uid(std::array<std::atomic<uint64_t>, 2>& words, const Uid& uid) noexcept {
  words[0].store(low_half(uid), std::memory_order_relaxed);
  words[1].store(high_half(uid), std::memory_order_relaxed);
}

FollowerState* find_follower(ReplicationState& state, const Uid& node_id,
                             uint64_t now_us) noexcept {
  const uint64_t node = low_half(node_id);
  if (node == 0) return nullptr;
  for (FollowerState& follower : state.followers) {
    if (follower.node.load(std::memory_order_acquire) == node) return &follower;
  }
  // Those that were not seen for long make place when there is no other.
  for (const bool may_replace : {false, true}) {
    for (FollowerState& follower : state.followers) {
      uint64_t holder = follower.node.load(std::memory_order_acquire);
      const uint64_t seen_us = follower.seen_us.load(std::memory_order_relaxed);
      const bool is_free = holder == 0 || (may_replace && seen_us + kFollowerHeldUs <= now_us);
      // Another process may be faster, for the same node even.
      if (is_free && take_place(follower, &holder, node_id, now_us)) return &follower;
      if (holder == node) return &follower;
    }
  }
  return nullptr;
}

void note_ack(ReplicationState& state, FollowerState& follower, uint64_t epoch, uint64_t received,
              uint64_t flushed, uint64_t applied) noexcept {
  if (follower.epoch.load(std::memory_order_relaxed) != epoch) {
    follower.epoch.store(0, std::memory_order_seq_cst);
  }
  follower.received.store(received, std::memory_order_relaxed);
  follower.flushed.store(flushed, std::memory_order_seq_cst);
  follower.applied.store(applied, std::memory_order_relaxed);
  follower.epoch.store(epoch, std::memory_order_seq_cst);
  state.acks.fetch_add(1, std::memory_order_seq_cst);
  if (state.acks_awaited.load(std::memory_order_seq_cst) != 0) futex_wake(state.acks, 1);
}

uint32_t count_acks(const ReplicationState& state, uint64_t epoch, uint64_t revision) noexcept {
  uint32_t count = 0;
  for (size_t i = 0; i < kFollowersMax; ++i) {
    const FollowerState& follower = state.followers[i];
    const uint64_t node = follower.node.load(std::memory_order_acquire);
    if (node == 0 || flushed_in(follower, epoch) < revision) continue;
    // Two processes may have made two entries for one node at the same time.
    bool counted = false;
    for (size_t before = 0; before < i; ++before) {
      const FollowerState& other = state.followers[before];
      counted = counted || (other.node.load(std::memory_order_acquire) == node &&
                            flushed_in(other, epoch) >= revision);
    }
    if (!counted) ++count;
  }
  return count;
}

}  // namespace small_db
