// What the store does when its log can't be written any more. Commit thread, but for note_failure.
//
//   serving ──failure──▶ read-only ──▶ new log, whose START gives the old one up ──▶ checkpoint
//      ▲                     ▲                              └──────────┬──────────────────┘
//      └──── durable ────────┼─────────────────────────────────────────┤
//                            └──── fails: until somebody asks for a checkpoint again
//
// The failed file is never written again: its pages count as clean, so that a later sync would
// prove nothing. Nor is it trusted for the state: that is written anew, from memory, read back and
// verified, before a write is taken.
#include "engine/store/store.h"

namespace small_db {

// Any thread. The first failure of a log counts.
void Store::note_failure(const Status& status) {
  if (failing_.exchange(true, std::memory_order_acq_rel)) return;
  failure_ = status;
  failed_.store(true,
                std::memory_order_release);  // pairs with the acquire in has_unhandled_failure
}

bool Store::has_unhandled_failure() const {
  const bool handled = refusing_ && !on_new_log_;
  return !handled && failed_.load(std::memory_order_acquire);
}

void Store::clear_failure() {
  on_new_log_ = true;
  failed_.store(false, std::memory_order_relaxed);
  failing_.store(false, std::memory_order_release);  // pairs with the exchange in note_failure
}

void Store::go_read_only() {
  const bool attempted = refusing_;  // this is a failure of the log that was to heal the former one
  refusing_ = true;
  on_new_log_ = false;
  const std::string reason = "the log could not be written: " + failure_.text() +
                             ". Reads go on, writes are refused until a new generation is complete";
  tell(Severity::kError, reason);
  region_.header().log_failures.fetch_add(1, std::memory_order_relaxed);
  region_.set_state(StoreState::kReadOnly, reason);
  const Status status = committer_.refuse_writes(batches_[open_batch_], Code::kReadOnly);
  if (!status.is_ok()) return refuse(status, Refusal());
  if (attempted) return;
  heal_again_ = checkpointer_.is_requested();
  if (!heal_again_) request_checkpoint();
}

// A checkpoint has ended while no write is taken.
void Store::judge_healing(const Status& checkpoint) {
  if (region_.header().state.load(std::memory_order_relaxed) !=
      static_cast<uint32_t>(StoreState::kReadOnly)) {
    return;  // refused: memory itself makes no sense
  }
  const bool healthy = on_new_log_ && !failed_.load(std::memory_order_acquire);
  if (checkpoint.is_ok() && healthy) return serve_again();
  if (!heal_again_) return stay_read_only(checkpoint);
  heal_again_ = false;
  request_checkpoint();
}

void Store::serve_again() {
  refusing_ = false;
  on_new_log_ = false;
  committer_.accept_writes();
  region_.set_state(StoreState::kServing, "");
  tell(Severity::kNotice, "a new generation is complete: writes are taken again, from revision " +
                              std::to_string(committer_.durable_revision() + 1) + " on");
}

void Store::stay_read_only(const Status& checkpoint) {
  const std::string reason =
      "the log could not be written, and a new generation neither: " +
      (checkpoint.is_ok() ? failure_.text() : checkpoint.text()) +
      ". Reads go on, writes are refused. Check the disk, then ask for a checkpoint (POST "
      ".../checkpoint), or restart nginx: recovery reads the log again";
  tell(Severity::kError, reason);
  region_.set_state(StoreState::kReadOnly, reason);
}

}  // namespace small_db
