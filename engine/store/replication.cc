// The store as one node among several: which role it has, what it tells a primary that it follows,
// and how it becomes one. The node's history is on disk before anything is done that stands on it.
#include <algorithm>

#include "engine/base/kill_point.h"
#include "engine/recovery/data_directory.h"
#include "engine/shm/doorbell.h"
#include "engine/store/store.h"

namespace small_db {

// A disk that is full keeps no store from being read.
Status Store::open_history(const Recovered& recovered) {
  SMALL_DB_RETURN_IF_ERROR(settle_bootstrap(environment_.directory));
  Result<NodeHistory> read = read_history(environment_.directory);
  if (!read.is_ok() && read.status().code() != Code::kNotFound) {
    tell(Severity::kError,
         "the file `history` can't be read. Restore it; without it, this node's "
         "backups, or this backup, take a checkpoint again");
    return read.status();
  }
  const bool is_new = !read.is_ok();
  const NodeHistory found = is_new ? make_history(recovered) : std::move(read).value();
  NodeHistory wanted = found;
  // A backup that never found its primary, and is none any more.
  if (wanted.terms.empty() && options_.replication.primary_name.empty()) {
    wanted.terms = make_history(recovered).terms;
  }
  // A former owner may have died between hearing of an epoch and writing it down.
  wanted.heard_epoch = std::max(wanted.heard_epoch,
                                region_.replication().heard_epoch.load(std::memory_order_relaxed));
  Status status;
  if (is_new || wanted != found) status = write_history(environment_.directory, wanted);
  if (wanted.heard_epoch > std::max(found.heard_epoch, wanted.epoch()))
    tell_fenced(wanted.heard_epoch, status);
  const std::lock_guard<std::mutex> guard(history_mutex_);
  history_ = std::move(wanted);
  if (status.code() != Code::kNoDiskSpace) return status;
  tell(Severity::kWarning, "the disk is full: the file `history` is not written");
  return Status::ok();
}

// A store from before there were histories has written all that it holds itself. An empty backup
// belongs to no cluster yet: that of its primary will be its own.
NodeHistory Store::make_history(const Recovered& recovered) const {
  NodeHistory history;
  history.node_id = make_uid(LogOptions());
  const bool is_backup = !options_.replication.primary_name.empty();
  if (is_backup && recovered.last_revision == 0) return history;
  history.terms = {{std::max<uint64_t>(recovered.epoch, 1), make_uid(LogOptions()), 0}};
  return history;
}

// Durable before it counts.
Status Store::change_history(const std::function<void(NodeHistory&)>& change) {
  const std::lock_guard<std::mutex> guard(history_mutex_);
  NodeHistory changed = history_;
  change(changed);
  if (changed == history_) return Status::ok();
  SMALL_DB_RETURN_IF_ERROR(write_history(environment_.directory, changed));
  history_ = std::move(changed);
  region_.replication().epoch.store(history_.epoch(), std::memory_order_relaxed);
  region_.replication().terms.set(encode_terms(history_.terms));
  store_uid(region_.replication().node_id, history_.node_id);
  return Status::ok();
}

// A promotion counts as long as the configuration names the primary that it set aside, and nobody
// has been promoted since.
Role Store::decide_role() const {
  const std::string& primary = options_.replication.primary_name;
  const bool fenced = history_.heard_epoch > history_.epoch();
  // A backup that is not told any more whom to follow is no primary by that: its primary may live.
  if (primary.empty()) return fenced || history_.follows ? Role::kFenced : Role::kPrimary;
  return history_.set_aside == primary && !fenced ? Role::kPrimary : Role::kBackup;
}

bool Store::awaits_bootstrap() const {
  return history_.terms.empty() && decide_role() == Role::kBackup;
}

// A new backup begins with a checkpoint, and while a write waits for backups, none can be made: so
// there is one before the first write waits.
void Store::offer_bootstrap() {
  if (!wants_acks() || role() != Role::kPrimary) return;
  const Result<DirectoryListing> listing = list_data_directory(environment_.directory);
  if (!listing.is_ok() || listing.value().version_generation != 0) return;
  awaits_checkpoint_ = true;
  request_checkpoint();
}

void Store::show_replication(const Recovered& recovered) {
  ReplicationState& state = region_.replication();
  store_uid(state.cluster_id, recovered.cluster_id);
  store_uid(state.node_id, history_.node_id);
  state.epoch.store(history_.epoch(), std::memory_order_relaxed);
  state.terms.set(encode_terms(history_.terms));
  state.primary_name.set(options_.replication.primary_name);
  state.acks_required.store(options_.replication.acks_required, std::memory_order_relaxed);
  state.ack_state.store(static_cast<uint32_t>(AckState::kComplete), std::memory_order_relaxed);
  state.durable_revision.store(recovered.last_revision, std::memory_order_seq_cst);
  // A former owner may have died while it followed, and followed another.
  state.follow_phase.store(static_cast<uint32_t>(FollowPhase::kIdle), std::memory_order_relaxed);
  const uint64_t heard = state.heard_epoch.load(std::memory_order_relaxed);
  if (heard < history_.heard_epoch) {
    state.heard_epoch.store(history_.heard_epoch, std::memory_order_relaxed);
  }
  set_role(decide_role());
}

void Store::set_role(Role role) {
  if (role == Role::kPrimary) {
    const uint64_t epoch = region_.replication().epoch.load(std::memory_order_relaxed);
    committer_.become_primary(std::max(committer_.epoch(), epoch));
  } else {
    committer_.become_follower();
  }
  region_.replication().role.store(static_cast<uint32_t>(role), std::memory_order_seq_cst);
}

Role Store::role() const noexcept {
  return static_cast<Role>(region_.replication().role.load(std::memory_order_seq_cst));
}

Hello Store::hello() {
  const std::lock_guard<std::mutex> guard(history_mutex_);
  const ReplicationState& state = region_.replication();
  Hello hello;
  hello.node_id = history_.node_id;
  hello.epoch = std::max(history_.epoch(), history_.heard_epoch);
  hello.revision = state.durable_revision.load(std::memory_order_seq_cst);
  hello.log_epoch = committer_.epoch();
  // A store that was made here and holds nothing may become any node's backup.
  const bool holds_nothing = hello.revision == 0 && !history_.follows;
  if (history_.terms.empty() || holds_nothing) return hello;
  hello.cluster_id = load_uid(state.cluster_id);
  if (const Term* term = history_.term_of(hello.revision)) hello.term_id = term->id;
  return hello;
}

NodeHistory Store::history() {
  const std::lock_guard<std::mutex> guard(history_mutex_);
  return history_;
}

Status Store::adopt(const NodeIdentity& primary) {
  bool promoted = false;
  const Status status = change_history([&](NodeHistory& history) {
    // Since the primary was asked.
    promoted = decide_role() == Role::kPrimary;
    if (promoted) return;
    history.terms = primary.terms;
    history.heard_epoch = std::max(history.heard_epoch, primary.epoch);
    history.set_aside.clear();
    history.follows = true;
  });
  return promoted ? Status(Code::kInterrupted, "replication: promoted") : status;
}

Status Store::renew_node_id() {
  return change_history([](NodeHistory& history) { history.node_id = make_uid(LogOptions()); });
}

bool Store::is_following() const noexcept {
  return role() == Role::kBackup &&
         region_.replication().follow_phase.load(std::memory_order_relaxed) ==
             static_cast<uint32_t>(FollowPhase::kStreaming);
}

bool Store::has_set_aside() const {
  const std::lock_guard<std::mutex> guard(history_mutex_);
  return !history_.set_aside.empty() && role() == Role::kPrimary;
}

FollowerProgress Store::progress() const noexcept {
  const uint64_t durable = region_.replication().durable_revision.load(std::memory_order_seq_cst);
  return {durable, durable, region_.header().revision.load(std::memory_order_relaxed)};
}

// A node of the same data that knows of a higher epoch: another was promoted since.
void Store::hear_of(const NodeIdentity& node) {
  ReplicationState& state = region_.replication();
  uint64_t heard = state.heard_epoch.load(std::memory_order_relaxed);
  if (node.cluster_id != load_uid(state.cluster_id) || node.epoch <= heard) return;
  state.heard_epoch.compare_exchange_strong(heard, node.epoch, std::memory_order_seq_cst);
  ring_doorbell(region_);
}

// Who was promoted reports its epoch alone: what it has is not the other's, whose epoch may have
// the same number.
std::optional<FollowerProgress> Store::acknowledge(Upstream& upstream) {
  const NodeHistory history = this->history();
  const FollowerProgress progress = is_following() ? this->progress() : FollowerProgress();
  // A promotion in between may have given it revisions of its own.
  if (this->history() != history) return std::nullopt;
  UpstreamHead head;
  const Status status =
      upstream.post_ack(load_uid(region_.replication().cluster_id), history.node_id,
                        std::max(history.epoch(), history.heard_epoch), progress, &head);
  if (!status.is_ok()) return std::nullopt;
  if (head.node) hear_of(*head.node);
  if (head.status != 200 && is_following() && head.status != ack_refusal_) {
    tell(Severity::kWarning, "the primary does not take this node's reports: it answers " +
                                 std::to_string(head.status) + " " + head.problem);
  }
  ack_refusal_ = head.status;
  if (head.status != 200) return std::nullopt;
  return progress;
}

// Returns true when there was something to do. Nothing is with the sync thread.
bool Store::maintain_replication() {
  // The rings still hold its requests, for the next owner, who is to see all that this one does.
  if (committer_.left_a_batch()) return false;
  if (!committer_.replication_failure().is_ok()) {
    drop_replicated();
    return true;
  }
  if (role() == Role::kPrimary && is_fenced()) {
    // What is not durable yet never will be; what is, may wait for backups in vain.
    const Status status = committer_.refuse_writes(batches_[open_batch_], Code::kNotPrimary);
    if (!status.is_ok()) {
      refuse(status, Refusal());
      return true;
    }
    committer_.accept_writes();
    fence();
    return true;
  }
  if (replicated().is_asked_to_open()) {
    if (has_work()) finish(seal());
    if (!has_unhandled_failure()) replicated().open();
    SMALL_DB_KILL_POINT("owner: log may be asked for");
    return true;
  }
  if (!committer_.has_promotion_requests()) return false;
  if (has_work()) finish(seal());
  if (!failed_.load(std::memory_order_acquire)) serve_promotions();
  // At once: with the first writes it would wait for backups, which may only come when it is known.
  if (has_work()) finish(seal());
  return true;
}

bool Store::is_fenced() const {
  const ReplicationState& state = region_.replication();
  return state.heard_epoch.load(std::memory_order_relaxed) >
         state.epoch.load(std::memory_order_relaxed);
}

// Somebody was promoted elsewhere. What cannot be written down is tried again at the next look: no
// client begins a write meanwhile.
void Store::fence() {
  const uint64_t heard = region_.replication().heard_epoch.load(std::memory_order_relaxed);
  const Status status = change_history([&](NodeHistory& history) {
    history.heard_epoch = std::max(history.heard_epoch, heard);
    history.set_aside.clear();
  });
  set_role(options_.replication.primary_name.empty() ? Role::kFenced : Role::kBackup);
  tell_fenced(heard, status);
}

void Store::tell_fenced(uint64_t epoch, const Status& written_down) {
  tell(Severity::kError,
       "fenced: another node was promoted, in epoch " + std::to_string(epoch) +
           "; writes are refused here" +
           (written_down.is_ok() ? ""
                                 : ", which could not be written down: " + written_down.text()));
}

void Store::serve_promotions() {
  const std::vector<KeptRequest> requests = committer_.take_promotion_requests();
  if (requests.empty()) return;
  const Code code = promote();
  const uint64_t epoch = region_.replication().epoch.load(std::memory_order_relaxed);
  committer_.answer_kept(requests, code, epoch, batches_[open_batch_]);
}

// What was received and is not in this node's log is forgotten: nobody was told that it is here.
Code Store::promote() {
  if (role() == Role::kPrimary) return Code::kOk;
  if (role() == Role::kFenced && is_fenced()) return Code::kNotPrimary;
  if (refusing_) return Code::kReadOnly;
  replicated().close();
  const uint64_t heard = region_.replication().heard_epoch.load(std::memory_order_relaxed);
  const uint64_t after = committer_.revision();
  const Status status = change_history([&](NodeHistory& history) {
    const uint64_t highest = std::max({history.epoch(), history.heard_epoch, heard});
    // A primary's terms come with its first answer: what it wrote in them may not be here.
    while (!history.terms.empty() && history.terms.back().after_revision > after) {
      history.terms.pop_back();
    }
    history.terms.push_back({highest + 1, make_uid(LogOptions()), after});
    history.heard_epoch = highest + 1;
    history.set_aside = options_.replication.primary_name;
    history.follows = false;
  });
  if (!status.is_ok()) {
    tell(Severity::kError, "the promotion could not be written down: " + status.text());
    return Code::kIoError;
  }
  const uint64_t epoch = region_.replication().epoch.load(std::memory_order_relaxed);
  region_.replication().heard_epoch.store(epoch, std::memory_order_relaxed);
  set_role(Role::kPrimary);
  // Followers learn of terms by the newest few: a bootstrap must begin in one of them.
  request_checkpoint();
  offer_bootstrap();
  tell(Severity::kNotice, "promoted: primary in epoch " + std::to_string(epoch) +
                              " from revision " + std::to_string(after + 1) + " on");
  return Code::kOk;
}

// Two nodes that hold the same revision hold different data: what is wrong, and where, only a
// person can find out.
void Store::stop_following() {
  following_stopped_.store(true, std::memory_order_relaxed);
  const std::string problem =
      "at revision " + std::to_string(committer_.revision()) +
      " this node's content is not its primary's. Reads go on here, the primary's log is not "
      "taken any more. Compare `smalldbctl hash` of both, then remove this node's data directory "
      "and restart nginx: it takes the primary's checkpoint";
  ReplicationState& state = region_.replication();
  state.follow_problem.set(problem);
  state.follow_phase.store(static_cast<uint32_t>(FollowPhase::kStopped), std::memory_order_relaxed);
  tell(Severity::kError, problem);
}

// A frame could not be taken: what was built with it goes, and the log is asked for again behind
// what is durable.
void Store::drop_replicated() {
  const Status failure = committer_.replication_failure();
  tell(Severity::kError, "the primary's log could not be applied: " + failure.text());
  replicated().close();
  if (committer_.content_differs()) stop_following();
  committer_.clear_replication_failure();
  const Status status = committer_.refuse_writes(batches_[open_batch_], Code::kNotPrimary);
  if (!status.is_ok()) return refuse(status, Refusal());
  committer_.accept_writes();
}

}  // namespace small_db
