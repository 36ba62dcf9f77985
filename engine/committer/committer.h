// Turns submissions into durable, visible, answered commits:
//
//   drain ─▶ seal ─▶ append ─▶ sync ─▶ publish ─▶ complete
//   └ commit thread ┘└──────────── sync thread ──────────┘
//
// drain evaluates requests in log order against the table's private next state, and adds them to
// the batch's frame. At most one sealed batch is with the sync thread; drain goes on with the next
// one meanwhile. A batch becomes visible, and is answered, only after its frame is durable.
//
// A failed append or sync is sticky: the batch's outcome is unknown and answered as such, what was
// built on top of it is dropped, and every later write is refused until there is another log.
#pragma once

#include <atomic>
#include <map>
#include <optional>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include "engine/committer/batch.h"
#include "engine/committer/intake.h"
#include "engine/committer/known_requests.h"
#include "engine/platform/bells.h"
#include "engine/platform/clock.h"
#include "engine/platform/event_log.h"
#include "engine/record/write_set.h"
#include "engine/replication/replicated_frames.h"
#include "engine/table/table.h"
#include "engine/wal/log_writer.h"

namespace small_db {

struct CommitterOptions {
  size_t batch_bytes_max = kBatchBytesMax;
  size_t batch_requests_max = kBatchRequestsMax;
  size_t drain_bytes = kDrainBytes;
  size_t log_reserve_bytes = 512 * kKiB;  // of the prepared log space: for deletes alone
  // A primary's write is seen and answered when so many followers have it on disk as well.
  uint32_t acks_required = 0;
  uint64_t ack_timeout_us = 5'000'000;  // then, by this choice, it
  bool degrade =
      false;  // is seen and answered without them, or waits on while new ones are refused
  EventLog* log = nullptr;  // told how writes stand with the followers that they wait for
};

// All write sets that are on their way in chunks, together: one that would exceed it is refused.
inline constexpr size_t kStreamedWriteSetsBytesMax = 256 * kMiB;
static_assert(kStreamedWriteSetsBytesMax >= kWriteSetBytesMax);

// Prepared log space that is kept for frames without requests (IDLE, SEAL).
inline constexpr uint64_t kMarkFramesBytes = 8 * kSectorBytes;

// In the log's request table: the request is the store's own. Its incarnation is 0, which no slot's
// holder has.
inline constexpr uint32_t kNoSlot = UINT32_MAX;

// A counter with one writer.
inline void add_relaxed(std::atomic<uint64_t>& counter, uint64_t amount) noexcept {
  counter.store(counter.load(std::memory_order_relaxed) + amount, std::memory_order_relaxed);
}

// What a root says about the log: it stood at `before` when `revision` was the last.
LogPosition root_position(const LogFilePosition& before, uint64_t revision) noexcept;

// What a root says while requests of those frames may be unanswered: the next owner must find them
// all again.
std::optional<LogPosition> log_floor(const std::vector<FrameRequests>& frames);

// A request that waits for more than a commit. Its place in the ring is given back meanwhile, so
// that its slot may change hands.
struct KeptRequest {
  Answer answer;
  SlotHolder holder;
};

class Committer {
 public:
  Committer(Region region, Table& table, WorkerBells& bells, Clock& clock,
            const CommitterOptions& options);

  // Goes on behind what recovery found, in `log`. `known`: requests that the log already holds and
  // whose answers may not have been given; they are answered from it, not executed again.
  void start(LogWriter* log, uint64_t revision, uint64_t epoch,
             const std::vector<FrameRequests>& known);

  // What ended a drain.
  enum class Drained : uint8_t {
    kAll,      // nothing is left to read
    kMore,     // drain_bytes were added, and there may be more
    kFull,     // the batch, or the one in sync, must be published first
    kNoSpace,  // the next request waits for prepared log space
  };

  // Commit thread: adds what the rings hold to `batch`.
  Drained drain(Batch& batch);

  // Commit thread: ends the batch. REQUIRES: every earlier sealed batch was finished.
  void seal(Batch& batch);

  // Sync thread: append, sync, publish, complete. Returns what append or sync returned.
  Status finish(Batch& batch);

  // Commit thread: requests for a checkpoint, or for promotion, that were drained since the last
  // call.
  std::vector<KeptRequest> take_checkpoint_requests() {
    return std::exchange(checkpoint_requests_, {});
  }
  bool has_promotion_requests() const noexcept { return !promotion_requests_.empty(); }
  std::vector<KeptRequest> take_promotion_requests() {
    return std::exchange(promotion_requests_, {});
  }
  // Commit thread: their answers, which go out with `batch`.
  void answer_kept(const std::vector<KeptRequest>& requests, Code code, uint64_t revision,
                   Batch& batch);

  // Commit thread, nothing open or with the sync thread. A primary takes writes from the rings, and
  // writes them in its own epoch; any other takes its primary's frames, and refuses writes.
  void become_primary(uint64_t epoch) noexcept;
  void become_follower() noexcept { is_primary_ = false; }
  bool is_primary() const noexcept { return is_primary_; }

  // The primary's frames, as they are received.
  ReplicatedFrames& replicated() noexcept { return replicated_; }
  // Commit thread: why a frame could not be taken. What was built with it must be dropped
  // (refuse_writes), and the log asked for again behind what is durable.
  const Status& replication_failure() const noexcept { return replication_failure_; }
  // And that was found: it will not go away.
  bool content_differs() const noexcept { return content_differs_; }
  void clear_replication_failure() noexcept { replication_failure_ = Status::ok(); }

  // Any thread. From now on nobody waits for followers any more: a batch that does is left to the
  // next owner, unpublished.
  void stop_waiting() noexcept;
  // True after that, if a batch was left.
  bool left_a_batch() const noexcept { return left_a_batch_.load(std::memory_order_acquire); }

  // Commit thread, no batch with the sync thread and none open: ends the active log.
  Status write_seal_frame();
  // And goes on in another.
  void set_log(LogWriter* log) noexcept;
  // The offset that a request waits for belongs to a log that is no more.
  void forget_log_wish() noexcept { log_end_wanted_.store(0, std::memory_order_relaxed); }
  // Any thread: what the log is written in now; no lower one can follow.
  uint64_t epoch() const noexcept { return epoch_.load(std::memory_order_relaxed); }
  uint64_t durable_revision() const noexcept { return durable_revision_; }

  // Commit thread, no batch with the sync thread: writes an IDLE frame, which proves that all
  // before it was durable.
  Status write_idle_frame();

  // Commit thread, no batch with the sync thread and none open: publishes the same state again,
  // which says that the log stands where it stands now. An owner that takes over needs no older
  // file then. Left out when there is no memory for it, or old requests need the older position.
  void publish_log_position();

  // Commit thread, after finish() failed: drops `batch`, which was built on the failed one, and all
  // streams; from now on writes are answered with `code`. REQUIRES: the sync thread has no batch.
  Status refuse_writes(Batch& batch, Code code);
  // Takes that back. REQUIRES: set_log was given a log that has not failed.
  void accept_writes() noexcept { refusal_ = Code::kOk; }

  // Any thread, told by whoever prepares log space: true while there is none to be had.
  void set_disk_full(bool full) noexcept { disk_full_.store(full, std::memory_order_release); }

  bool disk_full() const noexcept { return disk_full_.load(std::memory_order_acquire); }

  // The log offset that a request waits for, after kNoSpace. Any thread.
  uint64_t log_end_wanted() const noexcept {
    return log_end_wanted_.load(std::memory_order_relaxed);
  }

  // Commit thread: forgets the unfinished streams of processes that are gone.
  void drop_orphaned_streams();

  // True when a drain would find something.
  bool ready() { return intake_.ready() || (!is_primary_ && !replicated_.empty()); }

  // Commit thread, nothing open: when records that have expired want to be removed, Unix time in
  // milliseconds; UINT64_MAX while none is to expire.
  uint64_t next_removal_ms() const;

  uint64_t revision() const noexcept { return next_revision_ - 1; }

 private:
  enum class Step : uint8_t {
    kDone,     // evaluated, or answered
    kFull,     // to be asked again when what is sealed, or the batch itself, is published
    kNoSpace,  // to be asked again when log space is prepared
  };

  // A put whose value is on its way in chunks, straight into the arena; or a write set.
  struct Stream {
    std::vector<std::byte> prefix;  // of the put: header and key, as in the log
    BlockRef record;                // of the put; null for a write set
    std::vector<std::byte> write_set;
    uint32_t value_bytes = 0;  // or bytes of the write set
    uint32_t filled_bytes = 0;
    bool ended = false;

    bool is_write_set() const noexcept { return record.is_null(); }
  };
  using StreamKey = std::tuple<uint32_t, uint64_t, uint64_t>;  // slot, packed holder, sequence
  using Streams = std::map<StreamKey, Stream>;

  void open(Batch& batch);

  // requests.cc
  Step handle(const Request& request, Batch& batch);
  void refuse(const Request& request, Code code, Batch& batch);
  static void keep(const Request& request, std::vector<KeptRequest>* where, Batch& batch);
  Step operate(const Request& request, Batch& batch);
  Status apply(const RecordView& record);
  Status admit(RecordType type, const Batch& batch);
  Step refuse_or_wait(const Request& request, Code code, Batch& batch);
  bool answer_known(const Request& request, Batch& batch);
  void commit_request(const Request& request, const RequestResult& result, Batch& batch);
  static void answer(const Request& request, Code code, Batch& batch);
  uint64_t log_incarnation(SlotHolder holder) const noexcept;

  // write_sets.cc
  struct SetChange;
  Step take_write_set(const Request& request, Batch& batch);
  Step evaluate(const Request& request, Bytes set, Batch& batch);
  Status check_guards(WriteSetReader& reader, uint64_t* revision);
  Step answer_evaluated(const Request& request, Code code, uint64_t revision, Batch& batch);
  Status apply_set(WriteSetReader& reader, SetChange& change);
  Status apply_operation(const OperationView& operation, SetChange& change);
  Status erase_range(const OperationView& range, SetChange& change);
  Status replace_range(const OperationView& range, uint32_t puts, WriteSetReader& reader,
                       SetChange& change);
  Status compare_range(const OperationView& range, std::vector<RecordView>* wanted,
                       std::vector<std::string>* surplus);
  Status add_to_counter(const OperationView& operation, SetChange& change);
  Status set_expiry(const OperationView& operation, SetChange& change);
  Status put_record(RecordView record, SetChange& change);
  Status erase_key(Bytes key, SetChange& change);
  Status log_record(const RecordView& record, SetChange& change);
  Result<StoredRecord> find_live(Bytes key);

  // expiry.cc
  void tell_time();
  bool is_expired(const StoredRecord& record);
  void remove_expired(Batch& batch);

  // replicated.cc
  Drained take_frames(Batch& batch);
  Step take_frame(const ReplicatedFrame& frame, Batch& batch);
  void compare_content(const ReplicatedFrame& state);
  Status admit_frame(const ReplicatedFrame& frame, const Batch& batch);
  Status apply_frame(const ReplicatedFrame& frame, Batch& batch);

  // acks.cc
  void show_durable(const Batch& batch);
  bool await_acks(uint64_t revision);
  bool wait_for_acks(uint64_t revision);
  bool must_stop_waiting() const;
  bool is_degraded() const noexcept;
  void set_ack_state(AckState state);
  void tell_ack_state(AckState state);

  // streams.cc
  static StreamKey stream_key(const Request& request) noexcept;
  Step begin_stream(const Request& request, Batch& batch);
  Step begin_write_set(const Request& request, Batch& batch);
  void add_chunk(const Request& request);
  Step end_stream(const Request& request, Batch& batch);
  Status commit_stream(const Request& request, Stream& stream, Batch& batch);
  void abort_stream(const Request& request, Batch& batch);
  void drop_stream(Streams::iterator stream);

  static uint64_t last_answered(const Batch& batch);
  void revoke_commits(Batch& batch, Code code);
  Status write_mark();
  Status append(Batch& batch);
  Status sync();
  void publish(const Batch& batch, const LogFilePosition& before);
  void complete(const Batch& batch);

  Region region_;
  Table& table_;
  WorkerBells& bells_;
  Clock& clock_;
  const CommitterOptions options_;
  LogWriter* log_ = nullptr;
  Intake intake_;
  Streams streams_;
  size_t write_set_bytes_ = 0;        // of all streams that are write sets
  std::vector<std::byte> write_set_;  // the one that is evaluated, when it came in one piece
  std::vector<std::byte> value_;      // of a record that is written again
  std::vector<KeptRequest> checkpoint_requests_;
  std::vector<KeptRequest> promotion_requests_;
  ReplicatedFrames replicated_;
  Status replication_failure_;
  bool content_differs_ = false;
  bool is_primary_ = true;
  KnownRequests known_;

  uint64_t next_revision_ = 1;
  std::atomic<uint64_t> epoch_{0};
  uint64_t now_ms_ = 0;           // of the drain at work
  uint64_t next_removal_ms_ = 0;  // not before: see expiry.cc
  uint64_t removals_ = 0;
  bool has_removed_ = false;     // in the open batch: once is enough
  bool removal_yields_ = false;  // to a request that found that batch too full
  bool batch_is_open_ = false;
  bool opened_during_sync_ = false;  // memory that the batch in sync frees was not free at open
  Code refusal_ = Code::kOk;         // not kOk: every write is answered with it

  std::atomic<bool> disk_full_{false};
  std::atomic<bool> batch_in_sync_{false};  // from seal to publish
  std::atomic<uint64_t> log_end_wanted_{0};

  // Sync thread; the commit thread while that has no batch.
  FrameBuilder mark_{0};
  uint64_t durable_revision_ = 0;
  std::optional<LogPosition>
      floor_;                      // until the requests that the log held at the start are answered
  std::vector<uint32_t> pending_;  // by slot: completions put and not yet published
  std::atomic<bool> left_a_batch_{false};  // set by the sync thread

  std::atomic<bool> stop_waiting_{false};
};

}  // namespace small_db
