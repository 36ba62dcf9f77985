// What the commands of smalldbctl share: arguments, exit codes, and where they write. One process,
// one thread; a command returns its exit code and never ends the process itself.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace small_db::tools {

// Part of the interface: docs/man/smalldbctl.8 lists them.
enum ExitCode : int {
  kExitOk = 0,
  kExitDamage = 1,           // the store is damaged
  kExitUsage = 2,            // the command line makes no sense
  kExitEnvironment = 3,      // files, memory, disk or output failed; says nothing about the store
  kExitNeedsAcceptance = 4,  // repair would lose data, and was not allowed to
  kExitRunning = 5,          // a process holds the store's lock
  kExitRefused = 6,          // load: the input is not right, or the directory is not empty
};

struct Arguments {
  std::string command;
  std::string directory;
  std::string input = "-";  // load
  std::string save_to;      // repair
  bool json = false;
  bool accept_loss = false;
  bool quiet = false;
  bool progress = false;
  uint64_t revision = 0;  // load: at least
  char delimiter = '/';   // stat
};

class Console {
 public:
  Console(std::FILE* out, std::FILE* err, bool quiet, bool progress);

  // The command's result. A failure to write is kept for finish().
  void print(std::string_view text);
  // What happens on the way; not when quiet.
  void note(std::string_view text);
  // Why the command fails; always.
  void error(std::string_view text);
  // How far long work is, on one line of a terminal.
  void show_progress(const char* what, uint64_t done, uint64_t total);

  // Writes out what print() got. Returns: `code`, or kExitEnvironment when that failed.
  int finish(int code);

 private:
  void clear_line();

  std::FILE* out_;
  std::FILE* err_;
  const bool quiet_;
  const bool progress_;
  bool failed_ = false;
  bool line_shown_ = false;
  uint64_t shown_us_ = 0;
};

int run_verify(const Arguments& arguments, Console& console);
int run_dump(const Arguments& arguments, Console& console);
int run_load(const Arguments& arguments, Console& console);
int run_stat(const Arguments& arguments, Console& console);
int run_hash(const Arguments& arguments, Console& console);
int run_repair(const Arguments& arguments, Console& console);

// Parses the command line and runs it. Returns: the exit code.
int run_tool(int argc, char* const argv[], std::FILE* out, std::FILE* err);

}  // namespace small_db::tools
