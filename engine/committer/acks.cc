// What a primary's followers have to do with a commit: they are told what is durable, and, where it
// is asked for, a batch is seen and answered only when enough of them have it on disk. Sync thread.
#include <algorithm>
#include <string>

#include "engine/committer/committer.h"
#include "engine/platform/futex.h"
#include "engine/shm/slot.h"

namespace small_db {
namespace {

// How often a wait looks whether it is still wanted.
constexpr uint64_t kWaitStepUs = 20'000;

}  // namespace

// From here on followers may have it. Rings the bells of those who send it to them.
void Committer::show_durable(const Batch& batch) {
  durable_revision_ = batch.last_revision;
  ReplicationState& replication = region_.replication();
  // Sequentially consistent, as the watchers' look at it after they have said that they watch.
  replication.durable_revision.store(batch.last_revision, std::memory_order_seq_cst);
  const uint32_t slots = slots_touched(region_);
  for (uint32_t slot = 0; slot < slots; ++slot) {
    if (region_.slot(slot).watches_log.load(std::memory_order_seq_cst) != 0) bells_.ring(slot);
  }
}

void Committer::stop_waiting() noexcept {
  stop_waiting_.store(true, std::memory_order_seq_cst);
  futex_wake(region_.replication().acks, 1);
}

// True when the revision may be seen and answered. False: the wait was stopped.
bool Committer::await_acks(uint64_t revision) {
  if (left_a_batch()) return false;
  if (options_.acks_required == 0 || !is_primary_ || revision == 0) return true;
  if (wait_for_acks(revision)) return true;
  left_a_batch_.store(true, std::memory_order_release);
  return false;
}

bool Committer::wait_for_acks(uint64_t revision) {
  ReplicationState& replication = region_.replication();
  const uint64_t give_up_us = clock_.monotonic_us() + options_.ack_timeout_us;
  // Those who were left behind are waited for again when they have caught up.
  const uint64_t visible = region_.header().revision.load(std::memory_order_relaxed);
  const bool alone =
      is_degraded() && count_acks(replication, epoch_, visible) < options_.acks_required;
  if (alone) return true;
  replication.acks_awaited.store(1, std::memory_order_seq_cst);
  bool enough = false;
  for (;;) {
    const uint32_t seen = replication.acks.load(std::memory_order_seq_cst);
    enough = count_acks(replication, epoch_, revision) >= options_.acks_required;
    if (enough) break;
    if (must_stop_waiting()) break;
    const uint64_t now_us = clock_.monotonic_us();
    if (now_us >= give_up_us) {
      set_ack_state(options_.degrade ? AckState::kDegraded : AckState::kMissing);
      if (options_.degrade) break;
    }
    futex_wait(replication.acks, seen, kWaitStepUs);
  }
  replication.acks_awaited.store(0, std::memory_order_seq_cst);
  if (enough) set_ack_state(AckState::kComplete);
  // One that was stopped has not gone on alone.
  return enough || is_degraded();
}

bool Committer::is_degraded() const noexcept {
  return region_.replication().ack_state.load(std::memory_order_relaxed) ==
         static_cast<uint32_t>(AckState::kDegraded);
}

// Another owner is to take over, or another primary is there: what waits is theirs to answer.
bool Committer::must_stop_waiting() const {
  return stop_waiting_.load(std::memory_order_seq_cst) ||
         region_.header().handover_wanted.load(std::memory_order_seq_cst) != 0 ||
         region_.replication().heard_epoch.load(std::memory_order_seq_cst) > epoch_;
}

void Committer::set_ack_state(AckState state) {
  ReplicationState& replication = region_.replication();
  const auto value = static_cast<uint32_t>(state);
  if (replication.ack_state.load(std::memory_order_relaxed) == value) return;
  if (state != AckState::kComplete) add_relaxed(replication.ack_timeouts, 1);
  replication.ack_state.store(value, std::memory_order_relaxed);
  tell_ack_state(state);
}

void Committer::tell_ack_state(AckState state) {
  if (options_.log == nullptr) return;
  if (state == AckState::kComplete) {
    return options_.log->write(Severity::kNotice, "enough backups acknowledge writes again");
  }
  const std::string consequence = state == AckState::kDegraded
                                      ? "writes are acknowledged without them"
                                      : "writes are refused until enough do";
  options_.log->write(Severity::kError,
                      "fewer backups than " + std::to_string(options_.acks_required) +
                          " have acknowledged a write within " +
                          std::to_string(options_.ack_timeout_us / 1000) + " ms: " + consequence);
}

}  // namespace small_db
