// The real disk: a directory as an open descriptor, everything in it by openat(2) and its like, so
// that the store keeps its directory when somebody renames a parent.
//
// EINTR and short reads and writes end here. ENOSPC and EDQUOT become kNoDiskSpace, ENOENT becomes
// kNotFound, all else kIoError with the errno. Nothing is synced that the caller did not ask for,
// and a failed fdatasync or fsync is never tried again: the kernel has forgotten what was dirty.
// Descriptors are close-on-exec, new files are for their owner alone. Runs in: any thread.
#pragma once

#include "engine/platform/file_system.h"

namespace small_db {

// Owns a file descriptor; -1 is none.
class FileDescriptor {
 public:
  explicit FileDescriptor(int number) noexcept : number_(number) {}
  FileDescriptor(FileDescriptor&& other) noexcept : number_(std::exchange(other.number_, -1)) {}
  FileDescriptor& operator=(FileDescriptor&&) = delete;
  ~FileDescriptor();

  int number() const noexcept { return number_; }

 private:
  int number_;
};

class PosixDirectory : public Directory {
 public:
  // Opens the existing directory `path`.
  static Result<std::unique_ptr<PosixDirectory>> open(const std::string& path);

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override;
  Status rename(std::string_view from, std::string_view to) override;
  Status remove(std::string_view name) override;
  Status sync() override;
  // Sorted, without "." and "..".
  Result<std::vector<std::string>> list() override;
  Result<std::unique_ptr<DirectoryLock>> lock(std::string_view name) override;

 private:
  explicit PosixDirectory(FileDescriptor descriptor) noexcept
      : descriptor_(std::move(descriptor)) {}

  FileDescriptor descriptor_;
};

}  // namespace small_db
