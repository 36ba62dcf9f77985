#include "engine/recovery/log_replay.h"

#include <algorithm>

#include "engine/record/counter.h"

namespace small_db {

namespace {

constexpr const char* kHowToGoOn =
    " Nothing was changed. Restore the data directory from a backup or from another node, or run "
    "`smalldbctl repair`, which tells what would be lost, and saves the original first.";

std::string number(uint64_t value) { return std::to_string(value); }

Status corrupt(const char* site) { return Status(Code::kCorruption, site); }

}  // namespace

Status LogReplay::run(const std::vector<uint64_t>& logs, uint64_t first,
                      const LoadedCheckpoint* checkpoint) {
  SMALL_DB_RETURN_IF_ERROR(open_logs(logs, first));
  const LogReader& reader = *logs_[0].reader;
  if (checkpoint != nullptr) {
    proven_revision_ = checkpoint->end_revision;
    if (reader.header().cluster_id != checkpoint->cluster_id) {
      return refuse_file(corrupt("recovery: cluster id"), first,
                         "The log belongs to another store than the checkpoint.");
    }
    if (logs_[0].start.last_revision > checkpoint->start_revision) {
      return refuse(corrupt("recovery: gap before the log"), reader, checkpoint->start_revision + 1,
                    logs_[0].start.last_revision, "The log begins later than the checkpoint ends.");
    }
  }
  return replay_all();
}

Status LogReplay::run_from(const std::vector<uint64_t>& logs, const TailStart& from) {
  resumed_ = true;
  resumed_at_ = from.position;
  SMALL_DB_RETURN_IF_ERROR(open_logs(logs, from.position.generation));
  const Status status = logs_[0].reader->resume(from.position, from.revision, from.epoch);
  if (!status.is_ok()) {
    return refuse(status, *logs_[0].reader, 0, 0, "The log has no frame where the region says.");
  }
  return replay_all();
}

// Opens every log from `first` on, so that each START is known before the log before it is read.
Status LogReplay::open_logs(const std::vector<uint64_t>& logs, uint64_t first) {
  auto at = std::find(logs.begin(), logs.end(), first);
  if (at == logs.end()) {
    return refuse_file(corrupt("recovery: missing log"), first, "The file is missing.");
  }
  for (uint64_t generation = first; at != logs.end(); ++at, ++generation) {
    if (*at != generation) {
      return refuse_file(corrupt("recovery: missing log"), generation,
                         "The file is missing, but later logs exist.");
    }
    Result<std::unique_ptr<LogReader>> reader = LogReader::open(directory_, generation);
    if (!reader.is_ok()) {
      return refuse_file(reader.status(), generation, "The file has no valid header.");
    }
    OpenLog log;
    log.reader = std::move(reader).value();
    SMALL_DB_RETURN_IF_ERROR(open_log(log));
    logs_.push_back(std::move(log));
  }
  // What is prepared ahead has no frame yet, and is not in use; the log of the generation in force
  // was in use before that was.
  if (logs_.size() > 1 && !logs_.back().started &&
      logs_.back().reader->header().generation > recovered_.generation) {
    logs_.pop_back();
  }
  for (size_t i = 0; i < logs_.size(); ++i) {
    const LogHeader& header = logs_[i].reader->header();
    if (!logs_[i].started) {
      return refuse_file(corrupt("recovery: missing START"), header.generation,
                         "The log's first frame is damaged or missing.");
    }
    if (header.cluster_id != logs_[0].reader->header().cluster_id) {
      return refuse_file(corrupt("recovery: cluster id"), header.generation,
                         "The log belongs to another store than the logs before it.");
    }
    bytes_total_ += logs_[i].reader->size();
  }
  return Status::ok();
}

// Reads the log's START, where it must have one to be in use.
Status LogReplay::open_log(OpenLog& log) {
  LogReader& reader = *log.reader;
  const bool first_resumed = resumed_ && logs_.empty();
  if (reader.header().generation == 0 || first_resumed) {
    log.started = true;
    return Status::ok();
  }
  const Result<ReadOutcome> outcome = next_frame(reader);
  if (!outcome.is_ok()) return refuse(outcome.status(), reader, 0, 0, "The log can't be read.");
  if (outcome.value() == ReadOutcome::kFrame) {
    log.started = true;
    log.start = reader.frame().start();
    log.heals = reader.frame().is(kFrameHeal);
    ++recovered_.frames;
    return Status::ok();
  }
  const Result<TailScan> scan = scan_tail(reader.file(), reader.header().seed, kLogHeaderBytes);
  if (!scan.is_ok()) return refuse(scan.status(), reader, 0, 0, "The log can't be read.");
  const bool torn_start = scan.value().headers == 1 &&
                          scan.value().header_offset == kLogHeaderBytes &&
                          outcome.value() == ReadOutcome::kNoFrame;
  if (scan.value().headers == 0 || torn_start) return check_size(reader, scan.value());
  return refuse(corrupt("recovery: damaged START"), reader, 0, scan.value().proven_revision,
                "The log's first frame is damaged (" + std::string(reader.reason()) +
                    "), but frames behind it prove that it was durable.");
}

Status LogReplay::replay_all() {
  for (size_t i = 0; i < logs_.size(); ++i) {
    ReadOutcome outcome = ReadOutcome::kNoFrame;
    SMALL_DB_RETURN_IF_ERROR(read_log(i, &outcome));
    const bool last = i + 1 == logs_.size();
    TailScan scan;
    if (last) SMALL_DB_RETURN_IF_ERROR(scan_end(i, &outcome, &scan));
    LogReader& reader = *logs_[i].reader;
    if (outcome == ReadOutcome::kContradiction) {
      return refuse(
          corrupt("recovery: contradiction"), reader, reader.next_revision(), 0,
          "A frame contradicts the log that it stands in (" + std::string(reader.reason()) + ").");
    }
    SMALL_DB_RETURN_IF_ERROR(last ? judge_tail(reader, scan)
                                  : check_successor(reader, logs_[i + 1]));
    bytes_before_ += reader.size();
  }
  conclude(*logs_.back().reader);
  return Status::ok();
}

// True where the log was given up, as the START of the next one says.
bool LogReplay::given_up_here(size_t index) const {
  if (index + 1 == logs_.size() || !logs_[index + 1].heals) return false;
  return logs_[index].reader->position().chain == logs_[index + 1].start.chain;
}

// Gives every frame of the log to the sink, up to the first that is not valid.
Status LogReplay::read_log(size_t index, ReadOutcome* outcome) {
  LogReader& reader = *logs_[index].reader;
  while (!given_up_here(index)) {
    const LogFilePosition before = reader.position();
    const Result<ReadOutcome> next = next_frame(reader);
    if (!next.is_ok()) {
      return refuse(next.status(), reader, reader.next_revision(), 0, "The log can't be read.");
    }
    *outcome = next.value();
    if (*outcome != ReadOutcome::kFrame) return Status::ok();
    SMALL_DB_RETURN_IF_ERROR(take_frame(reader, before));
    report_progress(reader, false);
  }
  *outcome = ReadOutcome::kNoFrame;
  return Status::ok();
}

// As reader.next(), but takes a damaged frame from the copy that step 6 may have left.
Result<ReadOutcome> LogReplay::next_frame(LogReader& reader) {
  const Result<ReadOutcome> outcome = reader.next();
  if (!outcome.is_ok() || outcome.value() != ReadOutcome::kNoFrame || reader.sealed()) {
    return outcome;
  }
  const uint64_t generation = reader.header().generation;
  Result<std::string> copy = read_last_frame_copy(directory_, generation);
  if (!copy.is_ok()) return copy.status();
  if (copy.value().empty()) return outcome;
  restored_.push_back({generation, reader.position().end_offset, std::move(copy).value()});
  if (reader.substitute(as_bytes(restored_.back().bytes))) return ReadOutcome::kFrame;
  restored_.pop_back();
  return outcome;
}

Status LogReplay::take_frame(LogReader& reader, const LogFilePosition& before) {
  const FrameView& frame = reader.frame();
  ++recovered_.frames;
  if (frame.header().requests == 0) return Status::ok();
  std::vector<RequestResult> results(frame.header().requests);
  Status sink_status = sink_.begin_frame(frame);
  Status status = sink_status;
  if (status.is_ok()) {
    status = frame.for_each_record([&](const RecordView& record) {
      ++recovered_.records;
      RequestResult& result = results[record.revision - frame.header().first_revision];
      ++result.records;
      result.number = parse_counter(record.value).value_or(0);
      sink_status = sink_.apply(record);
      return sink_status;
    });
  }
  if (status.is_ok()) status = sink_status = sink_.end_frame(frame, reader.position());
  if (!status.is_ok()) {
    const FrameHeader& header = frame.header();
    const char* what = sink_status.is_ok() ? "The records of a frame are malformed."
                                           : "The records of a frame could not be loaded.";
    const Status refused =
        refuse(status, reader, header.first_revision, header.next_revision() - 1, what);
    refusal_.offset = header.offset;
    return refused;
  }
  // Behind a live region every frame counts: the region says how far back they may be unanswered.
  if (!resumed_ && recovered_.recent.size() == 2)
    recovered_.recent.erase(recovered_.recent.begin());
  recovered_.recent.push_back(
      {frame.header().first_revision, before, frame.runs(), std::move(results)});
  return Status::ok();
}

// Rule 6: the log must end as the START of the next one says.
Status LogReplay::check_successor(const LogReader& reader, const OpenLog& next) {
  const uint64_t last_revision = reader.next_revision() - 1;
  const std::string successor = log_file_name(next.reader->header().generation);
  const bool ended = next.heals ? reader.position().chain == next.start.chain : reader.sealed();
  if (!ended) {
    return refuse(corrupt("recovery: log without its end"), reader, reader.next_revision(),
                  next.start.last_revision,
                  "A frame is damaged (" + std::string(reader.reason()) + ") where revision " +
                      number(reader.next_revision()) + " was expected, but " + successor +
                      " goes on from revision " + number(next.start.last_revision) + ".");
  }
  if (next.start.previous_generation != reader.header().generation ||
      next.start.last_revision != last_revision || next.start.chain != reader.position().chain ||
      next.reader->epoch() < reader.epoch()) {
    return refuse(corrupt("recovery: START does not fit"), *next.reader, 0, 0,
                  "The log does not go on from where the log before it ends.");
  }
  return Status::ok();
}

// Step 2. While an owner writes, frames appear behind what was read. The scan then proves the frame
// that is expected to be durable, so whole in the file: it is read again, and is damaged if it
// still is not valid.
Status LogReplay::scan_end(size_t index, ReadOutcome* outcome, TailScan* scan) {
  for (;;) {
    LogReader& reader = *logs_[index].reader;
    const uint64_t offset = reader.position().end_offset;
    const uint64_t expected = reader.next_revision();
    const Result<TailScan> scanned = scan_tail(reader.file(), reader.header().seed, offset);
    if (!scanned.is_ok()) {
      return refuse(scanned.status(), reader, expected, 0, "The log can't be read to its end.");
    }
    *scan = scanned.value();
    const bool proven = !reader.sealed() && scan->proven_revision >= expected;
    if (options_.settle || *outcome != ReadOutcome::kNoFrame || !proven) return Status::ok();
    Result<std::unique_ptr<LogReader>> again =
        LogReader::open(directory_, reader.header().generation);
    if (!again.is_ok() ||
        !again.value()->resume(reader.position(), expected - 1, reader.epoch()).is_ok()) {
      return Status::ok();
    }
    logs_[index].reader = std::move(again).value();
    SMALL_DB_RETURN_IF_ERROR(read_log(index, outcome));
    if (logs_[index].reader->position().end_offset == offset) return Status::ok();
  }
}

// Steps 3 and 4 of the order of recovery.
Status LogReplay::judge_tail(LogReader& reader, TailScan& scan) {
  const uint64_t expected = reader.next_revision();
  if (reader.sealed()) {
    if (scan.headers != 0) {
      return refuse(corrupt("recovery: frames behind SEAL"), reader, expected, 0,
                    "Frames stand behind the end of a sealed log.");
    }
    scan = TailScan();
  }
  const uint64_t proven = std::max(proven_revision_, scan.proven_revision);
  if (proven >= expected) {
    return refuse(corrupt("recovery: acknowledged writes are damaged"), reader, expected, proven,
                  "A frame is damaged (" + std::string(reader.reason()) + ") where revision " +
                      number(expected) + " was expected, but revisions up to at least " +
                      number(proven) + " had been acknowledged.");
  }
  if (!reader.sealed()) SMALL_DB_RETURN_IF_ERROR(check_size(reader, scan));
  tail_ = scan;
  return Status::ok();
}

// Rule 7, of a log that is not sealed.
Status LogReplay::check_size(LogReader& reader, const TailScan& scan) {
  const uint64_t least = std::max(reader.prepared_end(), scan.prepared_end);
  const Result<uint64_t> size = reader.file().size();  // it may have grown since it was opened
  if (!size.is_ok()) {
    return refuse(size.status(), reader, reader.next_revision(), 0, "The log can't be read.");
  }
  if (size.value() >= least) return Status::ok();
  return refuse(corrupt("recovery: log cut off"), reader, reader.next_revision(), 0,
                "The file was cut off: it has " + number(size.value()) + " bytes, and had " +
                    number(least) + ". Frames may be missing.");
}

void LogReplay::conclude(const LogReader& reader) {
  LogEnd& end = recovered_.log;
  end.header = reader.header();
  end.position = reader.position();
  end.prepared_end = std::max(reader.prepared_end(), tail_.prepared_end);
  end.last_revision = reader.next_revision() - 1;
  end.epoch = reader.epoch();
  end.sealed = reader.sealed();
  recovered_.last_revision = end.last_revision;
  recovered_.epoch = end.epoch;
  recovered_.cluster_id = end.header.cluster_id;
  const bool resumed_here = resumed_ && resumed_at_.generation == end.position.generation;
  read_last_frame_ = end.position.frame_offset < end.position.end_offset &&
                     !(resumed_here && resumed_at_ == end.position);
  report_progress(reader, true);
}

void LogReplay::report_progress(const LogReader& reader, bool always) {
  if (!options_.progress) return;
  const uint64_t done = always ? bytes_total_ : bytes_before_ + reader.position().end_offset;
  if (!always && done < bytes_reported_ + kMiB) return;
  bytes_reported_ = done;
  options_.progress({done, bytes_total_});
}

Status LogReplay::refuse(const Status& status, const LogReader& reader, uint64_t first_revision,
                         uint64_t last_revision, const std::string& what) {
  refusal_ = {status,
              log_file_name(reader.header().generation),
              reader.position().end_offset,
              first_revision,
              last_revision,
              what + kHowToGoOn};
  return status;
}

Status LogReplay::refuse_file(const Status& status, uint64_t generation, const std::string& what) {
  refusal_ = {status, log_file_name(generation), 0, 0, 0, what + kHowToGoOn};
  return status;
}

}  // namespace small_db
