// What the disk gives to one writer that syncs each write: pwrite of a block and fdatasync, one
// after the other, into space that was zero-filled and synced beforehand. Nothing durable with one
// client can be faster, so durable writes are reported as a ratio to this.
//
//   raw_sync_bench --directory=PATH [--seconds=5] [--block-bytes=4096] [--direct=1] [--reserved=1]
//
// With --direct=1 it writes around the page cache (O_DIRECT). With --reserved=1 the space is only
// reserved beforehand (fallocate), and each block of it written once: it ends after 4 GiB, too.
//
// Prints lines of NAME TAB NUMBER: rate (syncs per second), bytes (per second).
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <memory>

#include "tests/bench/arguments.h"

namespace small_db::bench {
namespace {

constexpr size_t kFileBytesMin = 16 << 20;
constexpr size_t kBlocksMin = 16;
constexpr size_t kReservedBytes = size_t{4} << 30;
constexpr size_t kAlignment = 4096;  // of offsets, lengths and memory: enough for any disk

void fill(int fd, size_t bytes) {
  const std::vector<char> zeros(bytes, 0);
  if (pwrite(fd, zeros.data(), zeros.size(), 0) != static_cast<ssize_t>(zeros.size())) {
    fail("cannot fill the file");
  }
}

// An unlinked file in the directory, so that nothing is left behind.
int prepared_file(const std::string& directory, size_t bytes, bool is_reserved) {
  std::string path = directory + "/raw_sync.XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0) fail("cannot make a file in " + directory);
  unlink(path.c_str());
  if (!is_reserved) {
    fill(fd, bytes);
  } else if (fallocate(fd, 0, 0, static_cast<off_t>(bytes)) != 0) {
    fail("cannot reserve space in " + directory);
  }
  if (fsync(fd) != 0) fail("cannot sync the file in " + directory);
  return fd;
}

void run(const Arguments& arguments) {
  const auto seconds = static_cast<double>(arguments.number("seconds", 5));
  const size_t block_bytes = arguments.number("block-bytes", 4096);
  if (block_bytes % kAlignment != 0) fail("--block-bytes: a multiple of 4096");
  const bool is_reserved = !arguments.text("reserved", "").empty();
  const size_t blocks = is_reserved ? kReservedBytes / block_bytes
                                    : std::max(kFileBytesMin / block_bytes, kBlocksMin);
  const int fd = prepared_file(arguments.text("directory", "."), blocks * block_bytes, is_reserved);
  const bool direct = !arguments.text("direct", "").empty();
  if (direct && fcntl(fd, F_SETFL, O_RDWR | O_DIRECT) != 0) fail("no direct writes here");
  const std::unique_ptr<char, decltype(&std::free)> block(
      static_cast<char*>(std::aligned_alloc(kAlignment, block_bytes)), &std::free);
  std::memset(block.get(), 'x', block_bytes);
  uint64_t syncs = 0;
  const Stopwatch watch;
  while (watch.seconds() < seconds && !(is_reserved && syncs == blocks)) {
    const auto offset = static_cast<off_t>(syncs % blocks * block_bytes);
    if (pwrite(fd, block.get(), block_bytes, offset) != static_cast<ssize_t>(block_bytes) ||
        fdatasync(fd) != 0) {
      fail("write or sync failed");
    }
    ++syncs;
  }
  const double rate = static_cast<double>(syncs) / watch.seconds();
  std::printf("rate\t%.0f\nbytes\t%.0f\n", rate, rate * static_cast<double>(block_bytes));
  close(fd);
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  small_db::bench::run(small_db::bench::Arguments(count, arguments));
  return 0;
}
