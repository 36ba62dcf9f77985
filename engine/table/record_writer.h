// Makes and takes apart stored records, in the arena of the process that owns it. What a record
// looks like is in stored_record.h. Commit thread only.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/base/status.h"
#include "engine/record/record.h"
#include "engine/table/arena.h"
#include "engine/table/stored_record.h"

namespace small_db {

class RecordWriter {
 public:
  RecordWriter(Arena& arena, ArenaView view) noexcept : arena_(arena), view_(view) {}

  // Takes memory for a put with the header and key of `prefix`, revision included, and room for
  // `value_bytes` of value. Errors: kNoMemory, nothing is taken; kTooLarge; kInvalidArgument for an
  // empty key or a type other than put.
  Result<BlockRef> allocate(const RecordView& prefix, uint32_t value_bytes);

  // Takes memory for the whole record, and writes it. Errors: as allocate.
  Result<BlockRef> make(const RecordView& record);

  // Copies `bytes` to position `at` of the value. REQUIRES: they lie within it.
  void fill(BlockRef record, uint32_t at, Bytes bytes) noexcept;

  void set_revision(BlockRef record, uint64_t revision) noexcept;

  // Frees the record's block and its extents; any other block as well.
  void free(BlockRef block) noexcept;

 private:
  BlockRef allocate_in_extents(size_t prefix_bytes, uint32_t value_bytes);
  bool gather_extents(uint32_t value_bytes);

  Arena& arena_;
  ArenaView view_;
  std::vector<BlockRef> extents_;  // of the record that is being made
};

}  // namespace small_db
