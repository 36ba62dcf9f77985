// The data directory: which files there are, and what an owner does with it at open.
//
//   LOCK                  taken by the owner before anything here is touched
//   version               text, "G\n": the generation in force, decimal
//   newVersion            the next `version`, from when it is durable: the commit point of a switch
//   checkpoint.G          the state that logfile.G goes on from; none for G = 0, the empty state
//   logfile.k             every k >= G in order, without a gap
//   logfile.k.last        a copy of the last frame while recovery makes it durable
//   logfile.k.torn.O      what recovery took from offset O of logfile.k; nothing reads it
//   *.tmp                 unfinished files; removed at open
//
// `version` = G is written as newVersion, synced, directory synced, renamed, directory synced.
// Initialisation makes logfile.0 first, then version 0: so a directory that holds no version and
// nothing but a logfile.0 without a frame was being initialised, and is initialised again.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/platform/file_system.h"

namespace small_db {

enum class VersionState : uint8_t {
  kMissing,
  kValid,
  kUnreadable,  // can't be read, is not "G\n", or is a newVersion that was never durable: of a
                // generation before that of `version`, or without files
};

enum class DataState : uint8_t {
  kNone,      // no logfile.*, no checkpoint.*
  kBlankLog,  // nothing but a logfile.0 with a valid header and zeros behind it
  kPresent,
};

enum class OpenAction : uint8_t {
  kInitialise,     // make the empty store
  kUseVersion,     // recover the generation of `version`; a newVersion is removed
  kUseNewVersion,  // recover the generation of `newVersion`, and finish its rename
  kRefuse,
};

struct OpenRule {
  VersionState version;
  VersionState new_version;
  DataState data;
  OpenAction action;
  const char* reason;  // why it is refused; empty otherwise
};

// The decision, one row for each combination.
const std::vector<OpenRule>& open_rules();
const OpenRule& find_open_rule(VersionState version, VersionState new_version, DataState data);

// "G\n" without sign, spaces or leading zeros; nothing for any other text.
std::optional<uint64_t> parse_version(std::string_view text);

// N of a name "<prefix>N", decimal without leading zeros.
std::optional<uint64_t> parse_numbered_name(std::string_view name, std::string_view prefix);

struct DirectoryListing {
  VersionState version = VersionState::kMissing;
  VersionState new_version = VersionState::kMissing;
  uint64_t version_generation = 0;
  uint64_t new_version_generation = 0;
  DataState data = DataState::kNone;
  std::vector<uint64_t> logs;          // sorted
  std::vector<uint64_t> checkpoints;   // sorted
  std::vector<std::string> temporary;  // *.tmp
};

// Reads what the decision needs. Changes nothing. Errors: the directory can't be listed.
Result<DirectoryListing> list_data_directory(Directory& directory);

// Makes `generation` the one in force: the five steps above.
Status write_version(Directory& directory, uint64_t generation);
// Puts a `newVersion` of an interrupted switch in force. A process that was killed may have left it
// in the page cache alone: it is written again, as version.tmp, and goes only when the new
// `version` is durable.
Status adopt_new_version(Directory& directory, uint64_t generation);

}  // namespace small_db
