#include "tests/nginx/processes.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <sstream>
#include <thread>

// Stands before the C library's. There, -1 means every process of the machine, and a test that asks
// for the pid of a process which is just being replaced gets -1.
extern "C" int kill(pid_t pid, int signal) noexcept {
  if (pid > 1) return static_cast<int>(syscall(SYS_kill, pid, signal));
  ADD_FAILURE() << "signal " << signal << " to " << pid << ", which is no process";
  errno = ESRCH;
  return -1;
}

namespace small_db::testing {
namespace {

struct ProcessStat {
  char state = 'X';
  pid_t parent = 0;
};

// Fields 3 and 4 of /proc/PID/stat (proc(5)). The name before them may hold anything, so they are
// looked for behind its last parenthesis.
ProcessStat read_stat(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/stat");
  std::string line;
  std::getline(file, line);
  const size_t name_end = line.rfind(')');
  ProcessStat stat;
  if (name_end == std::string::npos) return stat;
  std::istringstream(line.substr(name_end + 1)) >> stat.state >> stat.parent;
  return stat;
}

bool lives(const ProcessStat& stat) { return stat.state != 'X' && stat.state != 'Z'; }

}  // namespace

bool poll_until(const std::function<bool()>& condition, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > deadline) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(5));
  }
  return true;
}

std::vector<pid_t> children_of(pid_t parent) {
  std::vector<pid_t> children;
  DIR* proc = opendir("/proc");
  while (const dirent* entry = readdir(proc)) {
    const pid_t pid = std::atoi(entry->d_name);
    if (pid <= 0) continue;
    const ProcessStat stat = read_stat(pid);
    if (stat.parent == parent && lives(stat)) children.push_back(pid);
  }
  closedir(proc);
  return children;
}

std::string title_of(pid_t pid) {
  std::ifstream file("/proc/" + std::to_string(pid) + "/cmdline");
  std::string title;
  std::getline(file, title, '\0');
  return title;
}

bool is_running(pid_t pid) { return lives(read_stat(pid)); }

bool freeze(pid_t pid) {
  if (kill(pid, SIGSTOP) != 0) return false;
  const auto stands = [pid] {
    std::error_code error;
    const std::string tasks = "/proc/" + std::to_string(pid) + "/task";
    for (const auto& task : std::filesystem::directory_iterator(tasks, error)) {
      std::ifstream file(task.path() / "stat");
      const std::string text((std::istreambuf_iterator<char>(file)), {});
      const size_t name_end = text.rfind(')');
      if (name_end == std::string::npos || text.substr(name_end, 3) != ") T") return false;
    }
    return !error;
  };
  return poll_until([&] { return stands() || !is_running(pid); }) && is_running(pid);
}

}  // namespace small_db::testing
