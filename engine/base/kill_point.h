// Marks a window in which a process may die and leave shared memory between two stores. Tests have
// processes killed exactly there; other builds contain nothing of it.
//
// Compiled in with SMALL_DB_KILL_POINTS: one load and one branch where no test has set a hook.
#pragma once

#ifdef SMALL_DB_KILL_POINTS

#include <atomic>

namespace small_db {

// Called at each point with its name, a literal, in whatever thread gets there. Need not return.
using KillPointHook = void (*)(const char* name) noexcept;
inline std::atomic<KillPointHook> kill_point_hook{nullptr};

inline void reach_kill_point(const char* name) noexcept {
  // Relaxed: set before the threads that get here are made.
  if (const KillPointHook hook = kill_point_hook.load(std::memory_order_relaxed)) hook(name);
}

}  // namespace small_db

#define SMALL_DB_KILL_POINT(name) ::small_db::reach_kill_point(name)
#else
#define SMALL_DB_KILL_POINT(name) static_cast<void>(0)
#endif
