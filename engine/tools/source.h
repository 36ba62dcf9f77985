// How the reading commands come to a store: the directory, opened for reading only, and the state
// that recovery would make of it. No lock is taken, so that a store that runs can be read: when its
// files change under the reader, they are read again.
#pragma once

#include <memory>
#include <string>

#include "engine/platform/posix_file_system.h"
#include "engine/recovery/data_directory.h"
#include "engine/recovery/recovery.h"
#include "engine/tools/command.h"
#include "engine/tools/read_only_directory.h"
#include "engine/tools/state.h"

namespace small_db::tools {

class Source {
 public:
  // Opens the directory, and tells when the store is running. Returns nullptr after an error was
  // told; *exit_code is then the command's.
  static std::unique_ptr<Source> open(const Arguments& arguments, Console& console, int* exit_code);

  Directory& directory() { return read_only_; }
  bool running() const { return running_; }
  uint64_t data_bytes() const;  // of the files that hold data

  // Recovery that only reads. With a state it is filled; without, everything is read and checked,
  // and kept nowhere. Returns: as recover().
  Status recover(State* state, Console& console, Recovered* recovered, Refusal* refusal);

 private:
  Source(std::unique_ptr<PosixDirectory> directory, bool running)
      : directory_(std::move(directory)), read_only_(*directory_), running_(running) {}

  std::unique_ptr<PosixDirectory> directory_;
  ReadOnlyDirectory read_only_;
  bool running_;
};

// What a command that needs the whole state does: reads it, or tells why that can't be.
// Returns: kExitOk, or the command's exit code.
int read_state(Source& source, State& state, Console& console, Recovered* recovered);

// Whether a refusal says that the store is damaged, or that it could not be read here and now.
int refusal_exit_code(const Status& status);

}  // namespace small_db::tools
