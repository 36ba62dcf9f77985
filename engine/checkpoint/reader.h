// Reads a checkpoint (format.h), every byte verified before it is shown. Memory: the index and the
// blocks that the caller holds. One thread; only reads.
//
// Errors are kCorruption or kWrongFormat with a site that says which rule is broken, or what the
// file system gave; damage_offset says where in the file.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "engine/checkpoint/format.h"
#include "engine/platform/file_system.h"
#include "engine/record/record.h"

namespace small_db {

// A verified block. Keeps its buffer from one block to the next, unless that was a large one.
class CheckpointBlock {
 public:
  const BlockHeader& header() const noexcept { return header_; }
  uint64_t bytes() const noexcept { return kBlockHeaderBytes + header_.body_bytes; }

  // Calls `visit(const RecordView&)`, which returns a Status, for each record in key order; the
  // views point into the block. Errors: the first that `visit` gives.
  template <typename Visit>
  Status for_each_record(Visit&& visit) const {
    Bytes rest = body();
    for (uint32_t i = 0; i < header_.records; ++i) {
      const Result<DecodedRecord> record = decode_record(rest);
      if (!record.is_ok()) return record.status();
      SMALL_DB_RETURN_IF_ERROR(visit(record.value().view));
      rest = rest.subspan(record.value().bytes);
    }
    return rest.empty() ? Status::ok() : Status(Code::kCorruption, "checkpoint: block's length");
  }

 private:
  friend class CheckpointReader;

  Bytes body() const noexcept { return Bytes(buffer_.get(), bytes()).subspan(kBlockHeaderBytes); }
  MutableBytes room(size_t bytes);

  BlockHeader header_;
  std::unique_ptr<std::byte[]> buffer_;
  size_t capacity_ = 0;
};

class CheckpointReader {
 public:
  // Opens checkpoint.G: header, footer and index are verified. damage_offset may be null.
  // Errors: kNotFound, and as above.
  static Result<std::unique_ptr<CheckpointReader>> open(Directory& directory, uint64_t generation,
                                                        uint64_t* damage_offset);
  // The same of a file with any name. generation: that the header must state.
  static Result<std::unique_ptr<CheckpointReader>> open(std::unique_ptr<File> file,
                                                        uint64_t generation,
                                                        uint64_t* damage_offset);

  const CheckpointHeader& header() const noexcept { return header_; }
  const CheckpointFooter& footer() const noexcept { return footer_; }

  // Reads the next block, and verifies it whole, each record included. False when there is none:
  // then the whole file is verified.
  Result<bool> next(CheckpointBlock& block);

  // Where the last error of next() was found.
  uint64_t damage_offset() const noexcept { return damage_offset_; }
  // How far next() is.
  uint64_t offset() const noexcept { return offset_; }

 private:
  explicit CheckpointReader(std::unique_ptr<File> file) : file_(std::move(file)) {}

  Status read_ends(uint64_t generation);
  Status read_index();
  Status read(uint64_t offset, MutableBytes into);
  Status read_block(CheckpointBlock& block);
  Status check_records(const CheckpointBlock& block, const IndexEntry& entry);
  Status check_totals();

  std::unique_ptr<File> file_;
  CheckpointHeader header_;
  CheckpointFooter footer_;
  std::vector<std::byte> index_;
  size_t index_at_ = 0;  // of the next block's entry
  uint64_t offset_ = kCheckpointHeaderBytes;
  uint64_t damage_offset_ = 0;

  // Of the blocks that were read.
  uint64_t records_ = 0;
  uint64_t data_bytes_ = 0;
  uint32_t content_crc_ = 0;
  std::string last_key_;
};

}  // namespace small_db
