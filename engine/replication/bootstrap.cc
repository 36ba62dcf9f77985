#include "engine/replication/bootstrap.h"

#include <algorithm>
#include <optional>
#include <vector>

#include "engine/checkpoint/reader.h"
#include "engine/checkpoint/writer.h"
#include "engine/recovery/data_directory.h"
#include "engine/wal/log_reader.h"
#include "engine/wal/log_writer.h"

namespace small_db {
namespace {

constexpr size_t kCopyBytes = kMiB;

Result<std::unique_ptr<CheckpointReader>> open_download(Directory& directory, uint64_t generation) {
  Result<std::unique_ptr<File>> file = directory.open(kBootstrapFile, OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  return CheckpointReader::open(std::move(file).value(), generation, nullptr);
}

// Above every number there, and with a gap: no chain of older files may seem to go on in it.
uint64_t next_generation(const DirectoryListing& listing) {
  uint64_t highest = std::max(listing.version_generation, listing.new_version_generation);
  if (!listing.logs.empty()) highest = std::max(highest, listing.logs.back());
  if (!listing.checkpoints.empty()) highest = std::max(highest, listing.checkpoints.back());
  return highest + 2;
}

Status copy_file(Directory& directory, const std::string& from, const std::string& to) {
  Result<std::unique_ptr<File>> source = directory.open(from, OpenMode::kRead);
  if (!source.is_ok()) return source.status();
  const std::string temporary = to + ".tmp";
  Result<std::unique_ptr<File>> target = directory.open(temporary, OpenMode::kCreate);
  if (!target.is_ok()) return target.status();
  std::vector<std::byte> buffer(kCopyBytes);
  for (uint64_t at = 0;;) {
    const Result<size_t> got = source.value()->read_at(at, buffer);
    if (!got.is_ok()) return got.status();
    if (got.value() == 0) break;
    SMALL_DB_RETURN_IF_ERROR(target.value()->write_at(at, Bytes(buffer).first(got.value())));
    at += got.value();
  }
  SMALL_DB_RETURN_IF_ERROR(target.value()->sync_data());
  return directory.rename(temporary, to);
}

// The last revision before the log, as its START says; nothing for one that does not say it.
std::optional<uint64_t> revision_before(Directory& directory, uint64_t generation) {
  if (generation == 0) return 0;
  const auto reader = LogReader::open(directory, generation);
  if (!reader.is_ok()) return std::nullopt;
  const Result<ReadOutcome> outcome = reader.value()->next();
  if (!outcome.is_ok() || outcome.value() != ReadOutcome::kFrame) return std::nullopt;
  const FrameView& frame = reader.value()->frame();
  if (!frame.is(kFrameStart)) return std::nullopt;
  return frame.start().last_revision;
}

// Every log that may hold revisions above the common one: those but the ones that the next log
// shows to end before it. And where they do not reach back so far, the oldest checkpoint.
Status save_diverged(Directory& directory, const DirectoryListing& listing,
                     const Bootstrap& bootstrap, std::string* saved_as) {
  std::vector<std::string> names;
  // What stands before a gap is what a former bootstrap has replaced.
  size_t first = listing.logs.empty() ? 0 : listing.logs.size() - 1;
  while (first > 0 && listing.logs[first - 1] + 1 == listing.logs[first]) --first;
  for (size_t i = first; i < listing.logs.size(); ++i) {
    const bool is_last = i + 1 == listing.logs.size();
    const auto end = is_last ? std::nullopt : revision_before(directory, listing.logs[i + 1]);
    if (end && *end <= bootstrap.common_revision) continue;
    const auto begin = revision_before(directory, listing.logs[i]);
    const bool reaches_back = begin && *begin <= bootstrap.common_revision;
    if (names.empty() && !reaches_back && !listing.checkpoints.empty()) {
      names.push_back(checkpoint_file_name(listing.checkpoints.front()));
    }
    names.push_back(log_file_name(listing.logs[i]));
  }
  const std::string prefix = "diverged." + std::to_string(bootstrap.common_revision + 1) + ".";
  for (const std::string& name : names) {
    SMALL_DB_RETURN_IF_ERROR(copy_file(directory, name, prefix + name));
    saved_as->append(saved_as->empty() ? "" : ", ").append(prefix).append(name);
  }
  return directory.sync();
}

Status write_checkpoint(Directory& directory, CheckpointReader& reader, uint64_t generation) {
  NewCheckpoint checkpoint;
  checkpoint.cluster_id = reader.header().cluster_id;
  checkpoint.generation = generation;
  checkpoint.uid = make_uid(LogOptions());
  checkpoint.epoch = reader.header().epoch;
  checkpoint.start_revision = reader.header().start_revision;
  checkpoint.created_ms = reader.header().created_ms;
  auto writer = CheckpointWriter::create(directory, checkpoint);
  if (!writer.is_ok()) return writer.status();
  CheckpointBlock block;
  for (;;) {
    const Result<bool> more = reader.next(block);
    if (!more.is_ok()) return more.status();
    if (!more.value()) break;
    SMALL_DB_RETURN_IF_ERROR(block.for_each_record(
        [&](const RecordView& record) { return writer.value()->add(record); }));
  }
  return writer.value()->finish(reader.footer().end_revision);
}

Status remove_old(Directory& directory, const DirectoryListing& listing) {
  for (const uint64_t generation : listing.checkpoints) {
    SMALL_DB_RETURN_IF_ERROR(directory.remove(checkpoint_file_name(generation)));
  }
  for (const uint64_t generation : listing.logs) {
    SMALL_DB_RETURN_IF_ERROR(directory.remove(log_file_name(generation)));
  }
  SMALL_DB_RETURN_IF_ERROR(directory.remove(kBootstrapFile));
  return directory.sync();
}

}  // namespace

Status verify_bootstrap(Directory& directory, uint64_t generation) {
  Result<std::unique_ptr<CheckpointReader>> reader = open_download(directory, generation);
  if (!reader.is_ok()) return reader.status();
  const CheckpointFooter& footer = reader.value()->footer();
  if (footer.start_revision != footer.end_revision) {
    return {Code::kUnavailable, "bootstrap: a checkpoint of several states"};
  }
  CheckpointBlock block;
  for (;;) {
    const Result<bool> more = reader.value()->next(block);
    if (!more.is_ok()) return more.status();
    if (!more.value()) return Status::ok();
  }
}

Status discard_unfinished_bootstrap(Directory& directory) {
  const Result<std::unique_ptr<File>> download = directory.open(kBootstrapFile, OpenMode::kRead);
  if (download.status().code() == Code::kNotFound) return Status::ok();
  if (!download.is_ok()) return download.status();
  const Result<DirectoryListing> listing = list_data_directory(directory);
  if (!listing.is_ok()) return listing.status();
  const std::vector<uint64_t>& logs = listing.value().logs;
  const bool is_switching = listing.value().new_version == VersionState::kValid;
  const uint64_t in_force =
      is_switching ? listing.value().new_version_generation : listing.value().version_generation;
  if (logs.size() < 2 || logs.back() <= in_force || logs[logs.size() - 2] + 1 == logs.back()) {
    return Status::ok();
  }
  SMALL_DB_RETURN_IF_ERROR(directory.remove(log_file_name(logs.back())));
  const Status status = directory.remove(checkpoint_file_name(logs.back()));
  if (!status.is_ok() && status.code() != Code::kNotFound) return status;
  return directory.sync();
}

Status settle_bootstrap(Directory& directory) {
  const Result<bool> is_unsettled = has_next_history(directory);
  if (!is_unsettled.is_ok() || !is_unsettled.value()) return is_unsettled.status();
  const Result<DirectoryListing> listing = list_data_directory(directory);
  if (!listing.is_ok()) return listing.status();
  if (listing.value().version == VersionState::kUnreadable) {
    return {Code::kUnavailable, "bootstrap: version"};
  }
  return settle_history(directory, listing.value().version_generation);
}

Status install_bootstrap(Directory& directory, const Bootstrap& bootstrap, uint64_t now_ms,
                         std::string* saved_as) {
  const Result<DirectoryListing> listing = list_data_directory(directory);
  if (!listing.is_ok()) return listing.status();
  if (bootstrap.diverged) {
    SMALL_DB_RETURN_IF_ERROR(save_diverged(directory, listing.value(), bootstrap, saved_as));
  }
  Result<std::unique_ptr<CheckpointReader>> reader = open_download(directory, bootstrap.generation);
  if (!reader.is_ok()) return reader.status();
  const uint64_t generation = next_generation(listing.value());
  SMALL_DB_RETURN_IF_ERROR(write_checkpoint(directory, *reader.value(), generation));
  const NewLog log = {reader.value()->header().cluster_id, generation,
                      reader.value()->header().epoch, reader.value()->footer().end_revision + 1,
                      now_ms};
  SMALL_DB_RETURN_IF_ERROR(create_started_log(directory, log, LogOptions()));
  SMALL_DB_RETURN_IF_ERROR(write_history_of(directory, bootstrap.history, generation));
  SMALL_DB_RETURN_IF_ERROR(write_version(directory, generation));
  SMALL_DB_RETURN_IF_ERROR(settle_history(directory, generation));
  return remove_old(directory, listing.value());
}

}  // namespace small_db
