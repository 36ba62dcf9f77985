// DIR/LOCK as the tool sees it: whether an owner runs, and the lock itself for what writes. Never
// waits.
#pragma once

#include <string>

#include "engine/platform/posix_file_system.h"

namespace small_db::tools {

// True when a process holds the lock. Makes no file; the lock is tried in shared mode and let go at
// once, so that an owner that comes in that moment waits for microseconds.
bool store_is_running(const std::string& directory);

// Takes the lock, made if missing, for as long as the descriptor lives.
// Errors: kUnavailable when a process holds it; kIoError.
Result<FileDescriptor> lock_store(const std::string& directory);

// Run as root, makes what this process creates from now on belong to the directory's owner, so that
// the server can open it. Errors: kIoError.
Status act_as_owner(const std::string& directory);

}  // namespace small_db::tools
