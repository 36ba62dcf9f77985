// How an owner comes to a state that it can serve: from the region that a former owner left, or
// from the directory. Commit thread, with the directory's lock held.
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <string>

#include "engine/base/kill_point.h"
#include "engine/checkpoint/loader.h"
#include "engine/shm/doorbell.h"
#include "engine/store/store.h"

namespace small_db {
namespace {

constexpr uint64_t kPinPollUs = 1000;

// Applies what recovery reads to the table, all in one batch. pages: of the table's arena; may be
// null.
class TableSink : public RecoverySink {
 public:
  TableSink(Table& table, PagesAhead* pages) : table_(table), pages_(pages) {}

  Status restart() override {
    table_.clear();
    table_.begin_batch(1);
    return Status::ok();
  }
  Status begin_frame(const FrameView&) override { return Status::ok(); }
  Status apply(const RecordView& record) override {
    if (record.revision <= skip_to_) return Status::ok();
    if (pages_ != nullptr) pages_->reached(table_.reach_bytes());
    if (record.type == RecordType::kPut) return table_.put(record);
    return table_.erase(record.key, record.revision);
  }
  Status end_frame(const FrameView&, const LogFilePosition&) override { return Status::ok(); }

  // Records up to this revision are in the table already.
  void skip_to(uint64_t revision) { skip_to_ = revision; }

 private:
  Table& table_;
  PagesAhead* const pages_;
  uint64_t skip_to_ = 0;
};

// How much of the files of a state is read: its checkpoint first, then its logs.
struct LoadingProgress {
  std::atomic<uint32_t>& permille;
  uint64_t checkpoint_bytes = 0;

  void show(uint64_t done, uint64_t total) const {
    permille.store(static_cast<uint32_t>(done * 1000 / std::max<uint64_t>(total, 1)),
                   std::memory_order_relaxed);
  }
};

// Of the logs from that generation on, as far as they can be opened: whether they are all there is
// for recovery to say.
uint64_t bytes_of_logs(Directory& directory, uint64_t generation) {
  uint64_t bytes = 0;
  for (;; ++generation) {
    const auto log = directory.open(log_file_name(generation), OpenMode::kRead);
    const Result<uint64_t> size = log.is_ok() ? log.value()->size() : log.status();
    if (!size.is_ok()) return bytes;
    bytes += size.value();
  }
}

// Loads a checkpoint for recovery, straight into the table.
class TableCheckpoints : public CheckpointLoader {
 public:
  TableCheckpoints(Table& table, PagesAhead* pages, LoadingProgress& progress)
      : table_(table), pages_(pages), progress_(progress) {}

  Result<LoadedCheckpoint> load(Directory& directory, uint64_t generation, RecoverySink&) override {
    CheckpointLoadOptions options;
    options.read_ahead = pages_ != nullptr;
    options.pages = pages_;
    const uint64_t log_bytes = bytes_of_logs(directory, generation);
    options.progress = [&](uint64_t done, uint64_t total) {
      progress_.checkpoint_bytes = total;
      progress_.show(done, total + log_bytes);
    };
    uint64_t damage_offset = 0;
    const Result<CheckpointState> state =
        load_checkpoint(directory, generation, table_, options, &damage_offset);
    if (!state.is_ok()) return state.status();
    LoadedCheckpoint loaded;
    loaded.cluster_id = state.value().header.cluster_id;
    loaded.start_revision = state.value().footer.start_revision;
    loaded.end_revision = state.value().footer.end_revision;
    return loaded;
  }

 private:
  Table& table_;
  PagesAhead* const pages_;
  LoadingProgress& progress_;
};

std::string seconds(uint64_t us) {
  return std::to_string(us / 1000000) + "." + std::to_string(us / 1000 % 1000 + 1000).substr(1) +
         " s";
}

}  // namespace

Status Store::open() {
  RegionHeader& header = region_.header();
  header.owner_epoch.fetch_add(1, std::memory_order_relaxed);
  header.owner_pid.store(static_cast<uint32_t>(getpid()), std::memory_order_relaxed);
  SMALL_DB_KILL_POINT("open: owner announced");
  // An owner that was killed leaves a published state as whole as one that let go; one that died by
  // a fault of its own may have written anything anywhere.
  const bool trusted = header.distrust.load(std::memory_order_acquire) == 0;
  sweep_dead_slots(region_);
  SMALL_DB_KILL_POINT("open: slots swept");
  const Status discarded = discard_unfinished_bootstrap(environment_.directory);
  if (!discarded.is_ok()) {
    refuse(discarded, Refusal());
    return discarded;
  }
  if (trusted && header.published_root.load(std::memory_order_acquire) != 0) {
    const Status status = take_over();
    if (status.is_ok()) return status;
    tell(Severity::kWarning, "the state in memory can't be taken over (" + status.text() +
                                 "): loading it from the directory");
  }
  return load();
}

Status Store::take_over() {
  SMALL_DB_RETURN_IF_ERROR(table_.adopt());
  SMALL_DB_KILL_POINT("open: table adopted");
  const Root root = *table_.published();
  TailStart from;
  from.position = {root.log.generation, root.log.frame_offset, root.log.end_offset, root.log.chain};
  from.revision = root.log.revision;
  from.epoch = root.epoch;
  if (options_.helper_threads) pages_.emplace(region_.arena(), table_.reach_bytes());
  TableSink sink(table_, pages());
  sink.skip_to(root.revision);
  table_.begin_batch(root.revision + 1);
  RecoveryOptions options;
  options.now_ms = environment_.clock.wall_ms();
  Recovered recovered;
  Refusal refusal;
  SMALL_DB_RETURN_IF_ERROR(
      read_tail(environment_.directory, from, sink, options, &recovered, &refusal));
  if (recovered.last_revision < root.revision)
    return {Code::kCorruption, "store: published beyond the log"};
  return start(recovered);
}

// Readers that a former owner's state still serves keep its memory until they let go.
void Store::wait_for_pins() {
  for (uint32_t slot = 0; slot < region_.slot_count(); ++slot) {
    for (const std::atomic<uint64_t>& pin : region_.slot(slot).pins) {
      while (pin.load(std::memory_order_acquire) != 0) {  // pairs with the release of the pin
        DoorbellWait(region_).sleep(kPinPollUs);
        if (slot_abandoned(region_, slot)) free_slot(region_, slot);
      }
    }
  }
}

Status Store::load() {
  const uint64_t started_us = environment_.clock.monotonic_us();
  RegionHeader& header = region_.header();
  header.progress_permille.store(0, std::memory_order_relaxed);
  region_.set_state(StoreState::kLoading, "");
  header.published_root.store(0, std::memory_order_seq_cst);
  // Not before: who takes over from a process that was killed here must not trust that state,
  // either.
  header.distrust.store(0, std::memory_order_relaxed);
  wait_for_pins();
  table_.clear();
  table_.begin_batch(1);
  if (options_.helper_threads) pages_.emplace(region_.arena(), 0);
  TableSink sink(table_, pages());
  LoadingProgress loading{header.progress_permille};
  TableCheckpoints checkpoints(table_, pages(), loading);
  RecoveryOptions options;
  options.checkpoints = &checkpoints;
  options.now_ms = environment_.clock.wall_ms();
  options.progress = [&](const RecoveryProgress& progress) {
    loading.show(loading.checkpoint_bytes + progress.bytes_done,
                 loading.checkpoint_bytes + progress.bytes_total);
  };
  Recovered recovered;
  Refusal refusal;
  Status status = recover(environment_.directory, sink, options, &recovered, &refusal);
  if (status.is_ok()) status = start(recovered);
  if (!status.is_ok()) {
    log_.reset();
    refuse(status, refusal);
    return status;
  }
  tell(Severity::kNotice,
       std::string(recovered.initialised ? "made an empty store" : "loaded the store") + ": " +
           std::to_string(recovered.records) + " records of " + std::to_string(recovered.frames) +
           " frames up to revision " + std::to_string(recovered.last_revision) + " in " +
           seconds(environment_.clock.monotonic_us() - started_us));
  return Status::ok();
}

// Publishes what the table holds, and goes on with the log.
Status Store::start(const Recovered& recovered) {
  if (recovered.fallback) {
    tell(Severity::kError,
         "read the state from generation " + std::to_string(recovered.fallback->generation) +
             " and all logs since, nothing is lost; a newer checkpoint is damaged: " +
             recovered.fallback->reason);
  }
  if (recovered.torn_tail) {
    const TornTail& tail = *recovered.torn_tail;
    tell(Severity::kNotice, tail.file + ": cut off " + std::to_string(tail.bytes) +
                                " bytes at offset " + std::to_string(tail.offset) +
                                " that were never acknowledged; saved as " + tail.saved_as);
  }
  LogOptions log_options;
  log_options.prepare_step_bytes = options_.log_prepare_step_bytes;
  SMALL_DB_RETURN_IF_ERROR(open_history(recovered));
  const uint64_t epoch =
      std::max(recovered.epoch, decide_role() == Role::kPrimary ? history_.epoch() : 1);
  Result<std::unique_ptr<LogWriter>> log = LogWriter::open(
      environment_.directory, recovered.log, epoch, environment_.clock.wall_ms(), log_options);
  if (!log.is_ok()) return log.status();
  set_log(std::move(log).value());
  // What a former owner was at.
  region_.header().disk_full.store(0, std::memory_order_relaxed);
  region_.header().checkpoint_runs.store(0, std::memory_order_relaxed);
  checkpointer_.start(recovered.cluster_id, epoch);
  // What stands in the log already counts as not checkpointed.
  const uint64_t log_bytes = recovered.log.position.end_offset;
  const bool log_in_use = recovered.records != 0 || log_bytes > kLogHeaderBytes + kMarkFramesBytes;
  checkpointed_operations_.store(region_.header().operations.load(std::memory_order_relaxed) -
                                 (log_in_use ? std::max<uint64_t>(recovered.records, 1) : 0));
  checkpointed_log_bytes_.store(region_.header().log_bytes.load(std::memory_order_relaxed) -
                                log_bytes);
  checkpointed_us_.store(environment_.clock.monotonic_us());
  const LogPosition here = root_position(recovered.log.position, recovered.last_revision);
  const BlockRef root =
      table_.seal_batch(recovered.last_revision, epoch, log_floor(recovered.recent).value_or(here));
  SMALL_DB_KILL_POINT("open: root sealed");
  committer_.start(log_.get(), recovered.last_revision, epoch, recovered.recent);
  // Before the root: whoever sees that the store serves also sees as what, and how far it is.
  show_replication(recovered);
  region_.header().progress_permille.store(1000, std::memory_order_relaxed);
  if (awaits_bootstrap()) {
    // Nothing is better than the emptiness of a node that has not seen its primary yet.
    region_.set_state(StoreState::kLoading, "this backup waits for its primary's checkpoint");
  } else {
    publish_root(region_, root);
    region_.set_state(StoreState::kServing, "");
    offer_bootstrap();
  }
  SMALL_DB_KILL_POINT("open: serving, bells not rung");
  // The former owner may have died between taking a wish for the bell and ringing it.
  for (uint32_t slot = 0; slot < region_.slot_count(); ++slot) {
    if (slot_holder(region_, slot).is_held()) environment_.bells.ring(slot);
  }
  return Status::ok();
}

void Store::refuse(const Status& status, const Refusal& refusal) {
  std::string reason = refusal.reason.empty() ? status.text() : refusal.text();
  if (status.code() == Code::kNoMemory) {
    reason = "the data does not fit into the store's memory: raise its `memory` and reload";
  }
  region_.header().published_root.store(0, std::memory_order_seq_cst);
  region_.set_state(StoreState::kRefused, reason);
  tell(Severity::kError, "refusing to serve: " + reason);
}

}  // namespace small_db
