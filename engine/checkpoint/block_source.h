// Where the loader gets its verified blocks from: the reader itself, or a thread that reads ahead
// of it, so that reading, verifying and hashing one block and building from another go on at a
// time.
#pragma once

#include <cstdint>
#include <memory>

#include "engine/checkpoint/reader.h"
#include "engine/record/content_hash.h"

namespace small_db {

// A block, and the sum of its records' hashes.
struct HashedBlock {
  CheckpointBlock block;
  ContentHash content;
};

class BlockSource {
 public:
  virtual ~BlockSource() = default;

  // The next block, valid until the next call; nullptr behind the last one, when the whole file is
  // verified. Errors: as CheckpointReader::next.
  virtual Result<const HashedBlock*> next() = 0;

  // Where the error of next() was found.
  virtual uint64_t damage_offset() const = 0;
};

// ahead: by a thread of its own, which ends with the source. REQUIRES: the reader outlives the
// source, and nobody else uses it meanwhile.
std::unique_ptr<BlockSource> make_block_source(CheckpointReader& reader, bool ahead);

}  // namespace small_db
