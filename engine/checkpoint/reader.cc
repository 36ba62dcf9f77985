#include "engine/checkpoint/reader.h"

#include <array>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

Status corrupt(const char* site) noexcept { return Status(Code::kCorruption, site); }

}  // namespace

MutableBytes CheckpointBlock::room(size_t bytes) {
  const size_t usual = kBlockHeaderBytes + kBlockBodyBytesMax;
  const size_t wanted = bytes < usual ? usual : bytes;
  if (wanted > capacity_ || capacity_ > usual) {
    if (wanted != capacity_) buffer_ = std::make_unique_for_overwrite<std::byte[]>(wanted);
    capacity_ = wanted;
  }
  return {buffer_.get(), bytes};
}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::open(Directory& directory,
                                                                 uint64_t generation,
                                                                 uint64_t* damage_offset) {
  if (damage_offset != nullptr) *damage_offset = 0;
  Result<std::unique_ptr<File>> file =
      directory.open(checkpoint_file_name(generation), OpenMode::kRead);
  if (!file.is_ok()) return file.status();
  return open(std::move(file).value(), generation, damage_offset);
}

Result<std::unique_ptr<CheckpointReader>> CheckpointReader::open(std::unique_ptr<File> file,
                                                                 uint64_t generation,
                                                                 uint64_t* damage_offset) {
  std::unique_ptr<CheckpointReader> reader(new CheckpointReader(std::move(file)));
  Status status = reader->read_ends(generation);
  if (status.is_ok()) status = reader->read_index();
  if (damage_offset != nullptr) *damage_offset = reader->damage_offset_;
  if (!status.is_ok()) return status;
  return reader;
}

Status CheckpointReader::read_ends(uint64_t generation) {
  const Result<uint64_t> size = file_->size();
  if (!size.is_ok()) return size.status();
  std::array<std::byte, kCheckpointHeaderBytes> bytes;
  if (size.value() < bytes.size()) return corrupt("checkpoint header: cut short");
  SMALL_DB_RETURN_IF_ERROR(read(0, bytes));
  const Result<CheckpointHeader> header = decode_checkpoint_header(bytes);
  if (!header.is_ok()) return header.status();
  header_ = header.value();
  if (header_.generation != generation) return corrupt("checkpoint header: generation");
  damage_offset_ = size.value();
  if (size.value() < kCheckpointHeaderBytes + kCheckpointFooterBytes) {
    return corrupt("checkpoint footer: cut short");
  }
  const MutableBytes end = MutableBytes(bytes).first(kCheckpointFooterBytes);
  SMALL_DB_RETURN_IF_ERROR(read(size.value() - end.size(), end));
  const Result<CheckpointFooter> footer = decode_checkpoint_footer(end, header_, size.value());
  if (!footer.is_ok()) return footer.status();
  footer_ = footer.value();
  content_crc_ = header_.seed;
  return Status::ok();
}

// Rule 4.
Status CheckpointReader::read_index() {
  index_.resize(footer_.index_bytes);
  SMALL_DB_RETURN_IF_ERROR(read(footer_.index_offset, index_));
  if (crc32c(index_, header_.seed) != footer_.index_crc) {
    return corrupt("checkpoint index: checksum");
  }
  uint64_t blocks = 0;
  uint64_t records = 0;
  uint64_t expected = kCheckpointHeaderBytes;  // the least offset of the next block
  for (size_t at = 0; at < index_.size(); ++blocks) {
    damage_offset_ = footer_.index_offset + at;
    const Result<IndexEntry> entry = decode_index_entry(Bytes(index_).subspan(at));
    if (!entry.is_ok()) return entry.status();
    const uint64_t offset = entry.value().offset;
    const bool in_order =
        blocks == 0 ? offset == expected : offset >= expected && offset < footer_.index_offset;
    if (!in_order) return corrupt("checkpoint index: order");
    expected = offset + kBlockHeaderBytes + kRecordBytesMin;
    records += entry.value().records;
    at += entry.value().encoded_bytes();
  }
  const bool complete = blocks != 0 ? expected <= footer_.index_offset
                                    : footer_.index_offset == kCheckpointHeaderBytes;
  if (blocks != footer_.blocks || records != footer_.entries || !complete) {
    return corrupt("checkpoint index: contradiction");
  }
  damage_offset_ = 0;
  return Status::ok();
}

Status CheckpointReader::read(uint64_t offset, MutableBytes into) {
  damage_offset_ = offset;
  const Result<size_t> got = file_->read_at(offset, into);
  if (!got.is_ok()) return got.status();
  return got.value() == into.size() ? Status::ok() : corrupt("checkpoint: cut short");
}

Result<bool> CheckpointReader::next(CheckpointBlock& block) {
  if (index_at_ == index_.size()) {
    SMALL_DB_RETURN_IF_ERROR(check_totals());
    return false;
  }
  SMALL_DB_RETURN_IF_ERROR(read_block(block));
  return true;
}

// Rule 5. The block's length is known from the index: one read.
Status CheckpointReader::read_block(CheckpointBlock& block) {
  const Bytes index = index_;
  const Result<IndexEntry> entry = decode_index_entry(index.subspan(index_at_));
  if (!entry.is_ok()) return entry.status();
  const size_t next_at = index_at_ + entry.value().encoded_bytes();
  const uint64_t end =
      next_at == index.size() ? footer_.index_offset : load<uint64_t>(index.data() + next_at);
  damage_offset_ = offset_;
  const uint64_t bytes = end - offset_;
  if (entry.value().offset != offset_ || bytes > kBlockHeaderBytes + kLargeBlockBodyBytesMax) {
    return corrupt("checkpoint index: length of a block");
  }
  const MutableBytes buffer = block.room(bytes);
  SMALL_DB_RETURN_IF_ERROR(read(offset_, buffer));
  const Result<BlockHeader> header = decode_block_header(buffer, offset_, header_.seed);
  if (!header.is_ok()) return header.status();
  block.header_ = header.value();
  if (block.bytes() != bytes || block.header_.records != entry.value().records ||
      block.header_.first_record != records_) {
    return corrupt("checkpoint block: not that of the index");
  }
  if (crc32c(block.body(), header_.seed) != block.header_.body_crc) {
    return corrupt("checkpoint block: checksum");
  }
  SMALL_DB_RETURN_IF_ERROR(check_records(block, entry.value()));
  const uint32_t crc = block.header_.crc;
  content_crc_ = crc32c(std::as_bytes(std::span(&crc, 1)), content_crc_);
  records_ += block.header_.records;
  index_at_ = next_at;
  offset_ = end;
  return Status::ok();
}

// Rule 6, and the key of the index.
Status CheckpointReader::check_records(const CheckpointBlock& block, const IndexEntry& entry) {
  Bytes before = as_bytes(last_key_);
  bool is_first = true;
  const Status status = block.for_each_record([&](const RecordView& record) {
    if (record.type != RecordType::kPut) return corrupt("checkpoint record: type");
    if (record.revision > footer_.end_revision) return corrupt("checkpoint record: revision");
    if (compare_bytes(before, record.key) >= 0) return corrupt("checkpoint record: order");
    if (is_first && compare_bytes(index_key(record.key), entry.key) != 0) {
      return corrupt("checkpoint index: first key of a block");
    }
    is_first = false;
    before = record.key;
    data_bytes_ += record.key.size() + record.value.size();
    return Status::ok();
  });
  if (status.is_ok()) last_key_ = as_text(before);
  return status;
}

Status CheckpointReader::check_totals() {
  damage_offset_ = footer_.file_bytes - kCheckpointFooterBytes;
  if (records_ != footer_.entries || data_bytes_ != footer_.data_bytes ||
      content_crc_ != footer_.content_crc) {
    return corrupt("checkpoint footer: not that of the blocks");
  }
  return Status::ok();
}

}  // namespace small_db
