// One store as its owner runs it: recovery or take-over at open, then the steps of commit, log
// preparation and idling. Each step is a plain function: StorageWorker calls them from threads, the
// simulation calls them one by one in any legal order.
//
//   closed ──open──▶ serving ──(failed write or sync)──▶ read-only ──(new generation)──▶ serving
//      └──(files contradict themselves)──▶ refused
//
// Which thread calls what: the commit thread open, drain, seal, maintain, switch_log,
// write_idle_frame, let_go; the sync thread finish; the preparer prepare; the checkpoint thread
// checkpoint_step. While the sync thread has no batch, the commit thread may call finish itself.
#pragma once

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>

#include "engine/committer/committer.h"
#include "engine/platform/bells.h"
#include "engine/platform/clock.h"
#include "engine/platform/event_log.h"
#include "engine/platform/file_system.h"
#include "engine/platform/pages_ahead.h"
#include "engine/recovery/recovery.h"
#include "engine/replication/follower.h"
#include "engine/shm/region.h"
#include "engine/store/checkpointer.h"
#include "engine/store/options.h"
#include "engine/table/table.h"
#include "engine/wal/log_writer.h"

namespace small_db {

// What the owner needs around it. All of it outlives the store.
struct StoreEnvironment {
  Directory& directory;
  Clock& clock;
  WorkerBells& bells;
  EventLog& log;
};

class Store : public FollowerHost {
 public:
  Store(Region region, const StoreEnvironment& environment, const StoreOptions& options);

  // Takes over the region's published state where a former owner left one that the log agrees with;
  // else loads the state from the directory. Ends in kServing, or in kRefused with the reason in
  // region and log. REQUIRES: the directory's lock is held.
  Status open();

  // Commit thread. Reads requests into the open batch.
  Committer::Drained drain();
  bool has_work() const noexcept { return open_batch().has_work(); }
  const Batch& open_batch() const noexcept { return batches_[open_batch_]; }
  uint32_t open_requests() const noexcept { return batches_[open_batch_].frame.requests(); }
  // True when the open batch should wait for no more requests.
  bool has_enough() const noexcept {
    return open_batch().frame.body_bytes() >= options_.batch_bytes_enough;
  }
  bool ready() { return !awaits_checkpoint_ && committer_.ready(); }
  // Commit thread, nothing open. Microseconds until expired records are to be removed; UINT64_MAX:
  // none is to expire.
  uint64_t removal_wait_us() const;
  // Commit thread. True when a request that waited for log space has it now, or can't get it.
  bool log_space_decided() const noexcept;

  // Commit thread. Ends the open batch and opens the next. REQUIRES: the batch sealed before is
  // finished.
  Batch& seal();

  // Sync thread. Makes the batch durable, visible and answered.
  void finish(Batch& batch);

  // Commit thread, no batch with the sync thread. After a failure: drops what was built on it, goes
  // read-only and asks for a new generation; serves again when that is complete. Frees the slots of
  // processes that are gone. Returns true when there was something to do.
  bool maintain();

  // Commit thread, no batch with the sync thread. Once after the last commit; a no-op otherwise.
  void write_idle_frame();
  bool wants_idle_frame() const noexcept {
    return idle_wanted_ && !failed_.load(std::memory_order_relaxed);
  }

  // Commit thread, no batch with the sync thread and no work open: goes on in the log that a
  // checkpoint has made.
  bool wants_log_switch() const { return checkpointer_.wants_switch(); }
  void switch_log();

  // Checkpoint thread.
  Checkpointer::Step checkpoint_step() { return checkpointer_.step(); }
  // Any thread. True when a checkpoint should be asked for.
  bool checkpoint_is_due() const;
  const Checkpointer& checkpointer() const noexcept { return checkpointer_; }
  void request_checkpoint();
  // Checkpoint thread, or after its end.
  void abandon_checkpoint() noexcept { checkpointer_.abandon(); }
  // Monotonic time at which the next one falls due by the interval; UINT64_MAX while nothing has
  // changed since the last.
  uint64_t next_checkpoint_us() const;

  // Preparer.
  enum class Prepared : uint8_t {
    kEnough,   // nothing to do until more of the log is used
    kMore,     // a step was made, another is due
    kNoSpace,  // the disk is full: try again in a while
    kFailed,   // nothing to do until there is another log
  };
  Prepared prepare();
  bool wants_preparation() const noexcept;

  // What stands between this node and another primary: any thread, until let_go.
  ReplicatedFrames& replicated() noexcept { return committer_.replicated(); }
  bool wants_acks() const noexcept { return options_.replication.acks_required != 0; }
  void stop_waiting() noexcept { committer_.stop_waiting(); }
  bool left_a_batch() const noexcept { return committer_.left_a_batch(); }
  Role role() const noexcept;
  // True while the primary's log is being taken.
  bool is_following() const noexcept;
  // True when a person is needed before it can be taken again.
  bool following_stopped() const noexcept {
    return following_stopped_.load(std::memory_order_relaxed);
  }
  // True when a promotion has set a primary aside, which may not know of it.
  bool has_set_aside() const;
  FollowerProgress progress() const noexcept;
  // Acknowledging thread. Reports to the primary; returns what that knows now, nothing when it does
  // not.
  std::optional<FollowerProgress> acknowledge(Upstream& upstream);
  // Receiving thread; see FollowerHost.
  Hello hello() override;
  NodeHistory history() override;
  Status adopt(const NodeIdentity& primary) override;
  Status renew_node_id() override;

  // Commit thread, no batch with the sync thread. Ends in a region that the next owner can take
  // over as it stands.
  void let_go();

 private:
  Status take_over();
  Status load();
  PagesAhead* pages() noexcept { return pages_ ? &*pages_ : nullptr; }
  Status start(const Recovered& recovered);
  void refuse(const Status& status, const Refusal& refusal);
  void serve_checkpoint_requests();
  void answer_checkpoint_waiters(Code code);
  Status start_next_log(LogEnd next, bool heals);
  bool sweep();
  std::shared_ptr<LogWriter> shared_log() const;
  void set_log(std::shared_ptr<LogWriter> log);
  void set_disk_full(const Status& status);
  void set_disk_has_space();

  // replication.cc
  Status open_history(const Recovered& recovered);
  NodeHistory make_history(const Recovered& recovered) const;
  Role decide_role() const;
  bool awaits_bootstrap() const;
  void offer_bootstrap();
  void show_replication(const Recovered& recovered);
  void set_role(Role role);
  Status change_history(const std::function<void(NodeHistory&)>& change);
  bool maintain_replication();
  bool is_fenced() const;
  void fence();
  void tell_fenced(uint64_t epoch, const Status& written_down);
  void serve_promotions();
  Code promote();
  void drop_replicated();
  void hear_of(const NodeIdentity& node);
  void stop_following();

  // healing.cc
  bool has_unhandled_failure() const;
  void go_read_only();
  void judge_healing(const Status& checkpoint);
  void stay_read_only(const Status& checkpoint);
  void serve_again();
  void clear_failure();
  void note_failure(const Status& status);
  void wait_for_pins();
  void tell(Severity severity, const std::string& line) const {
    environment_.log.write(severity, line);
  }

  Region region_;
  StoreEnvironment environment_;
  const StoreOptions options_;
  Table table_;
  std::optional<PagesAhead> pages_;  // of the table's arena; with options_.helper_threads
  Checkpointer checkpointer_;
  Committer committer_;
  // Changed by the commit thread alone, at a switch; the preparer takes a share of it.
  std::shared_ptr<LogWriter> log_;
  mutable std::mutex log_mutex_;
  std::shared_ptr<LogWriter> prepared_log_;  // the preparer's own
  std::array<Batch, 2> batches_;
  size_t open_batch_ = 0;
  bool idle_wanted_ = false;

  std::atomic<uint64_t> log_used_end_{0};  // by the commit thread; read by the preparer
  std::atomic<bool> failing_{false};       // taken by the first thread that meets a failure
  std::atomic<bool> failed_{false};        // set by it when failure_ is there to be read
  Status failure_;
  bool refusing_ = false;    // commit thread: no write is taken
  bool on_new_log_ = false;  // commit thread: and the failed log was given up for another
  bool heal_again_ = false;  // commit thread: the checkpoint at work began before the failure
  std::vector<KeptRequest> checkpoint_waiters_;
  bool awaits_checkpoint_ = false;  // commit thread: nothing is read until there is one
  mutable std::mutex history_mutex_;
  int ack_refusal_ = 0;                         // acknowledging thread: the last answer's status
  std::atomic<bool> following_stopped_{false};  // for this owner's life
  NodeHistory history_;                         // guarded by history_mutex_: as it is on disk

  // What the log and the counters stood at when the last checkpoint began. Any thread.
  std::atomic<uint64_t> checkpointed_log_bytes_{0};
  std::atomic<uint64_t> checkpointed_operations_{0};
  std::atomic<uint64_t> checkpointed_us_{0};
};

}  // namespace small_db
