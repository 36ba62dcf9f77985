// Whether a slot's process still lives, as far as the system tells: kill(2) and /proc/PID/stat.
#include <fcntl.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdio>
#include <optional>
#include <string_view>

#include "engine/shm/slot.h"

namespace small_db {
namespace {

struct ProcessStat {
  char state = '?';
  uint64_t start_time = 0;
};

// Fields of /proc/PID/stat after the command, which is in brackets and may contain anything.
constexpr int kStateField = 3;
constexpr int kStartTimeField = 22;

std::optional<ProcessStat> parse_stat(std::string_view line) noexcept {
  const size_t bracket = line.rfind(')');
  if (bracket == std::string_view::npos || bracket + 2 >= line.size()) return std::nullopt;
  std::string_view rest = line.substr(bracket + 2);
  ProcessStat stat;
  stat.state = rest.front();
  for (int field = kStateField; field < kStartTimeField; ++field) {
    const size_t space = rest.find(' ');
    if (space == std::string_view::npos) return std::nullopt;
    rest.remove_prefix(space + 1);
  }
  const auto [end, error] =
      std::from_chars(rest.data(), rest.data() + rest.size(), stat.start_time);
  if (error != std::errc() || end == rest.data()) return std::nullopt;
  return stat;
}

std::optional<ProcessStat> read_stat(uint32_t pid) noexcept {
  char path[32];
  std::snprintf(path, sizeof(path), "/proc/%u/stat", pid);
  const int descriptor = open(path, O_RDONLY | O_CLOEXEC);
  if (descriptor < 0) return std::nullopt;
  char buffer[1024];
  ssize_t bytes = 0;
  do {
    bytes = read(descriptor, buffer, sizeof(buffer));
  } while (bytes < 0 && errno == EINTR);
  close(descriptor);
  if (bytes <= 0) return std::nullopt;
  return parse_stat({buffer, static_cast<size_t>(bytes)});
}

}  // namespace

bool holder_lives(SlotHolder holder, uint64_t start_time) noexcept {
  const pid_t pid = static_cast<pid_t>(holder.pid);
  if (pid <= 0) return false;  // to kill(2) these name process groups
  if (kill(pid, 0) != 0 && errno == ESRCH) return false;
  const std::optional<ProcessStat> stat = read_stat(holder.pid);
  if (!stat) return true;  // no /proc to ask: what kill(2) found decides
  if (stat->state == 'Z' || stat->state == 'X' || stat->state == 'x') return false;
  return start_time == 0 || stat->start_time == start_time;
}

uint64_t process_start_time(uint32_t pid) noexcept {
  const std::optional<ProcessStat> stat = read_stat(pid);
  return stat ? stat->start_time : 0;
}

}  // namespace small_db
