#include "engine/checkpoint/writer.h"

#include <array>

#include "engine/base/crc32c.h"

namespace small_db {

Result<std::unique_ptr<CheckpointWriter>> CheckpointWriter::create(
    Directory& directory, const NewCheckpoint& checkpoint, const CheckpointWriterOptions& options) {
  std::unique_ptr<CheckpointWriter> writer(new CheckpointWriter(directory, checkpoint, options));
  SMALL_DB_RETURN_IF_ERROR(writer->open());
  return writer;
}

CheckpointWriter::CheckpointWriter(Directory& directory, const NewCheckpoint& checkpoint,
                                   const CheckpointWriterOptions& options)
    : directory_(directory),
      options_(options),
      name_(checkpoint_file_name(checkpoint.generation)),
      temporary_(name_ + ".tmp"),
      block_(kBlockHeaderBytes) {
  header_.cluster_id = checkpoint.cluster_id;
  header_.generation = checkpoint.generation;
  header_.uid = checkpoint.uid;
  header_.epoch = checkpoint.epoch;
  header_.start_revision = checkpoint.start_revision;
  header_.created_ms = checkpoint.created_ms;
  footer_.epoch = checkpoint.epoch;
  footer_.start_revision = checkpoint.start_revision;
  SMALL_DB_ASSERT(options.block_bytes > kBlockHeaderBytes && options.block_bytes <= kMiB);
  block_.reserve(options.block_bytes);
}

CheckpointWriter::~CheckpointWriter() { abort(); }

void CheckpointWriter::abort() noexcept {
  if (phase_ == Phase::kPublished) return;
  if (failure_.is_ok()) failure_ = Status(Code::kInterrupted, "checkpoint: given up");
  reader_.reset();
  file_.reset();
  if (!removed_) (void)directory_.remove(temporary_).is_ok();
  removed_ = true;
}

Status CheckpointWriter::open() {
  Result<std::unique_ptr<File>> file = directory_.open(temporary_, OpenMode::kCreate);
  if (!file.is_ok()) return fail(file.status());
  file_ = std::move(file).value();
  std::array<std::byte, kCheckpointHeaderBytes> bytes;
  encode_checkpoint_header(header_, bytes.data());
  footer_.content_crc = header_.seed;
  return append(bytes);
}

Status CheckpointWriter::seek_next(Cursor& cursor) const {
  if (last_key_.empty()) return cursor.seek_first();
  return cursor.seek(as_bytes(last_key_ + '\0'));  // the least key above it
}

Result<bool> CheckpointWriter::take(Cursor& cursor, uint64_t bytes) {
  if (!failure_.is_ok()) return failure_;
  SMALL_DB_ASSERT(phase_ == Phase::kTaking);
  start_writeback();
  for (uint64_t taken = 0; cursor.is_valid();) {
    if (taken >= bytes && taken != 0) return true;
    const Result<StoredRecord> record = cursor.record();
    if (!record.is_ok()) return fail(record.status());
    const Status status = take_record(record.value(), &taken);
    if (!status.is_ok()) return fail(status);
    const Status moved = cursor.next();
    if (!moved.is_ok()) return fail(moved);
  }
  return false;
}

Status CheckpointWriter::add(const RecordView& record) {
  const StoredRecord stored{record.revision, record.expires_at_ms, record.key,
                            StoredValue::in_one_piece(record.value)};
  uint64_t taken = 0;
  const Status status = take_record(stored, &taken);
  return status.is_ok() ? status : fail(status);
}

Status CheckpointWriter::take_record(const StoredRecord& record, uint64_t* taken) {
  if (compare_bytes(as_bytes(last_key_), record.key) >= 0) {
    return {Code::kCorruption, "checkpoint: order of the walked keys"};
  }
  const size_t bytes =
      record_prefix_bytes(record.key.size(), record.expires_at_ms != 0) + record.value.bytes();
  if (block_.size() + bytes > options_.block_bytes) {
    SMALL_DB_RETURN_IF_ERROR(write_block());
  }
  SMALL_DB_RETURN_IF_ERROR(kBlockHeaderBytes + bytes > options_.block_bytes ? write_large(record)
                                                                            : add_to_block(record));
  last_key_ = as_text(record.key);
  footer_.data_bytes += record.key.size() + record.value.bytes();
  ++footer_.entries;
  *taken += bytes;
  return Status::ok();
}

// Appends what comes before the value to the block.
void CheckpointWriter::add_prefix(const StoredRecord& record) {
  RecordView view;
  view.revision = record.revision;
  view.expires_at_ms = record.expires_at_ms;
  view.key = record.key;
  const size_t at = block_.size();
  block_.resize(at + record_prefix_bytes(view.key.size(), view.expires_at_ms != 0));
  encode_record_prefix(view, static_cast<uint32_t>(record.value.bytes()), block_.data() + at);
}

Status CheckpointWriter::add_to_block(const StoredRecord& record) {
  add_prefix(record);
  const size_t at = block_.size();
  block_.resize(at + record.value.bytes());
  ++block_records_;
  return record.value.copy_to(block_.data() + at);
}

// A block of its own, straight from the pieces of the value: once for the checksum, once to write.
Status CheckpointWriter::write_large(const StoredRecord& record) {
  add_prefix(record);
  BlockHeader header;
  const Bytes prefix = Bytes(block_).subspan(kBlockHeaderBytes);
  header.records = 1;
  header.body_bytes = static_cast<uint32_t>(prefix.size() + record.value.bytes());
  header.body_crc = crc32c(prefix, header_.seed);
  SMALL_DB_RETURN_IF_ERROR(record.value.for_each_piece(
      [&](Bytes piece) { header.body_crc = crc32c(piece, header.body_crc); }));
  enter_block(header, record.key);
  Status status;
  SMALL_DB_RETURN_IF_ERROR(record.value.for_each_piece([&](Bytes piece) {
    if (!status.is_ok()) return;
    if (block_.size() + piece.size() > options_.block_bytes) {
      status = append(block_);
      block_.clear();
    }
    block_.insert(block_.end(), piece.begin(), piece.end());
  }));
  SMALL_DB_RETURN_IF_ERROR(status);
  SMALL_DB_RETURN_IF_ERROR(append(block_));
  block_.resize(kBlockHeaderBytes);
  return Status::ok();
}

// Writes the block, if it has records.
Status CheckpointWriter::write_block() {
  if (block_records_ == 0) return Status::ok();
  const Bytes body = Bytes(block_).subspan(kBlockHeaderBytes);
  BlockHeader header;
  header.records = block_records_;
  header.body_bytes = static_cast<uint32_t>(body.size());
  header.body_crc = crc32c(body, header_.seed);
  enter_block(header, decode_record_prefix(body).value().view.key);
  SMALL_DB_RETURN_IF_ERROR(append(block_));
  block_.resize(kBlockHeaderBytes);
  block_records_ = 0;
  return Status::ok();
}

// Completes the header of the block that is written next, and enters it into index and totals.
void CheckpointWriter::enter_block(BlockHeader& header, Bytes first_key) {
  header.offset = offset_;
  header.first_record = indexed_records_;
  encode_block_header(header, header_.seed, block_.data());
  const IndexEntry entry{offset_, header.records, index_key(first_key)};
  const size_t at = index_.size();
  index_.resize(at + entry.encoded_bytes());
  encode_index_entry(entry, index_.data() + at);
  indexed_records_ += header.records;
  footer_.content_crc = crc32c(std::as_bytes(std::span(&header.crc, 1)), footer_.content_crc);
  ++footer_.blocks;
}

Status CheckpointWriter::seal(uint64_t end_revision) {
  if (!failure_.is_ok()) return failure_;
  SMALL_DB_ASSERT(phase_ == Phase::kTaking && end_revision >= footer_.start_revision);
  footer_.end_revision = end_revision;
  Status status = write_ends();
  if (status.is_ok()) status = sync();
  if (!status.is_ok()) return fail(status);
  file_.reset();
  Result<std::unique_ptr<File>> file = directory_.open(temporary_, OpenMode::kRead);
  if (!file.is_ok()) return fail(file.status());
  Result<std::unique_ptr<CheckpointReader>> reader =
      CheckpointReader::open(std::move(file).value(), header_.generation, nullptr);
  if (!reader.is_ok()) return fail(reader.status());
  reader_ = std::move(reader).value();
  phase_ = Phase::kSealed;
  return Status::ok();
}

Status CheckpointWriter::write_ends() {
  SMALL_DB_RETURN_IF_ERROR(write_block());
  footer_.index_offset = offset_;
  footer_.index_bytes = index_.size();
  footer_.index_crc = crc32c(index_, header_.seed);
  footer_.file_bytes = offset_ + index_.size() + kCheckpointFooterBytes;
  index_.resize(index_.size() + kCheckpointFooterBytes);
  encode_checkpoint_footer(footer_, header_.seed, index_.data() + footer_.index_bytes);
  return append(index_);
}

Result<bool> CheckpointWriter::verify(uint64_t bytes) {
  if (!failure_.is_ok()) return failure_;
  SMALL_DB_ASSERT(phase_ == Phase::kSealed);
  for (uint64_t read = 0; read == 0 || read < bytes; read += read_block_.bytes()) {
    const Result<bool> more = reader_->next(read_block_);
    if (!more.is_ok()) return fail(more.status());
    if (more.value()) continue;
    if (reader_->footer().content_crc != footer_.content_crc) {
      return fail({Code::kCorruption, "checkpoint: not what was written"});
    }
    reader_.reset();
    phase_ = Phase::kVerified;
    return false;
  }
  return true;
}

Status CheckpointWriter::publish() {
  if (!failure_.is_ok()) return failure_;
  SMALL_DB_ASSERT(phase_ == Phase::kVerified);
  Status status = directory_.rename(temporary_, name_);
  if (status.is_ok()) status = directory_.sync();
  if (!status.is_ok()) {
    (void)directory_.remove(name_).is_ok();
    return fail(status);
  }
  phase_ = Phase::kPublished;
  return Status::ok();
}

Status CheckpointWriter::finish(uint64_t end_revision) {
  SMALL_DB_RETURN_IF_ERROR(seal(end_revision));
  const Result<bool> more = verify(UINT64_MAX);
  if (!more.is_ok()) return more.status();
  return publish();
}

Status CheckpointWriter::append(Bytes bytes) {
  SMALL_DB_RETURN_IF_ERROR(file_->write_at(offset_, bytes));
  offset_ += bytes.size();
  unsynced_ += bytes.size();
  return unsynced_ < options_.sync_bytes ? Status::ok() : sync();
}

// Of what was written last, a part, or the rest of it.
void CheckpointWriter::start_writeback() noexcept {
  const uint64_t more = std::min<uint64_t>(options_.block_bytes, offset_ - writeback_end_);
  if (more == 0) return;
  file_->start_writeback(writeback_end_, more);
  writeback_end_ += more;
}

Status CheckpointWriter::sync() {
  unsynced_ = 0;
  return file_->sync_data();
}

Status CheckpointWriter::fail(Status status) {
  failure_ = status;
  return status;
}

}  // namespace small_db
