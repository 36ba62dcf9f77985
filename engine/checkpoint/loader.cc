#include "engine/checkpoint/loader.h"

#include "engine/checkpoint/block_source.h"

namespace small_db {

namespace {

// What a record takes in memory at least, beside key and value: its header and its place in a node.
constexpr uint64_t kRecordMemoryBytesMin = 24;

Status load_blocks(BlockSource& source, const CheckpointLoadOptions& options, uint64_t bytes_total,
                   Table& table) {
  table.begin_load();
  for (;;) {
    const Result<const HashedBlock*> next = source.next();
    if (!next.is_ok()) return next.status();
    if (next.value() == nullptr) return table.end_load();
    const CheckpointBlock& block = next.value()->block;
    SMALL_DB_RETURN_IF_ERROR(block.for_each_record(
        [&](const RecordView& record) { return table.load_unhashed(record); }));
    table.add_content(next.value()->content.value());
    if (options.progress) options.progress(block.header().offset + block.bytes(), bytes_total);
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
  const CheckpointFooter& footer = state.footer;
  if (options.pages != nullptr) {
    options.pages->want(footer.data_bytes + footer.entries * kRecordMemoryBytesMin);
  }
  const std::unique_ptr<BlockSource> source =
      make_block_source(*reader.value(), options.read_ahead);
  const Status status = load_blocks(*source, options, state.footer.file_bytes, table);
  if (damage_offset != nullptr) *damage_offset = source->damage_offset();
  if (!status.is_ok()) return status;
  return state;
}

}  // namespace small_db
