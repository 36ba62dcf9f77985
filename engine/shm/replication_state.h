// What processes share about replication: this node's identity and role, how far its own log and
// its followers are, and, on a backup, how far behind the primary it is. Part of the region, behind
// its header.
//
// Who writes what: the owner writes all but what stands under "anyone"; those fields are written by
// workers that answer a follower, and by whoever wants the owner to act. Numbers are relaxed unless
// it says otherwise: nobody reads memory through them.
#pragma once

#include <array>
#include <atomic>
#include <cstdint>
#include <string>
#include <string_view>

#include "engine/base/uid.h"
#include "engine/shm/shared_text.h"

namespace small_db {

inline constexpr size_t kFollowersMax = 16;

enum class Role : uint32_t {
  kUnknown = 0,  // the directory has not been read yet
  kPrimary,      // takes writes
  kBackup,       // follows a primary
  kFenced,       // was a primary, and has heard of a higher epoch: takes no writes
};
const char* role_name(Role role) noexcept;  // "unknown", "primary", "backup", "fenced"

// One node that follows this one. Found by the low half of its node id, and taken by storing it.
struct alignas(64) FollowerState {
  std::atomic<uint64_t> node;       // 0: free
  std::atomic<uint64_t> node_high;  // the other half, for people
  // As told by its last ack, which was sent in this epoch. Stored in the order epoch 0, numbers,
  // epoch: numbers between two equal looks at the epoch are of that epoch.
  std::atomic<uint64_t> epoch;
  std::atomic<uint64_t> received;  // revisions
  std::atomic<uint64_t> flushed;
  std::atomic<uint64_t> applied;
  std::atomic<uint64_t> seen_us;  // when it last asked for anything; monotonic
  // The oldest log that it still has to read: kept for it.
  std::atomic<uint64_t> log_generation;
};

// What a backup is at.
enum class FollowPhase : uint32_t {
  kIdle = 0,       // it follows nobody
  kConnecting,     // or waits for the time to try again
  kBootstrapping,  // takes the primary's checkpoint
  kStreaming,      // takes the primary's log
  kStopped,        // can't go on without a person; the problem says why
};
const char* follow_phase_name(FollowPhase phase) noexcept;

// How writes stand with the followers that they wait for.
enum class AckState : uint32_t {
  kComplete = 0,  // enough followers answer, or none is asked for
  kMissing,       // too few: writes are refused until enough are back
  kDegraded,      // too few: writes are acknowledged without them
};

struct ReplicationState {
  // Written by the owner.
  alignas(64) std::atomic<uint32_t> role;  // Role
  std::atomic<uint32_t> follow_phase;      // FollowPhase
  std::atomic<uint64_t> epoch;             // of the newest term
  // The last revision that is durable here. The published one may be behind it. Released behind the
  // sync; who acquires it may read the log's file so far.
  std::atomic<uint64_t> durable_revision;
  std::array<std::atomic<uint64_t>, 2> cluster_id;
  std::array<std::atomic<uint64_t>, 2> node_id;
  std::atomic<uint32_t> acks_required;  // of how many followers
  std::atomic<uint32_t> ack_state;      // AckState
  std::atomic<uint64_t> ack_timeouts;   // times that it left kComplete

  // Of a backup.
  std::atomic<uint64_t> primary_revision;  // the last that the primary has told of
  std::atomic<uint64_t> bytes_behind;      // of the primary's log
  std::atomic<uint64_t> behind_since_ms;   // commit time of the first revision not applied; 0: none
  std::atomic<uint64_t> contact_us;        // when the primary was last heard; monotonic
  std::atomic<uint64_t> download_bytes;    // of a checkpoint
  std::atomic<uint64_t> download_total;
  std::atomic<uint64_t> bootstraps;  // made since the region was formatted
  std::atomic<uint64_t> reconnects;

  // Written by anyone.
  alignas(64) std::atomic<uint32_t> acks;  // futex word: +1 by each ack that was noted
  std::atomic<uint32_t> acks_awaited;      // 1: the owner sleeps on it
  // The highest epoch that a follower has told of. Above `epoch`: this node is to be fenced.
  std::atomic<uint64_t> heard_epoch;
  std::array<FollowerState, kFollowersMax> followers;

  // Texts, written by the owner.
  SharedText<2048> terms;           // encode_terms (history.h)
  SharedText<512> primary_name;     // of a backup: its primary's URL, without secrets
  SharedText<1024> follow_problem;  // why following does not go on; empty: nothing is wrong
};

// A Uid in two words.
Uid load_uid(const std::array<std::atomic<uint64_t>, 2>& words) noexcept;
void store_uid(std::array<std::atomic<uint64_t>, 2>& words, const Uid& uid) noexcept;

// The follower's entry, taken if it has none: a free one, else one that was not seen within the
// last kFollowerHeldUs. nullptr: no place. Any process.
FollowerState* find_follower(ReplicationState& state, const Uid& node_id, uint64_t now_us) noexcept;
inline constexpr uint64_t kFollowerHeldUs = 60'000'000;

// Notes what a follower told. Any process; then wakes the owner if it waits for it.
void note_ack(ReplicationState& state, FollowerState& follower, uint64_t epoch, uint64_t received,
              uint64_t flushed, uint64_t applied) noexcept;

// How many different followers have flushed `revision` in `epoch`.
uint32_t count_acks(const ReplicationState& state, uint64_t epoch, uint64_t revision) noexcept;

// A follower counts as connected when it was seen within this time.
inline constexpr uint64_t kFollowerConnectedUs = 5'000'000;

}  // namespace small_db
