#include "engine/platform/posix_file_system.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "engine/base/limits.h"

namespace small_db {
namespace {

class PosixFileSystem : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "small_db_XXXXXX").string();
    ASSERT_NE(::mkdtemp(path_.data()), nullptr);
    directory_ = mount();
    ASSERT_NE(directory_, nullptr);
  }

  void TearDown() override { std::filesystem::remove_all(path_); }

  std::unique_ptr<PosixDirectory> mount() {
    Result<std::unique_ptr<PosixDirectory>> opened = PosixDirectory::open(path_);
    EXPECT_TRUE(opened.is_ok()) << opened.status().text();
    return opened.is_ok() ? std::move(opened).value() : nullptr;
  }

  std::unique_ptr<File> open(std::string_view name, OpenMode mode) {
    Result<std::unique_ptr<File>> file = directory_->open(name, mode);
    EXPECT_TRUE(file.is_ok()) << file.status().text();
    return file.is_ok() ? std::move(file).value() : nullptr;
  }

  std::string path_;
  std::unique_ptr<PosixDirectory> directory_;
};

// A child that hangs is killed by its alarm, so that no test waits for it for ever.
pid_t fork_with_deadline() {
  const pid_t child = ::fork();
  if (child == 0) ::alarm(20);
  return child;
}

std::string read(File& file, uint64_t offset, size_t bytes) {
  std::string text(bytes, '?');
  const Result<size_t> got =
      file.read_at(offset, MutableBytes(reinterpret_cast<std::byte*>(text.data()), text.size()));
  EXPECT_TRUE(got.is_ok()) << got.status().text();
  text.resize(got.is_ok() ? got.value() : 0);
  return text;
}

TEST_F(PosixFileSystem, ReadsWhatWasWritten) {
  const auto file = open("a", OpenMode::kCreate);
  EXPECT_TRUE(file->write_at(5, as_bytes("hello")).is_ok());
  EXPECT_EQ(file->size().value(), 10u);
  EXPECT_EQ(read(*file, 0, 100), std::string(5, '\0') + "hello");
  EXPECT_EQ(read(*file, 10, 1), "");
  EXPECT_TRUE(file->sync_data().is_ok());
  EXPECT_TRUE(directory_->sync().is_ok());
  EXPECT_TRUE(file->truncate(7).is_ok());
  EXPECT_EQ(read_file(*directory_, "a", 100).value(), std::string(5, '\0') + "he");
}

TEST_F(PosixFileSystem, OpenModesCreateOrNot) {
  EXPECT_EQ(directory_->open("a", OpenMode::kRead).status().code(), Code::kNotFound);
  const Status missing = directory_->open("a", OpenMode::kReadWrite).status();
  EXPECT_EQ(missing.code(), Code::kNotFound);
  EXPECT_EQ(missing.error_number(), ENOENT);
  EXPECT_STREQ(missing.site(), "file: open");
  EXPECT_TRUE(open("a", OpenMode::kCreate)->write_at(0, as_bytes("old")).is_ok());
  EXPECT_EQ(open("a", OpenMode::kReadWrite)->size().value(), 3u);
  EXPECT_EQ(open("a", OpenMode::kCreate)->size().value(), 0u);
  const Status refused = open("a", OpenMode::kRead)->write_at(0, as_bytes("new"));
  EXPECT_EQ(refused.code(), Code::kIoError);
  EXPECT_EQ(refused.error_number(), EBADF);
}

TEST_F(PosixFileSystem, FilesAreTheOwnersOnlyAndCloseOnExec) {
  const auto file = open("a", OpenMode::kCreate);
  struct stat attributes {};
  ASSERT_EQ(::stat((path_ + "/a").c_str(), &attributes), 0);
  EXPECT_EQ(attributes.st_mode & 0777, 0600u);
  int checked = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code error;
    const std::string target = std::filesystem::read_symlink(entry.path(), error).string();
    if (target.rfind(path_, 0) != 0) continue;
    const int descriptor = std::stoi(entry.path().filename().string());
    EXPECT_NE(::fcntl(descriptor, F_GETFD) & FD_CLOEXEC, 0) << target;
    ++checked;
  }
  EXPECT_EQ(checked, 2);  // the directory and the file
}

TEST_F(PosixFileSystem, AllocateExtendsAndKeepsWhatIsThere) {
  const auto file = open("a", OpenMode::kCreate);
  EXPECT_TRUE(file->write_at(0, as_bytes("hello")).is_ok());
  EXPECT_TRUE(file->allocate(0, 100000).is_ok());
  EXPECT_EQ(file->size().value(), 100000u);
  EXPECT_TRUE(file->allocate(0, 10).is_ok());
  EXPECT_TRUE(file->allocate(0, 0).is_ok());
  EXPECT_EQ(file->size().value(), 100000u);
  EXPECT_EQ(read(*file, 0, 100000), "hello" + std::string(99995, '\0'));
}

TEST_F(PosixFileSystem, ReleaseGivesBlocksBackAndKeepsTheSize) {
  auto file = open("f", OpenMode::kCreate);
  const std::string text(64 * kKiB, 'x');
  ASSERT_TRUE(file->write_at(0, as_bytes(text)).is_ok());
  ASSERT_TRUE(file->sync_data().is_ok());
  struct stat before;
  ASSERT_EQ(::stat((path_ + "/f").c_str(), &before), 0);
  file->release(4096, 60 * kKiB);
  struct stat after;
  ASSERT_EQ(::stat((path_ + "/f").c_str(), &after), 0);
  EXPECT_EQ(after.st_size, before.st_size);
  EXPECT_LE(after.st_blocks * 512, before.st_blocks * 512 - 56 * int64_t{kKiB});
  EXPECT_EQ(read_file(*directory_, "f", kMiB).value(),
            text.substr(0, 4096) + std::string(60 * kKiB, '\0'));
}

TEST_F(PosixFileSystem, RenameReplacesAndRemoveRemoves) {
  EXPECT_TRUE(open("new", OpenMode::kCreate)->write_at(0, as_bytes("N")).is_ok());
  EXPECT_TRUE(open("current", OpenMode::kCreate)->write_at(0, as_bytes("C")).is_ok());
  EXPECT_EQ(directory_->list().value(), (std::vector<std::string>{"current", "new"}));
  EXPECT_TRUE(directory_->rename("new", "current").is_ok());
  EXPECT_EQ(directory_->list().value(), std::vector<std::string>{"current"});
  EXPECT_EQ(read_file(*directory_, "current", 1).value(), "N");
  EXPECT_EQ(directory_->rename("new", "current").code(), Code::kNotFound);
  EXPECT_TRUE(directory_->remove("current").is_ok());
  EXPECT_EQ(directory_->remove("current").code(), Code::kNotFound);
  EXPECT_TRUE(directory_->list().value().empty());
}

TEST_F(PosixFileSystem, KeepsItsDirectoryWhenThePathMoves) {
  EXPECT_TRUE(open("a", OpenMode::kCreate)->write_at(0, as_bytes("text")).is_ok());
  const std::string moved = path_ + ".moved";
  ASSERT_EQ(::rename(path_.c_str(), moved.c_str()), 0);
  EXPECT_EQ(read_file(*directory_, "a", 10).value(), "text");
  EXPECT_EQ(directory_->list().value(), std::vector<std::string>{"a"});
  ASSERT_EQ(::rename(moved.c_str(), path_.c_str()), 0);
}

TEST_F(PosixFileSystem, OpenOfNoDirectoryFails) {
  EXPECT_EQ(PosixDirectory::open(path_ + "/missing").status().code(), Code::kNotFound);
  open("a", OpenMode::kCreate);
  const Status status = PosixDirectory::open(path_ + "/a").status();
  EXPECT_EQ(status.code(), Code::kIoError);
  EXPECT_EQ(status.error_number(), ENOTDIR);
}

TEST_F(PosixFileSystem, ReadFileRefusesWhatIsTooLong) {
  EXPECT_TRUE(open("a", OpenMode::kCreate)->write_at(0, as_bytes("12345")).is_ok());
  EXPECT_EQ(read_file(*directory_, "a", 5).value(), "12345");
  EXPECT_EQ(read_file(*directory_, "a", 4).status().code(), Code::kTooLarge);
  EXPECT_EQ(read_file(*directory_, "b", 4).status().code(), Code::kNotFound);
}

// The limit makes the kernel take a part of the write and then refuse: the short write must be
// followed up, not reported as done.
TEST_F(PosixFileSystem, ShortWriteIsFollowedUpToItsError) {
  const auto file = open("a", OpenMode::kCreate);
  const pid_t child = fork_with_deadline();
  if (child == 0) {
    ::signal(SIGXFSZ, SIG_IGN);
    const rlimit limit{1000, 1000};
    ::setrlimit(RLIMIT_FSIZE, &limit);
    const std::string text(3000, 'x');
    const Status status = file->write_at(0, as_bytes(text));
    ::_exit(status.error_number() == EFBIG && status.code() == Code::kIoError ? 0 : 1);
  }
  int how = 0;
  ASSERT_EQ(::waitpid(child, &how, 0), child);
  EXPECT_EQ(how, 0);
  EXPECT_EQ(file->size().value(), 1000u);
}

TEST_F(PosixFileSystem, FullDeviceIsNoDiskSpace) {
  if (::access("/dev/full", W_OK) != 0) GTEST_SKIP() << "no /dev/full";
  const auto devices = PosixDirectory::open("/dev");
  ASSERT_TRUE(devices.is_ok());
  const auto full = devices.value()->open("full", OpenMode::kReadWrite);
  ASSERT_TRUE(full.is_ok());
  const Status status = full.value()->write_at(0, as_bytes("x"));
  EXPECT_EQ(status.code(), Code::kNoDiskSpace);
  EXPECT_EQ(status.error_number(), ENOSPC);
}

// Whether `descriptor` has something to read (or its writer is gone) within the time.
bool readable(int descriptor, int timeout_ms) {
  pollfd entry{descriptor, POLLIN, 0};
  return ::poll(&entry, 1, timeout_ms) == 1;
}

// Whether process `pid` sleeps in flock, polled with a deadline.
bool waits_for_lock(pid_t pid) {
  const std::string path = "/proc/" + std::to_string(pid) + "/syscall";
  for (int attempt = 0; attempt < 5000; ++attempt) {
    char text[32] = {};
    const int descriptor = ::open(path.c_str(), O_RDONLY);
    if (descriptor == -1) return false;
    const ssize_t got = ::read(descriptor, text, sizeof(text) - 1);
    ::close(descriptor);
    if (got > 0 && std::atoi(text) == SYS_flock) return true;
    ::usleep(1000);
  }
  return false;
}

TEST_F(PosixFileSystem, LockIsHeldByOneProcessAndGoesToTheNextWhenItDies) {
  int ready[2];
  int acquired[2];
  ASSERT_EQ(::pipe(ready), 0);
  ASSERT_EQ(::pipe(acquired), 0);
  const pid_t holder = fork_with_deadline();
  if (holder == 0) {
    const auto lock = mount()->lock("LOCK");
    if (::write(ready[1], lock.is_ok() ? "y" : "n", 1) != 1) ::_exit(1);
    for (;;) ::pause();
  }
  char answer = 0;
  ASSERT_EQ(::read(ready[0], &answer, 1), 1);
  ASSERT_EQ(answer, 'y');
  const pid_t waiter = fork_with_deadline();
  if (waiter == 0) {
    const auto lock = mount()->lock("LOCK");
    ::_exit(::write(acquired[1], lock.is_ok() ? "y" : "n", 1) == 1 ? 0 : 1);
  }
  ASSERT_TRUE(waits_for_lock(waiter));
  EXPECT_FALSE(readable(acquired[0], 0));
  ASSERT_EQ(::kill(holder, SIGKILL), 0);
  EXPECT_TRUE(readable(acquired[0], 5000));
  ASSERT_EQ(::read(acquired[0], &answer, 1), 1);
  EXPECT_EQ(answer, 'y');
  for (const pid_t child : {holder, waiter}) ::waitpid(child, nullptr, 0);
  for (const int end : {ready[0], ready[1], acquired[0], acquired[1]}) ::close(end);
}

TEST_F(PosixFileSystem, LockIsLetGoWithItsObject) {
  auto lock = directory_->lock("LOCK");
  ASSERT_TRUE(lock.is_ok());
  lock.value().reset();
  const pid_t other = fork_with_deadline();
  if (other == 0) ::_exit(mount()->lock("LOCK").is_ok() ? 0 : 1);
  int how = 1;
  ASSERT_EQ(::waitpid(other, &how, 0), other);
  EXPECT_EQ(how, 0);
}

TEST_F(PosixFileSystem, SignalEndsTheWaitForTheLock) {
  const auto held = directory_->lock("LOCK");
  ASSERT_TRUE(held.is_ok());
  const pid_t waiter = fork_with_deadline();
  if (waiter == 0) {
    struct sigaction action {};
    action.sa_handler = [](int) {};
    ::sigaction(SIGUSR1, &action, nullptr);
    const auto lock = mount()->lock("LOCK");
    ::_exit(lock.status().code() == Code::kInterrupted ? 0 : 1);
  }
  ASSERT_TRUE(waits_for_lock(waiter));
  ASSERT_EQ(::kill(waiter, SIGUSR1), 0);
  int how = 0;
  ASSERT_EQ(::waitpid(waiter, &how, 0), waiter);
  EXPECT_EQ(how, 0);
}

}  // namespace
}  // namespace small_db
