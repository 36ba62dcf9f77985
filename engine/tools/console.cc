// Console: see command.h.
#include <unistd.h>

#include "engine/platform/clock.h"
#include "engine/tools/command.h"

namespace small_db::tools {

namespace {
constexpr uint64_t kProgressUs = 100000;
}  // namespace

Console::Console(std::FILE* out, std::FILE* err, bool quiet, bool progress)
    : out_(out),
      err_(err),
      quiet_(quiet),
      progress_(progress || (!quiet && isatty(fileno(err)) == 1)) {}

void Console::print(std::string_view text) {
  if (!failed_ && std::fwrite(text.data(), 1, text.size(), out_) != text.size()) failed_ = true;
}

void Console::note(std::string_view text) {
  if (quiet_) return;
  clear_line();
  std::fprintf(err_, "smalldbctl: %.*s\n", static_cast<int>(text.size()), text.data());
}

void Console::error(std::string_view text) {
  clear_line();
  std::fprintf(err_, "smalldbctl: %.*s\n", static_cast<int>(text.size()), text.data());
}

void Console::show_progress(const char* what, uint64_t done, uint64_t total) {
  if (!progress_) return;
  const uint64_t now = system_clock().monotonic_us();
  if (line_shown_ && now - shown_us_ < kProgressUs) return;
  shown_us_ = now;
  line_shown_ = true;
  const uint64_t mib = done >> 20;
  if (total != 0) {
    std::fprintf(err_, "\r%s: %3llu%% of %llu MiB ", what,
                 static_cast<unsigned long long>(done < total ? done * 100 / total : 100),
                 static_cast<unsigned long long>(total >> 20));
  } else {
    std::fprintf(err_, "\r%s: %llu MiB ", what, static_cast<unsigned long long>(mib));
  }
  std::fflush(err_);
}

void Console::clear_line() {
  if (!line_shown_) return;
  std::fputc('\n', err_);
  line_shown_ = false;
}

int Console::finish(int code) {
  clear_line();
  if (std::fflush(out_) != 0) failed_ = true;
  if (!failed_) return code;
  error("the output could not be written");
  return kExitEnvironment;
}

}  // namespace small_db::tools
