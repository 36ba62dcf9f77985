// The command line of smalldbctl.
#include <getopt.h>

#include <charconv>
#include <cstdlib>
#include <new>
#include <optional>

#include "engine/base/version.h"
#include "engine/tools/command.h"

namespace small_db::tools {

namespace {

constexpr const char* kUsage =
    "usage: smalldbctl [options] COMMAND DIR [FILE]\n"
    "\n"
    "  verify DIR        read everything, and tell whether a start would open it\n"
    "  dump DIR          write the content as NDJSON, in key order\n"
    "  load DIR [FILE]   make a new store of such NDJSON, from FILE or standard input\n"
    "  stat DIR          files, generations, revision, keys, bytes by prefix\n"
    "  hash DIR          a hash of the content, equal for equal contents\n"
    "  repair DIR        tell what of a damaged store can be kept, and make it open again\n"
    "\n"
    "  --json            stat, hash: as JSON\n"
    "  --delimiter=C     stat: a prefix ends with this character (/)\n"
    "  --revision=N      load: go on at least from this revision\n"
    "  --accept-loss     repair: go on although something is lost\n"
    "  --save-to=FOLDER  repair: where the files are saved (DIR/damaged-N)\n"
    "  --progress        show progress also when standard error is no terminal\n"
    "  --quiet           only errors on standard error\n"
    "  --help, --version\n"
    "\n"
    "Only load and repair change anything. Exit codes: 0 ok, 1 damage, 2 usage, 3 files, memory "
    "or\n"
    "output, 4 repair needs --accept-loss, 5 the store is running, 6 load was refused.\n";

struct Command {
  std::string_view name;
  int (*run)(const Arguments&, Console&);
};
constexpr Command kCommands[] = {
    {"verify", run_verify}, {"dump", run_dump}, {"load", run_load},
    {"stat", run_stat},     {"hash", run_hash}, {"repair", run_repair},
};

enum Option : int { kJson = 256, kDelimiter, kRevision, kAcceptLoss, kSaveTo, kProgress, kQuiet };

const option kOptions[] = {
    {"json", no_argument, nullptr, kJson},
    {"delimiter", required_argument, nullptr, kDelimiter},
    {"revision", required_argument, nullptr, kRevision},
    {"accept-loss", no_argument, nullptr, kAcceptLoss},
    {"save-to", required_argument, nullptr, kSaveTo},
    {"progress", no_argument, nullptr, kProgress},
    {"quiet", no_argument, nullptr, kQuiet},
    {"help", no_argument, nullptr, 'h'},
    {"version", no_argument, nullptr, 'V'},
    {nullptr, 0, nullptr, 0},
};

int fail(std::FILE* err, const std::string& what) {
  std::fprintf(err, "smalldbctl: %s; see smalldbctl --help\n", what.c_str());
  return kExitUsage;
}

bool parse_number(std::string_view text, uint64_t* number) {
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return !text.empty() && error == std::errc() && end == text.data() + text.size() &&
         *number < UINT64_MAX / 2;
}

// One option with its value. Returns: empty, or what is wrong with it.
std::string take_option(int option, const char* value, Arguments& arguments) {
  switch (option) {
    case kJson:
      arguments.json = true;
      return "";
    case kDelimiter:
      arguments.delimiter = value[0];
      return value[0] != 0 && value[1] == 0 ? "" : "--delimiter takes one character";
    case kRevision:
      return parse_number(value, &arguments.revision) ? "" : "--revision takes a number";
    case kAcceptLoss:
      arguments.accept_loss = true;
      return "";
    case kSaveTo:
      arguments.save_to = value;
      return value[0] != 0 ? "" : "--save-to takes a folder";
    case kProgress:
      arguments.progress = true;
      return "";
    case kQuiet:
      arguments.quiet = true;
      return "";
    default:
      return "unknown option, or one without its value";
  }
}

// Returns: an exit code when there is nothing to run.
std::optional<int> parse(int argc, char* const argv[], std::FILE* out, std::FILE* err,
                         Arguments* arguments) {
  optind = 0;  // starts anew, also for a second command line in one process
  opterr = 0;
  for (int option = 0; (option = getopt_long(argc, argv, "hV", kOptions, nullptr)) != -1;) {
    if (option == 'h') {
      return std::fputs(kUsage, out) < 0 ? kExitEnvironment : kExitOk;
    }
    if (option == 'V') {
      return std::fprintf(out, "smalldbctl %s\n", kVersion) < 0 ? kExitEnvironment : kExitOk;
    }
    const std::string problem = take_option(option, optarg, *arguments);
    if (!problem.empty()) return fail(err, problem);
  }
  const int left = argc - optind;
  if (left < 1) return fail(err, "no command");
  arguments->command = argv[optind];
  if (left < 2) return fail(err, "no directory");
  arguments->directory = argv[optind + 1];
  const bool takes_file = arguments->command == "load";
  if (left > (takes_file ? 3 : 2)) return fail(err, "too many arguments");
  if (left == 3) arguments->input = argv[optind + 2];
  return std::nullopt;
}

}  // namespace

int run_tool(int argc, char* const argv[], std::FILE* out, std::FILE* err) {
  Arguments arguments;
  const std::optional<int> parsed = parse(argc, argv, out, err, &arguments);
  if (parsed) return *parsed;
  for (const Command& command : kCommands) {
    if (command.name != arguments.command) continue;
    Console console(out, err, arguments.quiet, arguments.progress);
    try {
      return console.finish(command.run(arguments, console));
    } catch (const std::bad_alloc&) {
      console.error("out of memory");
      return kExitEnvironment;
    }
  }
  return fail(err, "unknown command '" + arguments.command + "'");
}

}  // namespace small_db::tools
