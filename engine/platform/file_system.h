// All that the engine asks of a disk, as two small interfaces: PosixDirectory is the real side,
// SimFs (tests/sim) the simulated one. Every call may fail; a failure is a Status with kIoError (or
// kNoDiskSpace for ENOSPC and EDQUOT, kNotFound for ENOENT) and the errno. EINTR and short reads
// and writes are handled below this interface.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/status.h"

namespace small_db {

// An open file. Not copyable; closes itself. One thread at a time, except that write_at and
// sync_data of disjoint ranges may run concurrently.
class File {
 public:
  virtual ~File() = default;

  // Fills `into` from `offset`; Returns the bytes read, less than asked for only at the end of the
  // file.
  virtual Result<size_t> read_at(uint64_t offset, MutableBytes into) = 0;

  // Writes all of `bytes` at `offset`. On an error any part of the range may have been written.
  virtual Status write_at(uint64_t offset, Bytes bytes) = 0;

  // Whether write_at goes around the page cache: for bytes that nobody will read soon. A hint: what
  // is not whole sectors goes through the cache, as all does where there is no other way; whoever
  // reads finds the same. Called by the thread that writes.
  virtual void bypass_cache(bool bypasses) noexcept = 0;

  // Makes the file's bytes and size durable (fdatasync). After an error the unsynced bytes are lost
  // to the kernel's page cache bookkeeping: never try the same file again.
  virtual Status sync_data() = 0;

  // Lets the kernel begin to write that range, so that a later sync_data finds less to do
  // (sync_file_range). A hint: it promises nothing, and what goes wrong is told by sync_data.
  virtual void start_writeback(uint64_t offset, uint64_t bytes) noexcept = 0;

  // Reserves blocks for [offset, offset + bytes) and extends the size over it (posix_fallocate):
  // fails with kNoDiskSpace before anything is written. Reserved bytes read as zero.
  virtual Status allocate(uint64_t offset, uint64_t bytes) = 0;

  // Gives the blocks of the range back to the disk (FALLOC_FL_PUNCH_HOLE): it reads as zeros then,
  // and the size stays. A hint: a file system that cannot do it keeps them.
  virtual void release(uint64_t offset, uint64_t bytes) noexcept = 0;

  virtual Status truncate(uint64_t bytes) = 0;
  virtual Result<uint64_t> size() = 0;
};

enum class OpenMode : uint8_t {
  kRead,       // must exist
  kReadWrite,  // must exist
  kCreate,     // read-write; made if missing, emptied if not
};

// A lock on a file of the directory that the kernel lets go when its holder closes it or dies
// (flock).
class DirectoryLock {
 public:
  virtual ~DirectoryLock() = default;
};

// The store's directory. Names have no slash. Metadata changes are durable after sync().
class Directory {
 public:
  virtual ~Directory() = default;

  virtual Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) = 0;
  virtual Status rename(std::string_view from, std::string_view to) = 0;
  virtual Status remove(std::string_view name) = 0;
  virtual Status sync() = 0;
  virtual Result<std::vector<std::string>> list() = 0;

  // Waits in the kernel until this process holds the exclusive lock of the file `name` (made if
  // missing). Errors: kInterrupted when a signal ended the wait.
  virtual Result<std::unique_ptr<DirectoryLock>> lock(std::string_view name) = 0;
};

// Reads the whole file. Errors: kTooLarge when it is longer than `bytes_max`.
Result<std::string> read_file(Directory& directory, std::string_view name, size_t bytes_max);

}  // namespace small_db
