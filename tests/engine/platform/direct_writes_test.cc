// Writes around the page cache: what is in the file, and what is left in the cache.
#include "engine/platform/direct_writes.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>

#include "engine/base/limits.h"
#include "engine/platform/posix_file_system.h"

namespace small_db {
namespace {

constexpr size_t kPageBytes = 4096;

class DirectWritesTest : public testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "small_db_XXXXXX").string();
    ASSERT_NE(::mkdtemp(path_.data()), nullptr);
    directory_ = std::move(PosixDirectory::open(path_)).value();
    file_ = std::move(directory_->open("log", OpenMode::kCreate)).value();
    for (size_t i = 0; i < data_.size(); ++i) data_[i] = static_cast<char>('a' + i % 23);
  }

  void TearDown() override { std::filesystem::remove_all(path_); }

  bool file_system_is_able() const {
    const int file = ::open((path_ + "/log").c_str(), O_RDWR | O_CLOEXEC);
    DirectWrites writes;
    writes.want(true);
    const Bytes bytes = unaligned(kSectorBytes);  // what is aligned needs no copy
    const bool able = writes.next(file, 0, bytes).data() != bytes.data();
    ::close(file);
    return able;
  }

  // A piece of data_ that begins at no sector of memory.
  Bytes unaligned(size_t bytes) const { return as_bytes(data_).subspan(1, bytes); }

  size_t cached_pages() const {
    const int file = ::open((path_ + "/log").c_str(), O_RDONLY | O_CLOEXEC);
    const auto bytes = static_cast<size_t>(::lseek(file, 0, SEEK_END));
    void* const mapped = ::mmap(nullptr, bytes, PROT_READ, MAP_SHARED, file, 0);
    std::vector<unsigned char> resident((bytes + kPageBytes - 1) / kPageBytes);
    EXPECT_EQ(::mincore(mapped, bytes, resident.data()), 0);
    ::munmap(mapped, bytes);
    ::close(file);
    return static_cast<size_t>(
        std::count_if(resident.begin(), resident.end(), [](auto page) { return (page & 1) != 0; }));
  }

  std::string path_;
  std::unique_ptr<PosixDirectory> directory_;
  std::unique_ptr<File> file_;
  std::string data_ = std::string(3 * kMiB, '\0');
};

TEST_F(DirectWritesTest, LeaveNothingInThePageCache) {
  if (!file_system_is_able()) GTEST_SKIP() << "this file system knows no direct writes";
  ASSERT_TRUE(file_->allocate(0, 3 * kMiB).is_ok());
  file_->bypass_cache(true);
  ASSERT_TRUE(file_->write_at(kSectorBytes, unaligned(2 * kMiB)).is_ok());
  EXPECT_EQ(cached_pages(), 0u);
  file_->bypass_cache(false);
  ASSERT_TRUE(file_->write_at(kPageBytes, unaligned(2 * kPageBytes)).is_ok());
  EXPECT_EQ(cached_pages(), 2u);
  file_->bypass_cache(true);
  ASSERT_TRUE(file_->write_at(0, unaligned(kMiB)).is_ok());
  EXPECT_EQ(cached_pages(), 0u) << "what was cached is not true any more";
}

// Whatever the file system can do.
TEST_F(DirectWritesTest, AnyMixtureOfBothWaysIsReadAsItWasWritten) {
  std::string expected(3 * kMiB, '\0');
  ASSERT_TRUE(file_->allocate(0, expected.size()).is_ok());
  struct Write {
    bool bypasses;
    uint64_t offset;
    size_t bytes;
  };
  const Write writes[] = {{true, 0, kSectorBytes},
                          {true, kSectorBytes, 2 * kMiB + 3 * kSectorBytes},
                          {false, 700, 10'000},
                          {true, 1024, 4 * kSectorBytes},
                          {true, 300, 5000},
                          {true, 4 * kSectorBytes, 777},
                          {true, 5 * kSectorBytes, kMiB},
                          {false, 8192, 8192},
                          {true, 2 * kMiB, kMiB / 2},
                          {true, 8192 + kSectorBytes, kSectorBytes},
                          {true, 2 * kMiB - 1, kSectorBytes}};
  size_t from = 0;
  for (const Write& write : writes) {
    from = (from + 4097) % kMiB;
    const Bytes bytes = as_bytes(data_).subspan(from, write.bytes);
    file_->bypass_cache(write.bypasses);
    ASSERT_TRUE(file_->write_at(write.offset, bytes).is_ok());
    expected.replace(write.offset, write.bytes, as_text(bytes));
    ASSERT_EQ(read_file(*directory_, "log", 4 * kMiB).value(), expected)
        << "after " << write.bytes << " bytes at " << write.offset;
  }
  EXPECT_TRUE(file_->sync_data().is_ok());
}

TEST_F(DirectWritesTest, AlignedMemoryIsWrittenAsItLies) {
  if (!file_system_is_able()) GTEST_SKIP() << "this file system knows no direct writes";
  const int file = ::open((path_ + "/log").c_str(), O_RDWR | O_CLOEXEC);
  alignas(kPageBytes) static std::array<std::byte, 2 * kPageBytes> memory;
  DirectWrites writes;
  writes.want(true);
  EXPECT_EQ(writes.next(file, 0, memory).data(), memory.data());
  EXPECT_NE(::fcntl(file, F_GETFL) & O_DIRECT, 0);
  const Bytes odd = Bytes(memory).first(kSectorBytes + 1);
  EXPECT_EQ(writes.next(file, 0, odd).data(), odd.data());
  EXPECT_EQ(::fcntl(file, F_GETFL) & O_DIRECT, 0);
  EXPECT_FALSE(writes.give_up(file)) << "that one was not direct";
  EXPECT_EQ(writes.next(file, 0, memory).data(), memory.data());
  EXPECT_NE(::fcntl(file, F_GETFL) & O_DIRECT, 0);
  EXPECT_EQ(writes.next(file, 700, memory).data(), memory.data());
  EXPECT_EQ(::fcntl(file, F_GETFL) & O_DIRECT, 0) << "that is not the beginning of a sector";
  ::close(file);
}

TEST_F(DirectWritesTest, WhereThereIsNoOtherWayTheCacheIsTaken) {
  const std::string path = "/dev/shm/small_db_direct_" + std::to_string(::getpid());
  const int file = ::open(path.c_str(), O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
  if (file == -1) GTEST_SKIP() << "no /dev/shm";
  ::unlink(path.c_str());
  struct statx attributes {};
  ASSERT_EQ(::statx(file, "", AT_EMPTY_PATH, STATX_DIOALIGN, &attributes), 0);
  DirectWrites writes;
  writes.want(true);
  const Bytes bytes = unaligned(kMiB);
  const bool as_it_lies = writes.next(file, 0, bytes).data() == bytes.data();
  EXPECT_EQ(as_it_lies, attributes.stx_dio_offset_align == 0);
  ::close(file);
}

}  // namespace
}  // namespace small_db
