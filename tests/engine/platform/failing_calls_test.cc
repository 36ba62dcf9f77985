// System calls that fail on a real file system: each failure is reported.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "engine/platform/posix_file_system.h"

namespace small_db {
namespace {

class FailingCalls : public ::testing::Test {
 protected:
  void SetUp() override {
    path_ = (std::filesystem::temp_directory_path() / "small_db_XXXXXX").string();
    ASSERT_NE(::mkdtemp(path_.data()), nullptr);
    directory_ = std::move(PosixDirectory::open(path_)).value();
  }
  void TearDown() override { std::filesystem::remove_all(path_); }

  std::string path_;
  std::unique_ptr<PosixDirectory> directory_;
};

TEST_F(FailingCalls, AReadThatFailsIsNotTheEndOfTheFile) {
  ASSERT_EQ(::mkdir((path_ + "/folder").c_str(), 0700), 0);
  const Result<std::unique_ptr<File>> folder = directory_->open("folder", OpenMode::kRead);
  ASSERT_TRUE(folder.is_ok());
  std::byte byte{};
  const Result<size_t> got = folder.value()->read_at(0, {&byte, 1});
  ASSERT_FALSE(got.is_ok());
  EXPECT_EQ(got.status().error_number(), EISDIR);
}

TEST_F(FailingCalls, ATruncationThatFailsIsReported) {
  { ASSERT_TRUE(directory_->open("file", OpenMode::kCreate).is_ok()); }
  const Result<std::unique_ptr<File>> file = directory_->open("file", OpenMode::kRead);
  ASSERT_TRUE(file.is_ok());
  EXPECT_EQ(file.value()->truncate(0).code(), Code::kIoError);
}

TEST_F(FailingCalls, NoLockIsHadInADirectoryThatIsGone) {
  ASSERT_EQ(::rmdir(path_.c_str()), 0);
  EXPECT_EQ(directory_->lock("LOCK").status().error_number(), ENOENT);
}

}  // namespace
}  // namespace small_db
