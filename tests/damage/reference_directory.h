// Data directories as the engine itself leaves them, small enough that each of their bytes can be
// changed in turn, and what a store that opens one must hold.
#pragma once

#include <optional>
#include <set>
#include <string>
#include <vector>

#include "tests/sim/stepped_store.h"

namespace small_db {

enum class ReferenceKind : uint8_t {
  kTwoGenerations,  // version 2; logfile.1 was given up after a failed sync (HEAL); ends with IDLE
  kUnfinishedSwitch,  // version 2 and newVersion 3: the rename had failed, and writes went on
  kTornBody,          // kTwoGenerations, and a frame that was never acknowledged, without its end
  kTornHeader,        // the same frame without its header
  kInterruptedRecovery,  // the last frame, acknowledged, and its copy logfile.2.last; no IDLE
  kDamagedCheckpoint,    // kTwoGenerations, read from generation 1: checkpoint.2 is damaged
  kInterruptedHealing,   // logfile.2 was given up, logfile.3 has its START, no checkpoint.3 yet
};

const char* kind_name(ReferenceKind kind);

struct Reference {
  SimDisk disk;
  std::string state;  // that a store which opens it must hold
  // The state with a write whose outcome was told as unknown, where damage may bring that back.
  std::optional<std::string> unknown_state;
  std::vector<std::string> files;  // that are to be damaged
  std::set<std::string> unused;    // of these: nothing that is done to one may be noticed
  std::string checkpoint;          // damage to it must be told, and the state must be the same
  std::set<std::string> damaged;   // is already, so that a refusal may name it
};

// salt: makes another store with other values and the same file names.
Reference make_reference(ReferenceKind kind, uint64_t salt = 0);

// What a store made of a directory.
struct Opened {
  bool serves = false;
  std::string state;   // every record, when it serves
  std::string reason;  // when it does not: what clients are told
  std::vector<std::string> lines;
};

// Opens directories, one after the other, each with nothing but its files.
class Opener {
 public:
  Opened open(SimDisk& disk);

 private:
  TestRegion region_;
};

// A disk that holds these files and nothing else, all durable.
SimDisk durable_copy(const SimDisk& disk);

}  // namespace small_db
