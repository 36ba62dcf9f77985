#include "engine/tools/generation_writer.h"

#include "engine/checkpoint/writer.h"
#include "engine/recovery/data_directory.h"

namespace small_db::tools {

namespace {

Status write_checkpoint(Directory& directory, State& state, const NewGeneration& generation) {
  NewCheckpoint checkpoint;
  checkpoint.cluster_id = generation.cluster_id;
  checkpoint.generation = generation.generation;
  checkpoint.uid = make_uid(LogOptions());
  checkpoint.epoch = generation.epoch;
  checkpoint.start_revision = generation.revision;
  checkpoint.created_ms = generation.now_ms;
  auto writer = CheckpointWriter::create(directory, checkpoint);
  if (!writer.is_ok()) return writer.status();
  Cursor cursor = state.table().cursor();
  SMALL_DB_RETURN_IF_ERROR(writer.value()->seek_next(cursor));
  const Result<bool> more = writer.value()->take(cursor, UINT64_MAX);
  if (!more.is_ok()) return more.status();
  return writer.value()->finish(generation.revision);
}

Status write_log(Directory& directory, const NewGeneration& generation) {
  const NewLog log = {generation.cluster_id, generation.generation, generation.epoch,
                      generation.revision + 1, generation.now_ms};
  return create_started_log(directory, log, LogOptions());
}

}  // namespace

Status write_generation(Directory& directory, State& state, const NewGeneration& generation) {
  SMALL_DB_RETURN_IF_ERROR(write_checkpoint(directory, state, generation));
  SMALL_DB_RETURN_IF_ERROR(write_log(directory, generation));
  return write_version(directory, generation.generation);
}

}  // namespace small_db::tools
