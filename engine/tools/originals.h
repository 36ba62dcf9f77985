// Puts the files of a store aside before anything is changed.
#pragma once

#include <string>
#include <vector>

#include "engine/platform/posix_file_system.h"

namespace small_db::tools {

// All names in the directory that belong to a store: version, newVersion, logfile.*, checkpoint.*.
Result<std::vector<std::string>> list_originals(Directory& directory);

// The first DIR/damaged-<n> that does not exist.
std::string choose_save_path(const std::string& path);

// Makes the folder `save_path`, which must not exist, with all `names` of `path` in it, durable
// with its name. Files are linked where that is possible, and copied elsewhere.
// Errors: kInvalidArgument when it exists; those of the file system.
Status save_originals(const std::string& path, const std::vector<std::string>& names,
                      const std::string& save_path);

}  // namespace small_db::tools
