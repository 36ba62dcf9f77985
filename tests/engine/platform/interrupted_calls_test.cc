// What the simulated disk cannot show, because it stands above it: system calls that a signal
// interrupts (EINTR), transfers that end early, and direct writes that are refused. The functions
// below stand in for libc's in this binary, and do what libc's do unless a test tells this thread
// otherwise.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <filesystem>

#include "engine/base/limits.h"
#include "engine/platform/posix_file_system.h"

namespace small_db {
namespace {

thread_local int interruptions = 0;           // of the calls to come
thread_local size_t transfer_max = SIZE_MAX;  // bytes of one read or write
thread_local bool refuses_direct = false;     // EINVAL for writes around the page cache
thread_local int calls = 0;

bool interrupted() {
  ++calls;
  if (interruptions == 0) return false;
  --interruptions;
  errno = EINTR;
  return true;
}

}  // namespace
}  // namespace small_db

extern "C" {

ssize_t pread(int file, void* into, size_t bytes, off_t offset) {
  if (small_db::interrupted()) return -1;
  return ::syscall(SYS_pread64, file, into, std::min(bytes, small_db::transfer_max), offset);
}

ssize_t pwrite(int file, const void* from, size_t bytes, off_t offset) {
  if (small_db::interrupted()) return -1;
  if (small_db::refuses_direct && (::fcntl(file, F_GETFL) & O_DIRECT) != 0) {
    errno = EINVAL;
    return -1;
  }
  return ::syscall(SYS_pwrite64, file, from, std::min(bytes, small_db::transfer_max), offset);
}

int fallocate(int file, int mode, off_t offset, off_t bytes) {
  if (small_db::interrupted()) return -1;
  return static_cast<int>(::syscall(SYS_fallocate, file, mode, offset, bytes));
}

int ftruncate(int file, off_t bytes) noexcept {
  if (small_db::interrupted()) return -1;
  return static_cast<int>(::syscall(SYS_ftruncate, file, bytes));
}

int fdatasync(int file) {
  if (small_db::interrupted()) return -1;
  return static_cast<int>(::syscall(SYS_fdatasync, file));
}

}  // extern "C"

namespace small_db {
namespace {

class InterruptedCalls : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "small_db_XXXXXX").string();
    ASSERT_NE(::mkdtemp(path_.data()), nullptr);
    directory_ = std::move(PosixDirectory::open(path_)).value();
    file_ = std::move(directory_->open("a", OpenMode::kCreate)).value();
  }

  void TearDown() override {
    interruptions = 0;
    transfer_max = SIZE_MAX;
    refuses_direct = false;
    std::filesystem::remove_all(path_);
  }

  // The next `count` calls are interrupted, and then one does its work.
  static void interrupt(int count) {
    interruptions = count;
    calls = 0;
  }

  std::string path_;
  std::unique_ptr<PosixDirectory> directory_;
  std::unique_ptr<File> file_;
};

TEST_F(InterruptedCalls, AreRepeatedUntilTheyHaveDoneTheirWork) {
  interrupt(3);
  EXPECT_TRUE(file_->write_at(0, as_bytes("hello")).is_ok());
  EXPECT_EQ(calls, 4);
  interrupt(3);
  std::array<std::byte, 5> bytes;
  EXPECT_EQ(file_->read_at(0, bytes).value(), 5u);
  EXPECT_EQ(std::memcmp(bytes.data(), "hello", 5), 0);
  interrupt(3);
  EXPECT_TRUE(file_->allocate(0, 100).is_ok());
  EXPECT_EQ(interruptions, 0);
  interrupt(3);
  EXPECT_TRUE(file_->truncate(7).is_ok());
  EXPECT_EQ(calls, 4);
  EXPECT_EQ(file_->size().value(), 7u);
}

TEST_F(InterruptedCalls, TransfersThatEndEarlyGoOnWhereTheyEnded) {
  transfer_max = 3;
  interrupt(1);
  EXPECT_TRUE(file_->write_at(2, as_bytes("hello world")).is_ok());
  EXPECT_EQ(calls, 1 + 4);
  interrupt(1);
  std::array<std::byte, 20> bytes;
  EXPECT_EQ(file_->read_at(0, bytes).value(), 13u);
  EXPECT_EQ(std::memcmp(bytes.data(), "\0\0hello world", 13), 0);
}

TEST_F(InterruptedCalls, DirectWritesThatEndEarlyGoOnWhereTheyEnded) {
  const std::string text(8 * kSectorBytes, 'x');
  file_->bypass_cache(true);
  for (const size_t most : {3 * kSectorBytes, size_t{700}}) {
    transfer_max = most;
    ASSERT_TRUE(file_->truncate(0).is_ok());
    EXPECT_TRUE(file_->write_at(0, as_bytes(text)).is_ok());
    transfer_max = SIZE_MAX;
    EXPECT_EQ(read_file(*directory_, "a", text.size()).value(), text);
  }
}

TEST_F(InterruptedCalls, DirectWritesThatAreRefusedGoThroughThePageCache) {
  const std::string text(8 * kSectorBytes, 'x');
  refuses_direct = true;
  file_->bypass_cache(true);
  EXPECT_TRUE(file_->write_at(0, as_bytes(text)).is_ok());
  refuses_direct = false;
  calls = 0;
  EXPECT_TRUE(file_->write_at(text.size(), as_bytes(text)).is_ok());
  EXPECT_EQ(calls, 1) << "and are not tried again";
  EXPECT_EQ(read_file(*directory_, "a", 2 * text.size()).value(), text + text);
}

// What it had written by then is unknown, and the kernel may have marked it clean.
TEST_F(InterruptedCalls, SyncIsNeverRepeated) {
  interrupt(1);
  const Status status = file_->sync_data();
  EXPECT_EQ(status.code(), Code::kIoError);
  EXPECT_EQ(status.error_number(), EINTR);
  EXPECT_EQ(calls, 1);
}

}  // namespace
}  // namespace small_db
