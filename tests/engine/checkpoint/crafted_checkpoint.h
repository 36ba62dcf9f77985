// Makes the bytes of a checkpoint file from any records, with every offset and CRC right: for files
// that the writer would not write. Used by tests and the fuzzer; needs no test framework.
#pragma once

#include <string>
#include <vector>

#include "engine/base/crc32c.h"
#include "engine/checkpoint/format.h"

namespace small_db::checkpoint_test {

inline std::string encoded(const RecordView& record) {
  std::string bytes(record_bytes(record), '\0');
  encode_record(record, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

struct CraftedBlock {
  std::string body;
  uint32_t records = 0;
  std::string first_key;  // for the index
  uint64_t data_bytes = 0;

  void add(const RecordView& record) {
    if (records++ == 0) first_key = as_text(index_key(record.key));
    data_bytes += record.key.size() + record.value.size();
    body += encoded(record);
  }
};

class CraftedCheckpoint {
 public:
  explicit CraftedCheckpoint(const CheckpointHeader& header) : header_(header) {
    file_.resize(kCheckpointHeaderBytes);
    encode_checkpoint_header(header_, at(0));
    footer.start_revision = header.start_revision;
    footer.end_revision = header.start_revision;
    footer.epoch = header.epoch;
    footer.content_crc = header_.seed;
  }

  void add(const CraftedBlock& block) {
    BlockHeader header;
    header.offset = file_.size();
    header.first_record = footer.entries;
    header.records = block.records;
    header.body_bytes = static_cast<uint32_t>(block.body.size());
    header.body_crc = crc32c(as_bytes(block.body), header_.seed);
    file_.resize(file_.size() + kBlockHeaderBytes);
    encode_block_header(header, header_.seed, at(header.offset));
    file_ += block.body;
    if (!block.first_key.empty()) add_to_index(header, block.first_key);
    footer.content_crc = crc32c(std::as_bytes(std::span(&header.crc, 1)), footer.content_crc);
    footer.entries += block.records;
    footer.data_bytes += block.data_bytes;
    ++footer.blocks;
  }

  // The file, with what `footer` says by then.
  std::string finish() {
    footer.index_offset = file_.size();
    footer.index_bytes = index_.size();
    footer.index_crc = crc32c(as_bytes(index_), header_.seed);
    footer.file_bytes = file_.size() + index_.size() + kCheckpointFooterBytes;
    file_ += index_;
    const size_t end = file_.size();
    file_.resize(end + kCheckpointFooterBytes);
    encode_checkpoint_footer(footer, header_.seed, at(end));
    return std::move(file_);
  }

  CheckpointFooter footer;

 private:
  std::byte* at(size_t offset) { return reinterpret_cast<std::byte*>(file_.data()) + offset; }

  void add_to_index(const BlockHeader& header, const std::string& key) {
    const IndexEntry entry{header.offset, header.records, as_bytes(key)};
    const size_t end = index_.size();
    index_.resize(end + entry.encoded_bytes());
    encode_index_entry(entry, reinterpret_cast<std::byte*>(index_.data()) + end);
  }

  CheckpointHeader header_;
  std::string file_;
  std::string index_;
};

}  // namespace small_db::checkpoint_test
