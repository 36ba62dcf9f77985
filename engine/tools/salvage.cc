#include "engine/tools/salvage.h"

#include <algorithm>

#include "engine/checkpoint/reader.h"
#include "engine/recovery/log_replay.h"
#include "engine/wal/log_tail.h"

namespace small_db::tools {

namespace {

std::string number(uint64_t value) { return std::to_string(value); }

// What another program or machine may well read: it is not for repair to decide about.
bool is_damage(const Status& status) {
  return status.code() == Code::kCorruption || status.code() == Code::kNotFound ||
         status.code() == Code::kIoError || status.code() == Code::kTooLarge;
}

// The numbers of `logs` from `first` on, without a gap.
std::vector<uint64_t> chain_from(const std::vector<uint64_t>& logs, uint64_t first) {
  std::vector<uint64_t> chain;
  for (auto at = std::find(logs.begin(), logs.end(), first);
       at != logs.end() && *at == first + chain.size(); ++at) {
    chain.push_back(*at);
  }
  return chain;
}

// A refusal without the advice to run what runs.
std::string damage_text(const Refusal& refusal) {
  std::string text = refusal.file.empty() ? std::string("the directory") : refusal.file;
  text += " at offset " + number(refusal.offset) + ": ";
  const std::string& reason = refusal.reason;
  text += reason.substr(0, reason.find(" Nothing was changed."));
  return text + " (" + refusal.status.text() + ")";
}

}  // namespace

// Replays as many logs as can be, fewer if a later one can't even be opened.
Status Salvager::replay(Attempt& attempt, const LoadedCheckpoint* checkpoint, uint64_t stop_before,
                        uint64_t* broken_frame) {
  std::vector<uint64_t> chain = chain_from(listing_.logs, attempt.base);
  if (chain.empty()) {
    attempt.refusal = Refusal{Status(Code::kCorruption, "salvage: missing log"),
                              log_file_name(attempt.base),
                              0,
                              0,
                              0,
                              "The file is missing."};
  }
  const bool all_logs = !chain.empty() && chain.back() == listing_.logs.back();
  if (!chain.empty() && !all_logs) {
    attempt.refusal = Refusal{
        Status(Code::kCorruption, "salvage: missing log"), log_file_name(chain.back() + 1), 0, 0, 0,
        "The file is missing, but later logs exist."};
  }
  const bool has_gap = attempt.refusal.has_value();
  for (; !chain.empty(); chain.pop_back()) {
    StateSink sink(state_);
    sink.stop_before(stop_before);
    RecoveryOptions options;
    options.settle = false;
    options.progress = [&](const RecoveryProgress& progress) {
      console_.show_progress("log", progress.bytes_done, progress.bytes_total);
    };
    Recovered recovered;
    recovered.generation = std::max(listing_.version_generation, listing_.new_version_generation);
    Refusal refusal;
    LogReplay logs(directory_, sink, options, recovered, refusal);
    const Status status = logs.run(chain, attempt.base, checkpoint);
    attempt.epoch = std::max({attempt.epoch, sink.epoch(), recovered.epoch});
    *broken_frame = sink.broken_frame();
    if (status.is_ok()) {
      attempt.revision = std::max(attempt.revision, recovered.last_revision);
      attempt.whole = !has_gap && !attempt.refusal;
      return status;
    }
    if (!is_damage(status) && status.code() != Code::kInterrupted) return status;
    if (!attempt.refusal || (has_gap && sink.frames() != 0)) attempt.refusal = refusal;
    if (sink.frames() != 0) {
      attempt.revision = std::max(attempt.revision, sink.last_revision());
      return Status::ok();
    }
    if (*broken_frame != 0) return Status::ok();
  }
  return Status::ok();
}

// Errors: as run().
Result<Salvager::Attempt> Salvager::attempt(uint64_t base, uint64_t stop_before) {
  Attempt attempt;
  attempt.base = base;
  SMALL_DB_RETURN_IF_ERROR(state_.clear());
  LoadedCheckpoint checkpoint;
  if (base != 0) {
    StateSink sink(state_);
    StateCheckpoints loader(state_, [&](uint64_t done, uint64_t total) {
      console_.show_progress("checkpoint", done, total);
    });
    const Result<LoadedCheckpoint> loaded = loader.load(directory_, base, sink);
    if (!loaded.is_ok()) {
      if (!is_damage(loaded.status())) return loaded.status();
      attempt.refusal = Refusal{loaded.status(),
                                checkpoint_file_name(base),
                                loader.damage_offset(),
                                0,
                                0,
                                "The checkpoint is damaged."};
      return attempt;
    }
    checkpoint = loaded.value();
    attempt.cluster_id = checkpoint.cluster_id;
    attempt.revision = checkpoint.start_revision;
  }
  attempt.possible = true;
  uint64_t broken_frame = 0;
  SMALL_DB_RETURN_IF_ERROR(
      replay(attempt, base == 0 ? nullptr : &checkpoint, stop_before, &broken_frame));
  if (broken_frame != 0) {
    // A frame was applied in part: again, without it. The reason is that of the first time.
    Result<Attempt> again = this->attempt(base, broken_frame);
    if (again.is_ok()) again.value().refusal = attempt.refusal;
    return again;
  }
  attempt.mixed = attempt.revision < checkpoint.end_revision;
  if (!attempt.cluster_id) {
    const auto log = LogReader::open(directory_, base);
    if (log.is_ok()) attempt.cluster_id = log.value()->header().cluster_id;
  }
  return attempt;
}

bool Salvager::is_better(const Attempt& left, const Attempt& right) {
  if (left.possible != right.possible) return left.possible;
  if (left.mixed != right.mixed) return !left.mixed;
  if (left.revision != right.revision) return left.revision > right.revision;
  return left.whole && !right.whole;
}

void Salvager::look_at_log(uint64_t generation, Salvage& salvage) {
  const auto log = LogReader::open(directory_, generation);
  if (!log.is_ok()) return;
  LogReader& reader = *log.value();
  log_bytes_ += reader.size();
  const LogHeader header = reader.header();
  if (!seen_cluster_id_) seen_cluster_id_ = header.cluster_id;
  salvage.epoch = std::max(salvage.epoch, header.epoch);
  uint64_t& proven = salvage.proven_revision;
  proven = std::max(proven, header.first_revision - 1);
  const Result<TailScan> scan = scan_tail(reader.file(), header.seed, kLogHeaderBytes);
  if (scan.is_ok()) proven = std::max(proven, scan.value().proven_revision);
  const Result<ReadOutcome> first = reader.next();
  if (first.is_ok() && first.value() == ReadOutcome::kFrame && reader.frame().is(kFrameStart)) {
    proven = std::max(proven, reader.frame().start().last_revision);
  }
}

// What the files prove, also those that the state was not read from.
void Salvager::gather_evidence(Salvage& salvage) {
  uint64_t highest = std::max(listing_.version_generation, listing_.new_version_generation);
  for (const uint64_t generation : listing_.checkpoints) {
    highest = std::max(highest, generation);
    const auto reader = CheckpointReader::open(directory_, generation, nullptr);
    if (!reader.is_ok()) continue;
    if (!seen_cluster_id_) seen_cluster_id_ = reader.value()->header().cluster_id;
    salvage.epoch = std::max(salvage.epoch, reader.value()->header().epoch);
    salvage.proven_revision =
        std::max(salvage.proven_revision, reader.value()->footer().end_revision);
  }
  for (const uint64_t generation : listing_.logs) {
    highest = std::max(highest, generation);
    look_at_log(generation, salvage);
  }
  salvage.generation = highest + 1;
}

Result<Salvage> Salvager::run() {
  Salvage salvage;
  std::vector<uint64_t> bases(listing_.checkpoints.rbegin(), listing_.checkpoints.rend());
  if (bases.empty() || bases.back() != 0) bases.push_back(0);
  Attempt best;
  uint64_t loaded = 0;
  for (const uint64_t base : bases) {
    Result<Attempt> attempted = attempt(base, UINT64_MAX);
    if (!attempted.is_ok()) return attempted.status();
    loaded = base;
    const Attempt& now = attempted.value();
    if (now.refusal && (base != 0 || !best.possible)) {
      salvage.damages.push_back(damage_text(*now.refusal));
    }
    if (now.refusal) {
      salvage.proven_revision = std::max(salvage.proven_revision, now.refusal->last_revision);
    }
    if (is_better(now, best)) best = now;
    if (best.whole && !best.mixed) break;
  }
  if (loaded != best.base) {
    const Result<Attempt> again = attempt(best.base, UINT64_MAX);
    if (!again.is_ok()) return again.status();
  }
  salvage.base = best.base;
  salvage.revision = best.revision;
  salvage.mixed = best.mixed;
  salvage.epoch = best.epoch;
  gather_evidence(salvage);
  const bool version_known =
      listing_.version == VersionState::kValid || listing_.new_version == VersionState::kValid;
  if (!version_known) {
    salvage.damages.emplace_back(
        "version: it is missing or can't be read, so that newer files may be missing as well.");
  }
  const bool reaches_version =
      !listing_.logs.empty() && listing_.logs.back() >= listing_.version_generation;
  salvage.complete = best.whole && !best.mixed && version_known && reaches_version &&
                     salvage.proven_revision <= best.revision;
  salvage.cluster_id = best.cluster_id.value_or(seen_cluster_id_.value_or(make_uid(LogOptions())));
  ++salvage.epoch;
  salvage.last_revision = std::max(salvage.revision, salvage.proven_revision);
  // Lost frames held at most that many records, each with at most one revision.
  if (!salvage.complete) salvage.last_revision += log_bytes_ / kRecordBytesMin;
  return salvage;
}

}  // namespace small_db::tools
