#include "engine/tools/state.h"

#include <sys/mman.h>

#include <algorithm>
#include <vector>

#include "engine/checkpoint/loader.h"

namespace small_db::tools {

namespace {

constexpr uint64_t kBytesMin = 64 * kMiB;
constexpr uint64_t kBytesMax = kArenaBytesMax;

RegionConfig small_config() {
  RegionConfig config;
  config.slot_count = kSlotsMin;
  config.submission_bytes = kSubmissionBytesMin;
  return config;
}

Hash128 hash_of(const RecordView& record) {
  return ContentHash::of_record(record.key, record.expires_at_ms,
                                [&](auto&& take) { take(record.value); });
}

}  // namespace

State::State(uint64_t expected_bytes)
    : bytes_(std::clamp(align_up(expected_bytes * 3, kMiB), kBytesMin, kBytesMax)) {}

State::~State() { unmap(); }

void State::unmap() {
  table_.reset();
  if (!memory_.empty()) ::munmap(memory_.data(), memory_.size());
  memory_ = {};
}

Status State::map(uint64_t bytes) {
  unmap();
  if (bytes > kBytesMax) return {Code::kNoMemory, "memory: more than a store can have"};
  void* memory = ::mmap(nullptr, bytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (memory == MAP_FAILED) return {Code::kNoMemory, "memory: map", errno};
  bytes_ = bytes;
  memory_ = {static_cast<std::byte*>(memory), bytes};
  SMALL_DB_RETURN_IF_ERROR(Region::format(memory_, small_config()));
  const Result<Region> region = Region::attach(memory_);
  if (!region.is_ok()) return region.status();
  table_ = std::make_unique<Table>(region.value());
  table_->clear();
  table_->begin_batch(1);
  return Status::ok();
}

Status State::clear() { return map(bytes_); }

Status State::clear_and_double() { return map(bytes_ * 2); }

Status State::put(const RecordView& record) {
  for (;;) {
    const Status status = table_->put(record);
    if (status.code() != Code::kNoMemory) return status;
    SMALL_DB_RETURN_IF_ERROR(grow());
  }
}

Status State::erase(Bytes key, uint64_t revision) {
  for (;;) {
    const Status status = table_->erase(key, revision);
    if (status.code() != Code::kNoMemory) return status;
    SMALL_DB_RETURN_IF_ERROR(grow());
  }
}

// Copies everything into a mapping of twice the size.
Status State::grow() {
  State larger(0);
  SMALL_DB_RETURN_IF_ERROR(larger.map(bytes_ * 2));
  larger.table_->begin_load();
  SMALL_DB_RETURN_IF_ERROR(
      for_each([&](const RecordView& record) { return larger.table_->load(record); }));
  SMALL_DB_RETURN_IF_ERROR(larger.table_->end_load());
  std::swap(bytes_, larger.bytes_);
  std::swap(memory_, larger.memory_);
  std::swap(table_, larger.table_);
  return Status::ok();
}

Status State::for_each(const std::function<Status(const RecordView&)>& visit) const {
  std::vector<std::byte> value;
  Cursor cursor = table_->cursor();
  Status status = cursor.seek_first();
  for (; status.is_ok() && cursor.is_valid(); status = cursor.next()) {
    const Result<StoredRecord> stored = cursor.record();
    if (!stored.is_ok()) return stored.status();
    if (value.size() < stored.value().value.bytes()) value.resize(stored.value().value.bytes());
    SMALL_DB_RETURN_IF_ERROR(stored.value().value.copy_to(value.data()));
    RecordView record;
    record.revision = stored.value().revision;
    record.expires_at_ms = stored.value().expires_at_ms;
    record.key = stored.value().key;
    record.value = Bytes(value).first(stored.value().value.bytes());
    SMALL_DB_RETURN_IF_ERROR(visit(record));
  }
  return status;
}

Result<State::Totals> State::totals() const {
  Totals totals;
  ContentHash hash;
  const Status status = for_each([&](const RecordView& record) {
    ++totals.keys;
    totals.bytes += record.key.size() + record.value.size();
    hash.add(hash_of(record));
    return Status::ok();
  });
  if (!status.is_ok()) return status;
  totals.hash = hash.text();
  return totals;
}

Status StateSink::begin_frame(const FrameView& frame) {
  if (frame.header().first_revision >= stop_before_) return {Code::kInterrupted, "state: enough"};
  in_frame_ = frame.header().first_revision;
  return Status::ok();
}

Status StateSink::apply(const RecordView& record) {
  if (record.type == RecordType::kPut) return state_.put(record);
  return state_.erase(record.key, record.revision);
}

Status StateSink::end_frame(const FrameView& frame, const LogFilePosition&) {
  in_frame_ = 0;
  ++frames_;
  last_revision_ = frame.header().next_revision() - 1;
  epoch_ = std::max(epoch_, frame.header().epoch);
  return Status::ok();
}

Result<LoadedCheckpoint> StateCheckpoints::load(Directory& directory, uint64_t generation,
                                                RecoverySink&) {
  CheckpointLoadOptions options;
  options.progress = progress_;
  Status made = state_.clear();
  for (;; made = state_.clear_and_double()) {
    if (!made.is_ok()) return made;
    const Result<CheckpointState> state =
        load_checkpoint(directory, generation, state_.table(), options, &damage_offset_);
    if (state.status().code() == Code::kNoMemory) continue;
    if (!state.is_ok()) return state.status();
    LoadedCheckpoint loaded;
    loaded.cluster_id = state.value().header.cluster_id;
    loaded.start_revision = state.value().footer.start_revision;
    loaded.end_revision = state.value().footer.end_revision;
    return loaded;
  }
}

}  // namespace small_db::tools
