#include "engine/recovery/recovery.h"

#include <algorithm>

#include "engine/checkpoint/format.h"
#include "engine/recovery/data_directory.h"
#include "engine/recovery/log_replay.h"

namespace small_db {

namespace {

constexpr const char* kNothingChanged =
    " Nothing was changed. Restore the data directory from a backup or from another node, or run "
    "`smalldbctl repair`, which tells what would be lost, and saves the original first.";
constexpr const char* kTryAgain = " Doing it again is safe.";

Status refuse(Refusal* refusal, const Status& status, std::string file, std::string reason) {
  *refusal = {status, std::move(file), 0, 0, 0, std::move(reason)};
  return status;
}

// The empty store: logfile.0, then version 0. Cut short anywhere, it is done again.
Status initialise(Directory& directory, const RecoveryOptions& options) {
  NewLog log;
  log.cluster_id = make_uid(options.log);
  log.created_ms = options.now_ms;
  const Result<LogEnd> end = create_log(directory, log, options.log);
  if (!end.is_ok()) return end.status();
  return write_version(directory, 0);
}

// Decides what to do with the directory, and makes an empty store where that is it.
Status decide(Directory& directory, const RecoveryOptions& options, DirectoryListing* listing,
              OpenAction* action, Recovered* recovered, Refusal* refusal) {
  for (;;) {
    Result<DirectoryListing> listed = list_data_directory(directory);
    if (!listed.is_ok()) {
      return refuse(refusal, listed.status(), "", "The data directory can't be listed.");
    }
    *listing = std::move(listed).value();
    const OpenRule& rule = find_open_rule(listing->version, listing->new_version, listing->data);
    *action = rule.action;
    if (rule.action == OpenAction::kRefuse) {
      return refuse(refusal, Status(Code::kCorruption, "recovery: version"), "version",
                    std::string(rule.reason) + kNothingChanged);
    }
    if (rule.action != OpenAction::kInitialise) return Status::ok();
    if (!options.settle) {
      recovered->initialised = true;
      return Status::ok();
    }
    const Status status = initialise(directory, options);
    if (!status.is_ok()) {
      return refuse(refusal, status, "",
                    std::string("The empty store could not be made.") + kTryAgain);
    }
    recovered->initialised = true;
  }
}

void note_torn_tail(const LogReplay& replay, Recovered* recovered) {
  const TailScan& tail = replay.tail();
  if (tail.all_zero) return;
  const LogFilePosition& position = recovered->log.position;
  recovered->torn_tail = TornTail{log_file_name(position.generation), position.end_offset,
                                  tail.nonzero_end - position.end_offset, ""};
}

// Steps 5 and 6 of the order of recovery, and what step 1 restored. Nothing is refused any more.
Status settle_log(Directory& directory, const LogReplay& replay, Recovered* recovered) {
  for (const RestoredFrame& frame : replay.restored()) {
    Result<std::unique_ptr<File>> file =
        directory.open(log_file_name(frame.generation), OpenMode::kReadWrite);
    if (!file.is_ok()) return file.status();
    SMALL_DB_RETURN_IF_ERROR(confirm_last_frame(directory, *file.value(), frame.generation,
                                                frame.offset, as_bytes(frame.bytes)));
  }
  const LogFilePosition& position = recovered->log.position;
  const std::string name = log_file_name(position.generation);
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::kReadWrite);
  if (!file.is_ok()) return file.status();
  const TailScan& tail = replay.tail();
  if (!tail.all_zero) {
    Result<std::string> saved = save_and_clear_tail(directory, *file.value(), position.generation,
                                                    position.end_offset, tail);
    if (!saved.is_ok()) return saved.status();
    recovered->torn_tail->saved_as = saved.value();
  }
  if (!replay.read_last_frame()) return Status::ok();
  const Result<OwnedFrame> last =
      read_frame_before(*file.value(), recovered->log.header.seed, position);
  if (!last.is_ok()) return last.status();
  return confirm_last_frame(directory, *file.value(), position.generation, position.frame_offset,
                            last.value().bytes);
}

Status settle_directory(Directory& directory, const DirectoryListing& listing, OpenAction action) {
  if (action == OpenAction::kUseNewVersion) {
    SMALL_DB_RETURN_IF_ERROR(adopt_new_version(directory, listing.new_version_generation));
  } else if (listing.new_version != VersionState::kMissing) {
    SMALL_DB_RETURN_IF_ERROR(directory.remove("newVersion"));
  }
  for (const std::string& name : listing.temporary) {
    const Status status = directory.remove(name);
    // Recovery itself may have reused the name, and renamed it away.
    if (!status.is_ok() && status.code() != Code::kNotFound) return status;
  }
  return directory.sync();
}

Status load_checkpoint(Directory& directory, uint64_t generation, RecoverySink& sink,
                       const RecoveryOptions& options, LoadedCheckpoint* loaded, Refusal* refusal) {
  const std::string name = checkpoint_file_name(generation);
  if (options.checkpoints == nullptr) {
    return refuse(
        refusal, Status(Code::kWrongFormat, "recovery: checkpoint"), name,
        std::string("This version of the program can't load checkpoints.") + kNothingChanged);
  }
  Result<LoadedCheckpoint> result = options.checkpoints->load(directory, generation, sink);
  if (!result.is_ok()) {
    // The file that `version` names is missing: that is never an empty store.
    const Status status = result.status().code() == Code::kNotFound
                              ? Status(Code::kCorruption, "recovery: missing checkpoint")
                              : result.status();
    *refusal = {status, name, options.checkpoints->damage_offset(),
                0,      0,    std::string("The checkpoint can't be loaded.") + kNothingChanged};
    return status;
  }
  *loaded = result.value();
  return Status::ok();
}

// Generations that the state can be read from, the one in force first. Each is the checkpoint of
// that number (0: the empty state) and every log since. The log of the generation in force was
// there before that was: without it, acknowledged writes are missing.
std::vector<uint64_t> list_bases(const DirectoryListing& listing, uint64_t in_force) {
  std::vector<uint64_t> bases = {in_force};
  std::vector<uint64_t> older = listing.checkpoints;
  older.insert(older.begin(), 0);
  for (auto base = older.rbegin(); base != older.rend(); ++base) {
    if (*base >= in_force) continue;
    const auto first = std::lower_bound(listing.logs.begin(), listing.logs.end(), *base);
    const auto logs = static_cast<uint64_t>(listing.logs.end() - first);
    const bool gapless = logs != 0 && *first == *base && listing.logs.back() - *base + 1 == logs;
    if (gapless && listing.logs.back() >= in_force) bases.push_back(*base);
  }
  return bases;
}

// Loads the newest base that is whole. `base`: which one that was.
Status load_base(Directory& directory, const DirectoryListing& listing, uint64_t in_force,
                 RecoverySink& sink, const RecoveryOptions& options, LoadedCheckpoint* loaded,
                 uint64_t* base, Recovered* recovered, Refusal* refusal) {
  std::optional<Refusal> first;
  for (const uint64_t generation : list_bases(listing, in_force)) {
    *base = generation;
    if (first) SMALL_DB_RETURN_IF_ERROR(sink.restart());
    const Status status =
        generation == 0 ? Status::ok()
                        : load_checkpoint(directory, generation, sink, options, loaded, refusal);
    if (status.is_ok()) {
      if (first) recovered->fallback = Fallback{generation, first->text()};
      return status;
    }
    if (!first) first = *refusal;
    if (status.code() != Code::kCorruption) break;
  }
  *refusal = *first;
  return first->status;
}

Status settle(Directory& directory, const LogReplay& replay, Recovered* recovered,
              Refusal* refusal) {
  const Status status = settle_log(directory, replay, recovered);
  if (status.is_ok()) return status;
  return refuse(refusal, status, log_file_name(recovered->log.position.generation),
                std::string("The end of the log could not be put right.") + kTryAgain);
}

}  // namespace

std::string Refusal::text() const {
  std::string text = file.empty() ? std::string("data directory") : file;
  if (offset != 0) text += " at offset " + std::to_string(offset);
  if (first_revision != 0) {
    text += ", revisions " + std::to_string(first_revision) + " to ";
    text += last_revision == 0 ? std::string("unknown") : std::to_string(last_revision);
  }
  return text + ": " + reason + " (" + status.text() + ")";
}

Status recover(Directory& directory, RecoverySink& sink, const RecoveryOptions& options,
               Recovered* recovered, Refusal* refusal) {
  *recovered = Recovered();
  DirectoryListing listing;
  OpenAction action = OpenAction::kRefuse;
  SMALL_DB_RETURN_IF_ERROR(decide(directory, options, &listing, &action, recovered, refusal));
  const uint64_t generation = action == OpenAction::kUseNewVersion ? listing.new_version_generation
                                                                   : listing.version_generation;
  recovered->generation = generation;
  if (action == OpenAction::kInitialise) return Status::ok();  // only read
  LoadedCheckpoint checkpoint;
  uint64_t base = 0;
  SMALL_DB_RETURN_IF_ERROR(load_base(directory, listing, generation, sink, options, &checkpoint,
                                     &base, recovered, refusal));
  LogReplay replay(directory, sink, options, *recovered, *refusal);
  SMALL_DB_RETURN_IF_ERROR(replay.run(listing.logs, base, base == 0 ? nullptr : &checkpoint));
  note_torn_tail(replay, recovered);
  if (!options.settle) return Status::ok();
  SMALL_DB_RETURN_IF_ERROR(settle(directory, replay, recovered, refusal));
  const Status status = settle_directory(directory, listing, action);
  if (status.is_ok()) return status;
  return refuse(refusal, status, "",
                std::string("The data directory could not be put right.") + kTryAgain);
}

Status read_tail(Directory& directory, const TailStart& from, RecoverySink& sink,
                 const RecoveryOptions& options, Recovered* recovered, Refusal* refusal) {
  *recovered = Recovered();
  const Result<DirectoryListing> listing = list_data_directory(directory);
  if (!listing.is_ok()) {
    return refuse(refusal, listing.status(), "", "The data directory can't be listed.");
  }
  recovered->generation = listing.value().version_generation;
  LogReplay replay(directory, sink, options, *recovered, *refusal);
  SMALL_DB_RETURN_IF_ERROR(replay.run_from(listing.value().logs, from));
  note_torn_tail(replay, recovered);
  return settle(directory, replay, recovered, refusal);
}

}  // namespace small_db
