#include "engine/tools/source.h"

#include <cerrno>

#include "engine/checkpoint/reader.h"
#include "engine/tools/store_lock.h"

namespace small_db::tools {

namespace {

constexpr int kAttemptsMax = 10;

class NullSink : public RecoverySink {
 public:
  Status restart() override { return Status::ok(); }
  Status begin_frame(const FrameView&) override { return Status::ok(); }
  Status apply(const RecordView&) override { return Status::ok(); }
  Status end_frame(const FrameView&, const LogFilePosition&) override { return Status::ok(); }
};

// Reads a checkpoint block by block, and keeps nothing.
class CheckpointCheck : public CheckpointLoader {
 public:
  explicit CheckpointCheck(Console& console) : console_(console) {}

  Result<LoadedCheckpoint> load(Directory& directory, uint64_t generation, RecoverySink&) override {
    const auto reader = CheckpointReader::open(directory, generation, &damage_offset_);
    if (!reader.is_ok()) return reader.status();
    const CheckpointFooter& footer = reader.value()->footer();
    CheckpointBlock block;
    for (;;) {
      const Result<bool> more = reader.value()->next(block);
      damage_offset_ = reader.value()->damage_offset();
      if (!more.is_ok()) return more.status();
      if (!more.value()) break;
      console_.show_progress("checkpoint", reader.value()->offset(), footer.file_bytes);
    }
    LoadedCheckpoint loaded;
    loaded.cluster_id = reader.value()->header().cluster_id;
    loaded.start_revision = footer.start_revision;
    loaded.end_revision = footer.end_revision;
    return loaded;
  }
  uint64_t damage_offset() const override { return damage_offset_; }

 private:
  Console& console_;
  uint64_t damage_offset_ = 0;
};

// What changes when an owner goes on to another generation.
std::string file_names(Directory& directory) {
  std::string text;
  const Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return text;
  for (const std::string& name : names.value()) text += name + "/";
  const Result<std::string> version = read_file(directory, "version", 64);
  if (version.is_ok()) text += version.value();
  return text;
}

}  // namespace

std::unique_ptr<Source> Source::open(const Arguments& arguments, Console& console, int* exit_code) {
  Result<std::unique_ptr<PosixDirectory>> directory = PosixDirectory::open(arguments.directory);
  if (!directory.is_ok()) {
    console.error(arguments.directory + ": can't be opened: " + directory.status().text());
    *exit_code = kExitEnvironment;
    return nullptr;
  }
  const bool running = store_is_running(arguments.directory);
  if (running) {
    console.note(arguments.directory +
                 ": the store is running (LOCK is held): this is its state as of now");
  }
  return std::unique_ptr<Source>(new Source(std::move(directory).value(), running));
}

uint64_t Source::data_bytes() const {
  uint64_t bytes = 0;
  const Result<std::vector<std::string>> names = directory_->list();
  if (!names.is_ok()) return bytes;
  for (const std::string& name : names.value()) {
    if (!parse_numbered_name(name, "logfile.") && !parse_numbered_name(name, "checkpoint.")) {
      continue;
    }
    const auto file = directory_->open(name, OpenMode::kRead);
    if (!file.is_ok()) continue;
    const Result<uint64_t> size = file.value()->size();
    if (size.is_ok()) bytes += size.value();
  }
  return bytes;
}

Status Source::recover(State* state, Console& console, Recovered* recovered, Refusal* refusal) {
  for (int attempt = 1;; ++attempt) {
    if (state != nullptr) SMALL_DB_RETURN_IF_ERROR(state->clear());
    const std::string names = file_names(read_only_);
    NullSink null_sink;
    CheckpointCheck check(console);
    std::optional<StateSink> state_sink;
    std::optional<StateCheckpoints> state_checkpoints;
    RecoveryOptions options;
    options.settle = false;
    options.checkpoints = &check;
    options.progress = [&](const RecoveryProgress& progress) {
      console.show_progress("log", progress.bytes_done, progress.bytes_total);
    };
    RecoverySink* sink = &null_sink;
    if (state != nullptr) {
      sink = &state_sink.emplace(*state);
      options.checkpoints = &state_checkpoints.emplace(*state, [&](uint64_t done, uint64_t total) {
        console.show_progress("checkpoint", done, total);
      });
    }
    *refusal = Refusal();
    const Status status = small_db::recover(read_only_, *sink, options, recovered, refusal);
    if (status.is_ok() || attempt == kAttemptsMax || file_names(read_only_) == names) return status;
  }
}

int refusal_exit_code(const Status& status) {
  switch (status.code()) {
    case Code::kCorruption:
    case Code::kNotFound:
      return kExitDamage;
    case Code::kIoError:
      return status.error_number() == EIO ? kExitDamage : kExitEnvironment;
    default:
      return kExitEnvironment;
  }
}

int read_state(Source& source, State& state, Console& console, Recovered* recovered) {
  Refusal refusal;
  const Status status = source.recover(&state, console, recovered, &refusal);
  if (!status.is_ok()) {
    console.error(refusal.reason.empty() ? status.text() : refusal.text());
    return refusal_exit_code(status);
  }
  if (recovered->initialised) {
    console.error("there is no store in the directory");
    return kExitEnvironment;
  }
  if (recovered->fallback) {
    console.note("a checkpoint is damaged; read from generation " +
                 std::to_string(recovered->fallback->generation) +
                 " and all logs since, which is the same state: " + recovered->fallback->reason);
  }
  return kExitOk;
}

}  // namespace small_db::tools
