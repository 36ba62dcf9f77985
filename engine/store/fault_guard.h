// Tells the next owner that this one died by a fault of its own (SIGSEGV, SIGBUS, SIGILL, SIGFPE,
// SIGABRT): what it left in its regions is then not trusted, but loaded from disk. A SIGKILL says
// nothing about them.
#pragma once

#include "engine/shm/region.h"

namespace small_db {

// Watches over the region from now on, in this process. Keeps the process's former signal handlers
// working. Any thread.
void guard_against_faults(Region region) noexcept;

// Ends the watch: the region is not this process's any more.
void end_guard(Region region) noexcept;

}  // namespace small_db
