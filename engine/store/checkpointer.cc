#include "engine/store/checkpointer.h"

#include <algorithm>
#include <string>

#include "engine/base/kill_point.h"
#include "engine/recovery/data_directory.h"

namespace small_db {
namespace {

// Memory is short when less than one part in so many is free.
constexpr uint64_t kShortMemoryPart = 8;

}  // namespace

// A state that is being walked: its pin lives in a slot of its own.
struct Checkpointer::Walk {
  Walk(Region region, ClaimedSlot claimed)
      : region(region), slot(claimed), pins(region, claimed.index) {}
  ~Walk() {
    cursor.reset();
    snapshot.reset();
    release_slot(region, slot);
  }
  Walk(const Walk&) = delete;
  Walk& operator=(const Walk&) = delete;

  Region region;
  ClaimedSlot slot;
  SlotPins pins;
  std::optional<Snapshot> snapshot;
  std::optional<Cursor> cursor;
  std::unique_ptr<CheckpointWriter> writer;
  uint32_t states_left = 0;  // for newer ones
};

Checkpointer::Checkpointer(Region region, Directory& directory, Clock& clock, EventLog& log,
                           const StoreOptions& options)
    : region_(region), directory_(directory), clock_(clock), log_(log), options_(options) {}

Checkpointer::~Checkpointer() = default;

void Checkpointer::start(const Uid& cluster_id, uint64_t epoch) {
  const std::lock_guard<std::mutex> guard(mutex_);
  cluster_id_ = cluster_id;
  epoch_ = epoch;
}

void Checkpointer::request() {
  const std::lock_guard<std::mutex> guard(mutex_);
  requested_ = true;
}

bool Checkpointer::wants_switch() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return new_log_.has_value();
}

std::optional<LogEnd> Checkpointer::take_new_log() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(new_log_, std::nullopt);
}

void Checkpointer::switched(const Status& status) {
  const std::lock_guard<std::mutex> guard(mutex_);
  switch_result_ = status;
  awaits_switch_ = false;
}

void Checkpointer::set_log_generation(uint64_t generation) {
  const std::lock_guard<std::mutex> guard(mutex_);
  log_generation_ = generation;
}

std::optional<Status> Checkpointer::take_result() {
  const std::lock_guard<std::mutex> guard(mutex_);
  return std::exchange(result_, std::nullopt);
}

bool Checkpointer::has_news() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return new_log_.has_value() || result_.has_value();
}

bool Checkpointer::is_requested() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return requested_;
}

bool Checkpointer::awaits_switch() const {
  const std::lock_guard<std::mutex> guard(mutex_);
  return awaits_switch_;
}

void Checkpointer::abandon() noexcept {
  walk_.reset();
  phase_ = Phase::kIdle;
}

Checkpointer::Step Checkpointer::step() {
  // Of the many steps of a walk none takes the mutex: commits take it, too.
  if (phase_ == Phase::kIdle && !is_requested()) return Step::kIdle;
  if (phase_ == Phase::kAwaitSwitch && awaits_switch()) return Step::kWaits;
  const Status status = run_phase();
  if (!status.is_ok()) end(status);
  return Step::kMore;
}

Status Checkpointer::run_phase() {
  bool done = false;
  switch (phase_) {
    case Phase::kIdle:
      started_us_ = clock_.monotonic_us();
      region_.header().checkpoint_runs.store(1, std::memory_order_relaxed);
      phase_ = Phase::kNewLog;
      return Status::ok();
    case Phase::kNewLog:
      SMALL_DB_RETURN_IF_ERROR(make_log());
      phase_ = Phase::kAwaitSwitch;
      return Status::ok();
    case Phase::kAwaitSwitch: {
      const std::lock_guard<std::mutex> guard(mutex_);
      phase_ = Phase::kWalk;
      return *std::exchange(switch_result_, std::nullopt);
    }
    case Phase::kWalk:
      if (walk_ == nullptr) return begin_walk();
      SMALL_DB_RETURN_IF_ERROR(walk(&done));
      if (done) phase_ = Phase::kVerify;
      return Status::ok();
    case Phase::kVerify:
      SMALL_DB_RETURN_IF_ERROR(verify(&done));
      if (done) phase_ = Phase::kVersion;
      return Status::ok();
    case Phase::kVersion:
      SMALL_DB_RETURN_IF_ERROR(write_version(directory_, new_generation_));
      phase_ = Phase::kClean;
      return Status::ok();
    case Phase::kClean: {
      const Status status = remove_old();
      // The checkpoint stands; what could not be removed is removed after the next one.
      if (!status.is_ok())
        log_.write(Severity::kWarning, "old generations could not be removed: " + status.text());
      end(Status::ok());
      return Status::ok();
    }
  }
  return Status::ok();
}

Status Checkpointer::make_log() {
  NewLog log;
  {
    const std::lock_guard<std::mutex> guard(mutex_);
    log.generation = log_generation_ + 1;
    switch_result_.reset();
  }
  new_generation_ = log.generation;
  log.cluster_id = cluster_id_;
  log.epoch = epoch_;
  log.first_revision = region_.header().revision.load(std::memory_order_acquire) + 1;
  log.created_ms = clock_.wall_ms();
  LogOptions options;
  options.prepare_step_bytes = options_.log_prepare_step_bytes;
  Result<LogEnd> end = create_log(directory_, log, options);
  if (!end.is_ok()) return end.status();
  const std::lock_guard<std::mutex> guard(mutex_);
  new_log_ = end.value();
  awaits_switch_ = true;
  return Status::ok();
}

// The published state contains all that the sealed log holds: the switch came after its last commit
// was published.
Status Checkpointer::begin_walk() {
  Result<ClaimedSlot> slot = claim_slot(region_);
  if (!slot.is_ok()) return slot.status();
  walk_ = std::make_unique<Walk>(region_, slot.value());
  SMALL_DB_RETURN_IF_ERROR(pin_newest());
  NewCheckpoint checkpoint;
  checkpoint.cluster_id = cluster_id_;
  checkpoint.generation = new_generation_;
  checkpoint.uid = make_uid(LogOptions());
  checkpoint.epoch = epoch_;
  checkpoint.start_revision = walk_->snapshot->root().revision;
  checkpoint.created_ms = clock_.wall_ms();
  Result<std::unique_ptr<CheckpointWriter>> writer =
      CheckpointWriter::create(directory_, checkpoint);
  if (!writer.is_ok()) return writer.status();
  walk_->writer = std::move(writer).value();
  return walk_->writer->seek_next(*walk_->cursor);
}

Status Checkpointer::pin_newest() {
  walk_->cursor.reset();
  walk_->snapshot.reset();
  Result<Snapshot> snapshot = Snapshot::take(walk_->pins);
  if (!snapshot.is_ok()) return snapshot.status();
  walk_->snapshot.emplace(std::move(snapshot).value());
  walk_->cursor.emplace(walk_->snapshot->cursor());
  SMALL_DB_KILL_POINT("checkpoint: state pinned");
  return Status::ok();
}

bool Checkpointer::memory_is_short() const {
  const RegionHeader& header = region_.header();
  return header.arena_free_bytes.load(std::memory_order_relaxed) <
         header.arena_bytes / kShortMemoryPart;
}

Status Checkpointer::walk(bool* done) {
  const uint64_t newest = region_.header().revision.load(std::memory_order_relaxed);
  if (newest != walk_->snapshot->root().revision && memory_is_short()) {
    SMALL_DB_RETURN_IF_ERROR(pin_newest());
    SMALL_DB_RETURN_IF_ERROR(walk_->writer->seek_next(*walk_->cursor));
    ++walk_->states_left;
  }
  const Result<bool> more = walk_->writer->take(*walk_->cursor, options_.checkpoint_step_bytes);
  if (!more.is_ok()) return more.status();
  *done = !more.value();
  return *done ? walk_->writer->seal(walk_->snapshot->root().revision) : Status::ok();
}

Status Checkpointer::verify(bool* done) {
  walk_->cursor.reset();
  walk_->snapshot.reset();
  const Result<bool> more = walk_->writer->verify(options_.checkpoint_step_bytes);
  if (!more.is_ok()) return more.status();
  *done = !more.value();
  return *done ? walk_->writer->publish() : Status::ok();
}

// Generations that can be recovered from are those with a checkpoint, and 0, the empty state. The
// newest is in force; so many before it are kept.
Status Checkpointer::remove_old() {
  const Result<DirectoryListing> listing = list_data_directory(directory_);
  if (!listing.is_ok()) return listing.status();
  std::vector<uint64_t> generations = listing.value().checkpoints;
  const std::vector<uint64_t>& logs = listing.value().logs;
  if (std::binary_search(logs.begin(), logs.end(), 0)) generations.insert(generations.begin(), 0);
  if (generations.size() <= options_.keep_generations) return Status::ok();
  const uint64_t oldest = generations[generations.size() - 1 - options_.keep_generations];
  for (const uint64_t generation : listing.value().checkpoints) {
    if (generation < oldest)
      SMALL_DB_RETURN_IF_ERROR(directory_.remove(checkpoint_file_name(generation)));
  }
  // The next owner reads on from where the published state says: behind requests that may have no
  // answer yet.
  const Result<Snapshot> published = Snapshot::take(walk_->pins);
  if (!published.is_ok()) return published.status();
  const uint64_t oldest_log =
      std::min(oldest_needed_log(logs, oldest), published.value().root().log.generation);
  for (const uint64_t generation : logs) {
    if (generation >= oldest_log) break;
    SMALL_DB_RETURN_IF_ERROR(directory_.remove(log_file_name(generation)));
  }
  return directory_.sync();
}

// Below `oldest`, which this node needs itself, those that followers still have to read: as many
// as may be kept for them.
uint64_t Checkpointer::oldest_needed_log(const std::vector<uint64_t>& logs, uint64_t oldest) {
  uint64_t wanted = oldest;
  for (const FollowerState& follower : region_.replication().followers) {
    if (follower.node.load(std::memory_order_acquire) == 0) continue;
    wanted = std::min(wanted, follower.log_generation.load(std::memory_order_relaxed));
  }
  uint64_t bytes = 0;
  for (auto log = logs.rbegin(); log != logs.rend(); ++log) {
    if (*log >= oldest) continue;
    if (*log < wanted) break;
    const Result<std::unique_ptr<File>> file =
        directory_.open(log_file_name(*log), OpenMode::kRead);
    const Result<uint64_t> size = file.is_ok() ? file.value()->size() : file.status();
    if (!size.is_ok()) break;
    bytes += size.value();
    if (bytes > options_.replication.kept_log_bytes) break;
    oldest = *log;
  }
  return oldest;
}

// What region and log say about a checkpoint that is in force.
void Checkpointer::report() {
  const uint64_t duration_us = clock_.monotonic_us() - started_us_;
  const CheckpointFooter& footer = walk_->writer->footer();
  RegionHeader& header = region_.header();
  header.checkpoint_revision.store(footer.end_revision, std::memory_order_relaxed);
  header.checkpoint_bytes.store(walk_->writer->written_bytes(), std::memory_order_relaxed);
  header.checkpoint_duration_us.store(duration_us, std::memory_order_relaxed);
  header.checkpoint_end_ms.store(clock_.wall_ms(), std::memory_order_relaxed);
  header.checkpoint_generation.store(new_generation_, std::memory_order_relaxed);
  header.checkpoints.fetch_add(1, std::memory_order_relaxed);
  std::string line = "checkpoint " + std::to_string(new_generation_) + ": " +
                     std::to_string(walk_->writer->entries()) + " keys, " +
                     std::to_string(walk_->writer->written_bytes()) + " bytes in " +
                     std::to_string(duration_us / 1000) + " ms";
  if (walk_->states_left != 0) {
    line += ", of " + std::to_string(walk_->states_left + 1) +
            " states in turn, because less than one part in " + std::to_string(kShortMemoryPart) +
            " of `memory` was free";
  }
  log_.write(Severity::kInfo, line);
}

void Checkpointer::end(const Status& status) {
  RegionHeader& header = region_.header();
  // Whoever saw it run woke nobody: what they did is seen from here on.
  header.checkpoint_runs.exchange(0, std::memory_order_acq_rel);
  if (status.is_ok()) {
    report();
  } else {
    header.checkpoint_failures.fetch_add(1, std::memory_order_relaxed);
    log_.write(Severity::kError, "checkpoint " + std::to_string(new_generation_) +
                                     " failed, the one before stays in force: " + status.text());
  }
  walk_.reset();
  phase_ = Phase::kIdle;
  const std::lock_guard<std::mutex> guard(mutex_);
  requested_ = false;
  new_log_.reset();
  awaits_switch_ = false;
  result_ = status;
}

}  // namespace small_db
