// Processes as /proc shows them: who is whose child, and what nginx calls it.
#pragma once

#include <sys/types.h>

#include <functional>
#include <string>
#include <vector>

namespace small_db::testing {

// Polls until `condition` holds. False: it did not within the time.
bool poll_until(const std::function<bool()>& condition, int timeout_ms = 20'000);

// Children of `parent` that are not zombies.
std::vector<pid_t> children_of(pid_t parent);

// The command line, by which nginx tells a process's role: "nginx: worker process". Empty when the
// process is gone.
std::string title_of(pid_t pid);

// Stops the process, and waits until none of its threads runs any more: a signal alone takes effect
// some time later. False: it did not stop. SIGCONT lets it go on.
bool freeze(pid_t pid);

// True while the process exists and is no zombie.
bool is_running(pid_t pid);

}  // namespace small_db::testing
