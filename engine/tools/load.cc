// load: NDJSON into a new data directory. Nothing is in force before all of it is durable.
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>

#include "engine/checkpoint/format.h"
#include "engine/platform/clock.h"
#include "engine/recovery/data_directory.h"
#include "engine/tools/command.h"
#include "engine/tools/generation_writer.h"
#include "engine/tools/json_record.h"
#include "engine/tools/store_lock.h"

namespace small_db::tools {

namespace {

constexpr uint64_t kGeneration = 1;

// A file of lines, or standard input.
class LineFile {
 public:
  explicit LineFile(const std::string& path)
      : file_(path == "-" ? stdin : std::fopen(path.c_str(), "re")) {}
  ~LineFile() {
    std::free(line_);  // NOLINT(cppcoreguidelines-no-malloc): getline's own
    if (file_ != nullptr && file_ != stdin) std::fclose(file_);
  }
  LineFile(const LineFile&) = delete;
  LineFile& operator=(const LineFile&) = delete;

  bool is_open() const { return file_ != nullptr; }
  bool failed() const { return std::ferror(file_) != 0; }

  // The next line without its end; false at the end of the file.
  bool next(std::string_view* line) {
    const ssize_t got = ::getline(&line_, &capacity_, file_);
    if (got < 0) return false;
    *line = std::string_view(line_, static_cast<size_t>(got));
    if (!line->empty() && line->back() == '\n') line->remove_suffix(1);
    if (!line->empty() && line->back() == '\r') line->remove_suffix(1);
    return true;
  }

 private:
  std::FILE* file_;
  char* line_ = nullptr;
  size_t capacity_ = 0;
};

// Reads all lines into the state. Returns: the exit code.
int read_lines(const Arguments& arguments, LineFile& file, Console& console, State& state,
               uint64_t* last) {
  Status status = state.clear();
  std::string_view line;
  uint64_t bytes = 0;
  for (uint64_t number = 1; status.is_ok() && file.next(&line); ++number) {
    bytes += line.size() + 1;
    console.show_progress("reading", bytes, 0);
    if (line.find_first_not_of(" \t") == std::string_view::npos) continue;
    ParsedRecord parsed;
    const std::string problem = parse_record_line(line, &parsed);
    if (!problem.empty()) {
      console.error((arguments.input == "-" ? "standard input" : arguments.input) + ", line " +
                    std::to_string(number) + ": " + problem + ". Nothing was loaded.");
      return kExitRefused;
    }
    RecordView record;
    record.revision = parsed.revision.value_or(*last + 1);
    record.expires_at_ms = parsed.expires_at_ms;
    record.key = as_bytes(parsed.key);
    record.value = as_bytes(parsed.value);
    *last = std::max(*last, record.revision);
    status = state.put(record);
  }
  if (status.is_ok() && !file.failed()) return kExitOk;
  console.error(status.is_ok() ? arguments.input + ": can't be read" : status.text());
  return kExitEnvironment;
}

// Makes the directory if it is missing. Returns: the exit code.
int make_directory(const std::string& path, Console& console) {
  if (::mkdir(path.c_str(), S_IRWXU) == 0) {
    std::string parent = path;
    while (parent.size() > 1 && parent.back() == '/') parent.pop_back();
    const size_t slash = parent.rfind('/');
    parent = slash == std::string::npos ? "." : parent.substr(0, slash + 1);
    const auto directory = PosixDirectory::open(parent);
    const Status status = directory.is_ok() ? directory.value()->sync() : directory.status();
    if (status.is_ok()) return kExitOk;
    console.error(parent + ": can't be synced: " + status.text());
    return kExitEnvironment;
  }
  if (errno == EEXIST) return kExitOk;
  console.error(path + ": can't be made: " + Status(Code::kIoError, "mkdir", errno).text());
  return kExitEnvironment;
}

// Nothing of a store may be there. Returns: the exit code.
int check_empty(const std::string& path, Directory& directory, Console& console) {
  const Result<DirectoryListing> listing = list_data_directory(directory);
  if (!listing.is_ok()) {
    console.error(path + ": can't be listed: " + listing.status().text());
    return kExitEnvironment;
  }
  const DirectoryListing& found = listing.value();
  if (found.data == DataState::kNone && found.version == VersionState::kMissing &&
      found.new_version == VersionState::kMissing) {
    return kExitOk;
  }
  console.error(path +
                ": holds files of a store, or of a load that was interrupted. load only fills a "
                "new directory: give another one, or move those files away.");
  return kExitRefused;
}

void remove_files(Directory& directory) {
  for (const std::string& name : {std::string("version"), std::string("newVersion"),
                                  log_file_name(kGeneration), checkpoint_file_name(kGeneration)}) {
    (void)directory.remove(name).is_ok();
  }
}

}  // namespace

int run_load(const Arguments& arguments, Console& console) {
  const std::string& path = arguments.directory;
  LineFile file(arguments.input);
  if (!file.is_open()) {
    console.error(arguments.input + ": can't be opened");
    return kExitEnvironment;
  }
  int code = make_directory(path, console);
  if (code != kExitOk) return code;
  Status status = act_as_owner(path);
  Result<std::unique_ptr<PosixDirectory>> directory = PosixDirectory::open(path);
  if (status.is_ok()) status = directory.status();
  if (!status.is_ok()) {
    console.error(path + ": can't be opened: " + status.text());
    return kExitEnvironment;
  }
  const Result<FileDescriptor> lock = lock_store(path);
  if (!lock.is_ok()) {
    const bool held = lock.status().code() == Code::kUnavailable;
    console.error(path + (held ? ": the store is running (LOCK is held): stop it first"
                               : ": can't be locked: " + lock.status().text()));
    return held ? kExitRunning : kExitEnvironment;
  }
  code = check_empty(path, *directory.value(), console);
  if (code != kExitOk) return code;
  State state(0);
  NewGeneration generation;
  generation.revision = arguments.revision;
  code = read_lines(arguments, file, console, state, &generation.revision);
  if (code != kExitOk) return code;
  const Result<State::Totals> totals = state.totals();
  status = totals.status();
  generation.cluster_id = make_uid(LogOptions());
  generation.generation = kGeneration;
  generation.now_ms = system_clock().wall_ms();
  if (status.is_ok()) status = write_generation(*directory.value(), state, generation);
  if (!status.is_ok()) {
    remove_files(*directory.value());
    console.error(path + ": can't be written: " + status.text() + ". Nothing was loaded.");
    return kExitEnvironment;
  }
  console.note("loaded " + std::to_string(totals.value().keys) + " keys at revision " +
               std::to_string(generation.revision) + ", content hash " + totals.value().hash);
  return kExitOk;
}

}  // namespace small_db::tools
