#include "engine/recovery/data_directory.h"

#include <algorithm>
#include <charconv>

#include "engine/wal/log_reader.h"
#include "engine/wal/log_tail.h"

namespace small_db {

namespace {

constexpr std::string_view kVersionName = "version";
constexpr std::string_view kNewVersionName = "newVersion";
constexpr std::string_view kVersionTemporaryName = "version.tmp";
constexpr std::string_view kLogPrefix = "logfile.";
constexpr std::string_view kCheckpointPrefix = "checkpoint.";
constexpr size_t kVersionBytesMax = 21;  // the digits of 2^64 - 1 and a newline

constexpr const char* kNoVersion =
    "Data files exist, but neither version nor newVersion says which of them are in force.";
constexpr const char* kNoData = "A version file exists, but no data file does.";
constexpr const char* kBadVersion = "A version file exists, but no version file can be read.";

std::optional<uint64_t> parse_decimal(std::string_view digits) {
  uint64_t value = 0;
  if (digits.empty() || (digits.size() > 1 && digits[0] == '0')) return std::nullopt;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
  if (error != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
  return value;
}

bool ends_with(std::string_view name, std::string_view suffix) {
  return name.size() >= suffix.size() && name.substr(name.size() - suffix.size()) == suffix;
}

VersionState read_version(Directory& directory, std::string_view name, uint64_t* generation) {
  const Result<std::string> text = read_file(directory, name, kVersionBytesMax);
  if (!text.is_ok()) {
    return text.status().code() == Code::kNotFound ? VersionState::kMissing
                                                   : VersionState::kUnreadable;
  }
  const std::optional<uint64_t> parsed = parse_version(text.value());
  if (!parsed) return VersionState::kUnreadable;
  *generation = *parsed;
  return VersionState::kValid;
}

// The file with the version's text, durable but for its name.
Status write_version_file(Directory& directory, std::string_view name, uint64_t generation) {
  Result<std::unique_ptr<File>> file = directory.open(name, OpenMode::kCreate);
  if (!file.is_ok()) return file.status();
  const std::string text = std::to_string(generation) + "\n";
  SMALL_DB_RETURN_IF_ERROR(file.value()->write_at(0, as_bytes(text)));
  return file.value()->sync_data();
}

// True for a logfile.0 as initialisation makes it. One that can't be read may hold anything.
bool is_blank_log(Directory& directory) {
  const Result<std::unique_ptr<LogReader>> reader = LogReader::open(directory, 0);
  if (!reader.is_ok()) return false;
  LogReader& log = *reader.value();
  const Result<TailScan> scan = scan_tail(log.file(), log.header().seed, kLogHeaderBytes);
  return scan.is_ok() && scan.value().all_zero;
}

bool contains(const std::vector<uint64_t>& sorted, uint64_t number) {
  return std::binary_search(sorted.begin(), sorted.end(), number);
}

// A power failure may leave anything in a file that was not synced, and two or three bytes of
// anything may be another number. But whoever writes newVersion has made checkpoint and log of that
// generation durable before: one that lacks both was never there; what lacks one was damaged.
bool can_be_next(const DirectoryListing& listing) {
  const uint64_t generation = listing.new_version_generation;
  if (listing.version == VersionState::kValid && generation < listing.version_generation) {
    return false;
  }
  return generation == 0 || contains(listing.checkpoints, generation) ||
         contains(listing.logs, generation);
}

}  // namespace

const std::vector<OpenRule>& open_rules() {
  using enum VersionState;
  using enum DataState;
  using enum OpenAction;
  static const std::vector<OpenRule> kRules = {
      // version    newVersion   data       action           reason
      {kMissing, kMissing, kNone, kInitialise, ""},
      {kMissing, kMissing, kBlankLog, kInitialise, ""},
      {kMissing, kMissing, kPresent, kRefuse, kNoVersion},
      {kMissing, kValid, kNone, kRefuse, kNoData},
      {kMissing, kValid, kBlankLog, kUseNewVersion, ""},
      {kMissing, kValid, kPresent, kUseNewVersion, ""},
      {kMissing, kUnreadable, kNone, kRefuse, kBadVersion},
      {kMissing, kUnreadable, kBlankLog, kInitialise, ""},  // died while writing the first one
      {kMissing, kUnreadable, kPresent, kRefuse, kNoVersion},
      {kValid, kMissing, kNone, kRefuse, kNoData},
      {kValid, kMissing, kBlankLog, kUseVersion, ""},
      {kValid, kMissing, kPresent, kUseVersion, ""},
      {kValid, kValid, kNone, kRefuse, kNoData},
      {kValid, kValid, kBlankLog, kUseNewVersion, ""},
      {kValid, kValid, kPresent, kUseNewVersion, ""},
      {kValid, kUnreadable, kNone, kRefuse, kNoData},
      {kValid, kUnreadable, kBlankLog, kUseVersion, ""},
      {kValid, kUnreadable, kPresent, kUseVersion, ""},
      {kUnreadable, kMissing, kNone, kRefuse, kBadVersion},
      {kUnreadable, kMissing, kBlankLog, kRefuse, kNoVersion},  // a rename never leaves this
      {kUnreadable, kMissing, kPresent, kRefuse, kNoVersion},
      {kUnreadable, kValid, kNone, kRefuse, kNoData},
      {kUnreadable, kValid, kBlankLog, kUseNewVersion, ""},
      {kUnreadable, kValid, kPresent, kUseNewVersion, ""},
      {kUnreadable, kUnreadable, kNone, kRefuse, kBadVersion},
      {kUnreadable, kUnreadable, kBlankLog, kRefuse, kNoVersion},
      {kUnreadable, kUnreadable, kPresent, kRefuse, kNoVersion},
  };
  return kRules;
}

const OpenRule& find_open_rule(VersionState version, VersionState new_version, DataState data) {
  for (const OpenRule& rule : open_rules()) {
    if (rule.version == version && rule.new_version == new_version && rule.data == data) {
      return rule;
    }
  }
  assertion_failed("open_rules() has a row for each combination", __FILE__, __LINE__);
}

std::optional<uint64_t> parse_version(std::string_view text) {
  if (text.empty() || text.back() != '\n') return std::nullopt;
  return parse_decimal(text.substr(0, text.size() - 1));
}

std::optional<uint64_t> parse_numbered_name(std::string_view name, std::string_view prefix) {
  if (name.substr(0, prefix.size()) != prefix) return std::nullopt;
  return parse_decimal(name.substr(prefix.size()));
}

Result<DirectoryListing> list_data_directory(Directory& directory) {
  Result<std::vector<std::string>> names = directory.list();
  if (!names.is_ok()) return names.status();
  DirectoryListing listing;
  bool others = false;  // copies and saved tails: something was here
  for (const std::string& name : names.value()) {
    if (ends_with(name, ".tmp")) {
      if (name == kVersionTemporaryName || name.rfind(kLogPrefix, 0) == 0 ||
          name.rfind(kCheckpointPrefix, 0) == 0) {
        listing.temporary.push_back(name);
      }
    } else if (const auto log = parse_numbered_name(name, kLogPrefix)) {
      listing.logs.push_back(*log);
    } else if (const auto checkpoint = parse_numbered_name(name, kCheckpointPrefix)) {
      listing.checkpoints.push_back(*checkpoint);
    } else if (name.rfind(kLogPrefix, 0) == 0 || name.rfind(kCheckpointPrefix, 0) == 0) {
      others = true;
    }
  }
  std::sort(listing.logs.begin(), listing.logs.end());
  std::sort(listing.checkpoints.begin(), listing.checkpoints.end());
  listing.version = read_version(directory, kVersionName, &listing.version_generation);
  listing.new_version = read_version(directory, kNewVersionName, &listing.new_version_generation);
  if (listing.new_version == VersionState::kValid && !can_be_next(listing)) {
    listing.new_version = VersionState::kUnreadable;
  }
  if (listing.logs.empty() && listing.checkpoints.empty() && !others) {
    listing.data = DataState::kNone;
  } else if (!others && listing.checkpoints.empty() && listing.logs.size() == 1 &&
             listing.logs[0] == 0 && listing.version == VersionState::kMissing &&
             listing.new_version != VersionState::kValid && is_blank_log(directory)) {
    listing.data = DataState::kBlankLog;  // told apart only where the decision asks for it
  } else {
    listing.data = DataState::kPresent;
  }
  return listing;
}

Status write_version(Directory& directory, uint64_t generation) {
  SMALL_DB_RETURN_IF_ERROR(write_version_file(directory, kNewVersionName, generation));
  SMALL_DB_RETURN_IF_ERROR(directory.sync());
  SMALL_DB_RETURN_IF_ERROR(directory.rename(kNewVersionName, kVersionName));
  return directory.sync();
}

Status adopt_new_version(Directory& directory, uint64_t generation) {
  SMALL_DB_RETURN_IF_ERROR(write_version_file(directory, kVersionTemporaryName, generation));
  SMALL_DB_RETURN_IF_ERROR(directory.rename(kVersionTemporaryName, kVersionName));
  SMALL_DB_RETURN_IF_ERROR(directory.sync());
  SMALL_DB_RETURN_IF_ERROR(directory.remove(kNewVersionName));
  return directory.sync();
}

}  // namespace small_db
