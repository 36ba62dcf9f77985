#include "engine/checkpoint/loader.h"

#include "engine/checkpoint/block_source.h"

namespace small_db {

namespace {

Status load_blocks(BlockSource& source, const CheckpointLoadOptions& options, uint64_t bytes_total,
                   Table& table) {
  table.begin_load();
  for (;;) {
    const Result<const CheckpointBlock*> block = source.next();
    if (!block.is_ok()) return block.status();
    if (block.value() == nullptr) return table.end_load();
    SMALL_DB_RETURN_IF_ERROR(block.value()->for_each_record(
        [&](const RecordView& record) { return table.load(record); }));
    if (options.progress) {
      options.progress(block.value()->header().offset + block.value()->bytes(), bytes_total);
    }
  }
}

}  // namespace

Result<CheckpointState> load_checkpoint(Directory& directory, uint64_t generation, Table& table,
                                        const CheckpointLoadOptions& options,
                                        uint64_t* damage_offset) {
  const Result<std::unique_ptr<CheckpointReader>> reader =
      CheckpointReader::open(directory, generation, damage_offset);
  if (!reader.is_ok()) return reader.status();
  const CheckpointState state = {reader.value()->header(), reader.value()->footer()};
  const std::unique_ptr<BlockSource> source =
      make_block_source(*reader.value(), options.read_ahead);
  const Status status = load_blocks(*source, options, state.footer.file_bytes, table);
  if (damage_offset != nullptr) *damage_offset = source->damage_offset();
  if (!status.is_ok()) return status;
  return state;
}

}  // namespace small_db
