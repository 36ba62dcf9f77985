// How a backup takes its primary's checkpoint for its own state: downloaded beside the files that
// are in force, verified, written again under a number of this directory, and put in force in one
// step. Until that step, the state that was there is untouched.
//
//   bootstrap.tmp ──verified──▶ checkpoint.M, logfile.M, history.M ──▶ version M ──▶ history ──▶
//   old files gone
//
// A crash before `version` leaves the old state, one behind it the new one. Which of them history.M
// belongs to is settled before anybody reads the history: data never goes with another's terms.
#pragma once

#include <cstdint>
#include <string>

#include "engine/platform/file_system.h"
#include "engine/replication/history.h"

namespace small_db {

inline constexpr char kBootstrapFile[] = "bootstrap.tmp";

struct Bootstrap {
  uint64_t generation = 0;  // that the downloaded file states
  NodeHistory history;      // that this node will have: the primary's terms
  bool diverged = false;    // revisions above common_revision are this node's alone
  uint64_t common_revision = 0;
};

// Verifies the downloaded file, every byte. Errors: kCorruption and the like; kUnavailable, it
// holds several states in turn, and the log that belongs to it is not here.
Status verify_bootstrap(Directory& directory, uint64_t generation);

// Puts the downloaded file in force. *saved_as: how the logs with what diverged are called now;
// empty: there is nothing of that kind. Errors: those of the file system; the old state is in force
// then. REQUIRES: the directory's lock; nobody writes there.
Status install_bootstrap(Directory& directory, const Bootstrap& bootstrap, uint64_t now_ms,
                         std::string* saved_as);

// Of one that a crash, or a failure, has cut off before `version`: its log, which would seem to be
// the end of a chain that lacks one, and its checkpoint. Nothing otherwise. Before any recovery.
// Errors: those of the file system. REQUIRES: as above.
Status discard_unfinished_bootstrap(Directory& directory);

// Of one that was cut off behind `version`, or before it: its history becomes the node's, or goes.
// After recovery, before read_history. Errors: those of the file system; kUnavailable, `version`
// can't be read. REQUIRES: as above.
Status settle_bootstrap(Directory& directory);

}  // namespace small_db
