// Makes a process's disk fail while a test wants it to: loaded with LD_PRELOAD, it stands before
// fdatasync and pwrite of the C library.
//
// SMALL_DB_DISK_FAULTS names a file. While that exists, each of its lines "CALL TEXT" makes CALL
// (fdatasync or pwrite) fail with EIO on files whose path holds TEXT; the call has no effect.
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

namespace {

// REQUIRES: room for `size` bytes at `to`. False when the descriptor has no path.
bool path_of(int fd, char* to, size_t size) {
  char link[32];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  const ssize_t length = readlink(link, to, size - 1);
  if (length < 0) return false;
  to[length] = '\0';
  return true;
}

bool must_fail(const char* call, int fd) {
  const char* name = getenv("SMALL_DB_DISK_FAULTS");
  FILE* faults = name == nullptr ? nullptr : fopen(name, "re");
  if (faults == nullptr) return false;
  char path[4096];
  char faulty_call[32];
  char text[256];
  bool fail = false;
  if (path_of(fd, path, sizeof path)) {
    while (!fail && fscanf(faults, "%31s %255s", faulty_call, text) == 2) {
      fail = strcmp(faulty_call, call) == 0 && strstr(path, text) != nullptr;
    }
  }
  fclose(faults);
  return fail;
}

}  // namespace

extern "C" {

int fdatasync(int fd) {
  static const auto real = reinterpret_cast<int (*)(int)>(dlsym(RTLD_NEXT, "fdatasync"));
  if (!must_fail("fdatasync", fd)) return real(fd);
  errno = EIO;
  return -1;
}

ssize_t pwrite(int fd, const void* bytes, size_t count, off_t offset) {
  static const auto real =
      reinterpret_cast<ssize_t (*)(int, const void*, size_t, off_t)>(dlsym(RTLD_NEXT, "pwrite"));
  if (!must_fail("pwrite", fd)) return real(fd, bytes, count, offset);
  errno = EIO;
  return -1;
}

ssize_t pwrite64(int fd, const void* bytes, size_t count, off_t offset) {
  return pwrite(fd, bytes, count, offset);
}
}
