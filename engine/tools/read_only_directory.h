// A directory that can't be changed through it: what the reading commands hold. Recovery is told to
// only read as well; this makes sure of it.
#pragma once

#include "engine/platform/file_system.h"

namespace small_db::tools {

class ReadOnlyDirectory : public Directory {
 public:
  explicit ReadOnlyDirectory(Directory& directory) noexcept : directory_(directory) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    if (mode != OpenMode::kRead) return refused();
    return directory_.open(name, mode);
  }
  Status rename(std::string_view, std::string_view) override { return refused(); }
  Status remove(std::string_view) override { return refused(); }
  Status sync() override { return refused(); }
  Result<std::vector<std::string>> list() override { return directory_.list(); }
  Result<std::unique_ptr<DirectoryLock>> lock(std::string_view) override { return refused(); }

 private:
  static Status refused() noexcept { return {Code::kReadOnly, "directory: opened for reading"}; }

  Directory& directory_;
};

}  // namespace small_db::tools
