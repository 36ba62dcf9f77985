// What the disk gives to one writer that syncs each write: pwrite of 4 KiB and fdatasync, one after
// the other, into space that was zero-filled and synced beforehand. Nothing durable with one client
// can be faster, so durable writes are reported as a ratio to this.
//
//   raw_sync_bench --directory=PATH [--seconds=5]
//
// Prints: rate TAB syncs per second.
#include <fcntl.h>
#include <unistd.h>

#include "tests/bench/arguments.h"

namespace small_db::bench {
namespace {

constexpr size_t kBlockBytes = 4096;
constexpr size_t kBlocks = 4096;

// An unlinked file in the directory, so that nothing is left behind.
int prepared_file(const std::string& directory) {
  std::string path = directory + "/raw_sync.XXXXXX";
  const int fd = mkstemp(path.data());
  if (fd < 0) fail("cannot make a file in " + directory);
  unlink(path.c_str());
  const std::vector<char> zeros(kBlockBytes * kBlocks, 0);
  if (pwrite(fd, zeros.data(), zeros.size(), 0) != static_cast<ssize_t>(zeros.size()) ||
      fsync(fd) != 0) {
    fail("cannot fill the file in " + directory);
  }
  return fd;
}

void run(const Arguments& arguments) {
  const auto seconds = static_cast<double>(arguments.number("seconds", 5));
  const int fd = prepared_file(arguments.text("directory", "."));
  const std::vector<char> block(kBlockBytes, 'x');
  uint64_t syncs = 0;
  const Stopwatch watch;
  while (watch.seconds() < seconds) {
    const auto offset = static_cast<off_t>(syncs % kBlocks * kBlockBytes);
    if (pwrite(fd, block.data(), kBlockBytes, offset) != static_cast<ssize_t>(kBlockBytes) ||
        fdatasync(fd) != 0) {
      fail("write or sync failed");
    }
    ++syncs;
  }
  std::printf("rate\t%.0f\n", static_cast<double>(syncs) / watch.seconds());
  close(fd);
}

}  // namespace
}  // namespace small_db::bench

int main(int count, char** arguments) {
  small_db::bench::run(small_db::bench::Arguments(count, arguments));
  return 0;
}
