#include "engine/wal/log_writer.h"

#include <sys/random.h>

#include <cerrno>

namespace small_db {

Uid make_uid(const LogOptions& options) {
  Uid uid{};
  if (options.random) {
    options.random(uid);
    return uid;
  }
  ssize_t got = 0;
  do {
    got = getrandom(uid.data(), uid.size(), 0);  // up to 256 bytes never come in parts
  } while (got < 0 && errno == EINTR);
  SMALL_DB_ASSERT(got == static_cast<ssize_t>(uid.size()));
  return uid;
}

Result<LogEnd> create_log(Directory& directory, const NewLog& log, const LogOptions& options) {
  LogEnd end;
  end.header.cluster_id = log.cluster_id;
  end.header.generation = log.generation;
  end.header.log_uid = make_uid(options);
  end.header.epoch = log.epoch;
  end.header.first_revision = log.first_revision;
  end.header.created_ms = log.created_ms;
  end.header.prepared_end = kLogHeaderBytes + options.prepare_step_bytes;
  std::array<std::byte, kLogHeaderBytes> bytes;
  encode_log_header(end.header, bytes.data());

  const std::string name = log_file_name(log.generation);
  const std::string temporary = name + ".tmp";
  Result<std::unique_ptr<File>> file = directory.open(temporary, OpenMode::kCreate);
  if (!file.is_ok()) return file.status();
  File& out = *file.value();
  out.bypass_cache(true);
  SMALL_DB_RETURN_IF_ERROR(out.allocate(0, end.header.prepared_end));
  SMALL_DB_RETURN_IF_ERROR(out.write_at(0, bytes));
  SMALL_DB_RETURN_IF_ERROR(write_zeros(out, kLogHeaderBytes, end.header.prepared_end));
  SMALL_DB_RETURN_IF_ERROR(out.sync_data());
  SMALL_DB_RETURN_IF_ERROR(directory.rename(temporary, name));
  SMALL_DB_RETURN_IF_ERROR(directory.sync());

  end.position = {log.generation, kLogHeaderBytes, kLogHeaderBytes, end.header.crc};
  end.prepared_end = end.header.prepared_end;
  end.last_revision = log.first_revision - 1;
  end.epoch = log.epoch;
  return end;
}

Status create_started_log(Directory& directory, const NewLog& log, const LogOptions& options) {
  Result<LogEnd> end = create_log(directory, log, options);
  if (!end.is_ok()) return end.status();
  end.value().start_missing = true;
  end.value().previous = {log.generation - 1, log.first_revision - 1, 0};
  return LogWriter::open(directory, end.value(), log.epoch, log.created_ms, options).status();
}

Result<std::unique_ptr<LogWriter>> LogWriter::open(Directory& directory, const LogEnd& end,
                                                   uint64_t epoch, uint64_t now_ms,
                                                   const LogOptions& options) {
  if (end.sealed || end.heal) {
    const NewLog next = {end.header.cluster_id, end.position.generation + 1, epoch,
                         end.last_revision + 1, now_ms};
    Result<LogEnd> created = create_log(directory, next, options);
    if (!created.is_ok()) return created.status();
    LogEnd start = created.value();
    start.start_missing = true;
    start.heal = false;
    start.previous = {end.position.generation, end.last_revision, end.position.chain};
    start.start_heals = !end.sealed;
    return open(directory, start, epoch, now_ms, options);
  }
  const std::string name = log_file_name(end.position.generation);
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::kReadWrite);
  if (!file.is_ok()) return file.status();
  Result<std::unique_ptr<File>> space_file = directory.open(name, OpenMode::kReadWrite);
  if (!space_file.is_ok()) return space_file.status();
  std::unique_ptr<LogWriter> writer(new LogWriter(
      std::move(file).value(), std::move(space_file).value(), end, options.prepare_step_bytes));
  if (end.start_missing) SMALL_DB_RETURN_IF_ERROR(writer->write_start(end, epoch, now_ms));
  return writer;
}

LogWriter::LogWriter(std::unique_ptr<File> file, std::unique_ptr<File> space_file,
                     const LogEnd& end, uint64_t step_bytes)
    : file_(std::move(file)),
      space_(std::move(space_file), end.prepared_end, step_bytes),
      header_(end.header),
      position_(end.position),
      durable_position_(end.position),
      next_revision_(end.last_revision + 1),
      reserved_end_(end.position.end_offset) {
  SMALL_DB_ASSERT(end.position.end_offset % kSectorBytes == 0);
  SMALL_DB_ASSERT(end.position.end_offset <= end.prepared_end);
  bypass_cache(true);
  space_.bypass_cache(true);
}

Status LogWriter::write_start(const LogEnd& end, uint64_t epoch, uint64_t now_ms) {
  FrameBuilder frame(0);
  frame.reset(end.last_revision + 1, seed());
  frame.make_start(end.previous, end.start_heals);
  frame.finish();
  if (!reserve(frame.frame_bytes())) return Status(Code::kNoDiskSpace, "log: room for START");
  SMALL_DB_RETURN_IF_ERROR(write(frame, end.last_revision, epoch, now_ms));
  return sync();
}

uint64_t LogWriter::available_bytes() const noexcept {
  const uint64_t prepared_end = space_.prepared_end();
  return prepared_end > reserved_end_ ? prepared_end - reserved_end_ : 0;
}

bool LogWriter::reserve(uint64_t frame_bytes) noexcept {
  SMALL_DB_ASSERT(frame_bytes % kSectorBytes == 0);
  if (frame_bytes > available_bytes()) return false;
  reserved_end_ += frame_bytes;
  return true;
}

Status LogWriter::write(FrameBuilder& frame, uint64_t durable_revision, uint64_t epoch,
                        uint64_t time_ms) {
  if (!failure_.is_ok()) return failure_;
  if (space_.failed()) return fail(Status(Code::kIoError, "log: preparing space had failed"));
  const MutableBytes bytes = frame.frame();
  FrameHeader& header = frame.header_;
  SMALL_DB_ASSERT(!sealed_ && !written_ && frame.seed_ == header_.seed);
  SMALL_DB_ASSERT(header.first_revision == next_revision_);
  SMALL_DB_ASSERT(durable_revision < header.first_revision);
  header.offset = position_.end_offset;
  header.durable_revision = durable_revision;
  header.epoch = epoch;
  header.time_ms = time_ms;
  header.chain = position_.chain;
  header.prepared_end = space_.prepared_end();
  SMALL_DB_ASSERT(header.end_offset() <= header.prepared_end);
  encode_frame_header(header, header_.seed, bytes.data());
  const Status status = file_->write_at(header.offset, bytes);
  if (!status.is_ok()) return fail(status);
  written_ = true;
  sealed_ = (header.flags & kFrameSeal) != 0;
  position_ = {position_.generation, header.offset, header.end_offset(), header.crc};
  next_revision_ = header.next_revision();
  return status;
}

Status LogWriter::sync() {
  if (!failure_.is_ok()) return failure_;
  const Status status = file_->sync_data();
  if (!status.is_ok()) return fail(status);
  // After the sync: a failure of the helper's sync may stand for pages of this frame.
  if (space_.failed()) return fail(Status(Code::kIoError, "log: preparing space had failed"));
  written_ = false;
  durable_position_ = position_;
  return status;
}

void LogWriter::release_unused() noexcept {
  if (sealed_ && !written_ && failure_.is_ok()) space_.release_from(position_.end_offset);
}

Status LogWriter::fail(Status status) {
  failure_ = status.code() == Code::kNoDiskSpace
                 ? Status(Code::kIoError, "log: no space in prepared space", status.error_number())
                 : status;
  return failure_;
}

}  // namespace small_db
