#include "engine/tools/store_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

namespace small_db::tools {

bool store_is_running(const std::string& directory) {
  const FileDescriptor file(::open((directory + "/LOCK").c_str(), O_RDONLY | O_CLOEXEC));
  if (file.number() == -1) return false;
  return ::flock(file.number(), LOCK_SH | LOCK_NB) == -1 && errno == EWOULDBLOCK;
}

Result<FileDescriptor> lock_store(const std::string& directory) {
  FileDescriptor file(
      ::open((directory + "/LOCK").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (file.number() == -1) return Status(Code::kIoError, "lock: open", errno);
  struct stat attributes;
  // Root may have made the file: the server must be able to open it.
  if (::geteuid() == 0 && ::stat(directory.c_str(), &attributes) == 0 &&
      ::fchown(file.number(), attributes.st_uid, attributes.st_gid) == -1) {
    return Status(Code::kIoError, "lock: give to the owner", errno);
  }
  if (::flock(file.number(), LOCK_EX | LOCK_NB) == 0) return file;
  if (errno == EWOULDBLOCK) return Status(Code::kUnavailable, "lock: held");
  return Status(Code::kIoError, "lock: take", errno);
}

Status act_as_owner(const std::string& directory) {
  struct stat attributes;
  if (::stat(directory.c_str(), &attributes) == -1) {
    return {Code::kIoError, "directory: owner", errno};
  }
  if (::geteuid() != 0 || attributes.st_uid == 0) return Status::ok();
  if (::setegid(attributes.st_gid) == -1 || ::seteuid(attributes.st_uid) == -1) {
    return {Code::kIoError, "directory: act as its owner", errno};
  }
  return Status::ok();
}

}  // namespace small_db::tools
