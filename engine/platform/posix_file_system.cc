#include "engine/platform/posix_file_system.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "engine/platform/direct_writes.h"

namespace small_db {

namespace {

constexpr mode_t kFileMode = 0600;

Status failure(const char* site, int error_number) noexcept {
  switch (error_number) {
    case ENOSPC:
    case EDQUOT:
      return Status(Code::kNoDiskSpace, site, error_number);
    case ENOENT:
      return Status(Code::kNotFound, site, error_number);
    default:
      return Status(Code::kIoError, site, error_number);
  }
}

// Repeats a system call that a signal interrupted.
template <typename Call>
auto uninterrupted(Call call) noexcept {
  auto result = call();
  while (result == -1 && errno == EINTR) result = call();
  return result;
}

int open_file(int directory, std::string_view name, int flags) {
  const std::string path(name);
  return uninterrupted(
      [&] { return ::openat(directory, path.c_str(), flags | O_CLOEXEC, kFileMode); });
}

int open_flags(OpenMode mode) noexcept {
  switch (mode) {
    case OpenMode::kRead:
      return O_RDONLY;
    case OpenMode::kReadWrite:
      return O_RDWR;
    case OpenMode::kCreate:
      return O_RDWR | O_CREAT | O_TRUNC;
  }
  return O_RDONLY;
}

class PosixFile : public File {
 public:
  explicit PosixFile(FileDescriptor descriptor) noexcept : descriptor_(std::move(descriptor)) {}

  Result<size_t> read_at(uint64_t offset, MutableBytes into) override {
    size_t done = 0;
    while (done < into.size()) {
      const ssize_t got = uninterrupted([&] {
        return ::pread(descriptor_.number(), into.data() + done, into.size() - done,
                       static_cast<off_t>(offset + done));
      });
      if (got == -1) return failure("file: read", errno);
      if (got == 0) break;
      done += static_cast<size_t>(got);
    }
    return done;
  }

  Status write_at(uint64_t offset, Bytes bytes) override {
    const int descriptor = descriptor_.number();
    size_t done = 0;
    while (done < bytes.size()) {
      const Bytes piece = direct_.next(descriptor, offset + done, bytes.subspan(done));
      const ssize_t put = uninterrupted([&] {
        return ::pwrite(descriptor, piece.data(), piece.size(), static_cast<off_t>(offset + done));
      });
      if (put == -1 && errno == EINVAL && direct_.give_up(descriptor)) continue;
      if (put == -1) return failure("file: write", errno);
      if (put == 0) return failure("file: write", EIO);
      done += static_cast<size_t>(put);
    }
    return Status::ok();
  }

  void bypass_cache(bool bypasses) noexcept override { direct_.want(bypasses); }

  // Not repeated after EINTR: what the interrupted call had synced is unknown.
  Status sync_data() override {
    if (::fdatasync(descriptor_.number()) == -1) return failure("file: sync", errno);
    return Status::ok();
  }

  // Only starts: a call that waited would take an error away from sync_data.
  void start_writeback(uint64_t offset, uint64_t bytes) noexcept override {
    ::sync_file_range(descriptor_.number(), static_cast<off64_t>(offset),
                      static_cast<off64_t>(bytes), SYNC_FILE_RANGE_WRITE);
  }

  Status allocate(uint64_t offset, uint64_t bytes) override {
    if (bytes == 0) return Status::ok();
    const int result = uninterrupted([&] {
      return ::fallocate(descriptor_.number(), 0, static_cast<off_t>(offset),
                         static_cast<off_t>(bytes));
    });
    if (result == 0) return Status::ok();
    if (errno == EOPNOTSUPP) return extend_to(offset + bytes);
    return failure("file: allocate", errno);
  }

  void release(uint64_t offset, uint64_t bytes) noexcept override {
    if (bytes == 0) return;
    ::fallocate(descriptor_.number(), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                static_cast<off_t>(offset), static_cast<off_t>(bytes));
  }

  Status truncate(uint64_t bytes) override {
    const int result =
        uninterrupted([&] { return ::ftruncate(descriptor_.number(), static_cast<off_t>(bytes)); });
    if (result == -1) return failure("file: truncate", errno);
    return Status::ok();
  }

  Result<uint64_t> size() override {
    struct stat attributes;
    if (::fstat(descriptor_.number(), &attributes) == -1) return failure("file: size", errno);
    return static_cast<uint64_t>(attributes.st_size);
  }

 private:
  // Where the file system cannot reserve blocks, the size is all that can be had: the caller fills
  // the space with zeros anyhow before it relies on it.
  Status extend_to(uint64_t bytes) {
    const Result<uint64_t> now = size();
    if (!now.is_ok()) return now.status();
    return now.value() < bytes ? truncate(bytes) : Status::ok();
  }

  FileDescriptor descriptor_;
  DirectWrites direct_;
};

// The kernel lets go of the lock when the last copy of the descriptor is closed.
class PosixLock : public DirectoryLock {
 public:
  explicit PosixLock(FileDescriptor descriptor) noexcept : descriptor_(std::move(descriptor)) {}

 private:
  FileDescriptor descriptor_;
};

}  // namespace

FileDescriptor::~FileDescriptor() {
  // What close could report concerns unsynced bytes only, and those were never promised.
  if (number_ != -1) ::close(number_);
}

Result<std::unique_ptr<PosixDirectory>> PosixDirectory::open(const std::string& path) {
  FileDescriptor descriptor(open_file(AT_FDCWD, path, O_RDONLY | O_DIRECTORY));
  if (descriptor.number() == -1) return failure("directory: open", errno);
  return std::unique_ptr<PosixDirectory>(new PosixDirectory(std::move(descriptor)));
}

Result<std::unique_ptr<File>> PosixDirectory::open(std::string_view name, OpenMode mode) {
  FileDescriptor file(open_file(descriptor_.number(), name, open_flags(mode)));
  if (file.number() == -1) return failure("file: open", errno);
  return std::unique_ptr<File>(std::make_unique<PosixFile>(std::move(file)));
}

Status PosixDirectory::rename(std::string_view from, std::string_view to) {
  const std::string old_name(from);
  const std::string new_name(to);
  const int directory = descriptor_.number();
  if (::renameat(directory, old_name.c_str(), directory, new_name.c_str()) == -1) {
    return failure("directory: rename", errno);
  }
  return Status::ok();
}

Status PosixDirectory::remove(std::string_view name) {
  if (::unlinkat(descriptor_.number(), std::string(name).c_str(), 0) == -1) {
    return failure("directory: remove", errno);
  }
  return Status::ok();
}

Status PosixDirectory::sync() {
  if (::fsync(descriptor_.number()) == -1) return failure("directory: sync", errno);
  return Status::ok();
}

Result<std::vector<std::string>> PosixDirectory::list() {
  // A descriptor of its own, because readdir moves the position that duplicates share.
  const int copy = open_file(descriptor_.number(), ".", O_RDONLY | O_DIRECTORY);
  if (copy == -1) return failure("directory: list", errno);
  DIR* const stream = ::fdopendir(copy);
  if (stream == nullptr) {
    const Status status = failure("directory: list", errno);
    ::close(copy);
    return status;
  }
  std::vector<std::string> names;
  errno = 0;
  while (const dirent* entry = ::readdir(stream)) {
    const std::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
    errno = 0;
  }
  const int error_number = errno;
  ::closedir(stream);
  if (error_number != 0) return failure("directory: list", error_number);
  std::sort(names.begin(), names.end());
  return names;
}

Result<std::unique_ptr<DirectoryLock>> PosixDirectory::lock(std::string_view name) {
  FileDescriptor file(open_file(descriptor_.number(), name, O_RDWR | O_CREAT));
  if (file.number() == -1) return failure("lock: open", errno);
  if (::flock(file.number(), LOCK_EX) == -1) {
    if (errno == EINTR) return Status(Code::kInterrupted, "lock: wait", EINTR);
    return failure("lock: wait", errno);
  }
  return std::unique_ptr<DirectoryLock>(std::make_unique<PosixLock>(std::move(file)));
}

}  // namespace small_db
