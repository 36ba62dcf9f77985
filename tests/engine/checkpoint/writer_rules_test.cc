// A disk that gives back another file than the one that was written, and one that fails.
#include "tests/engine/checkpoint/checkpoint_fixture.h"

namespace small_db {
namespace {

using checkpoint_test::CheckpointTest;
using checkpoint_test::kName;
using checkpoint_test::kTemporary;

// Opens `other` whenever the new checkpoint is to be read.
class MistakenDirectory : public Directory {
 public:
  explicit MistakenDirectory(Directory& directory) : directory_(directory) {}

  Result<std::unique_ptr<File>> open(std::string_view name, OpenMode mode) override {
    return directory_.open(mode == OpenMode::kRead && name == kTemporary ? "other" : name, mode);
  }
  Status rename(std::string_view from, std::string_view to) override {
    return directory_.rename(from, to);
  }
  Status remove(std::string_view name) override { return directory_.remove(name); }
  Status sync() override { return directory_.sync(); }
  Result<std::vector<std::string>> list() override { return directory_.list(); }
  Result<std::unique_ptr<DirectoryLock>> lock(std::string_view name) override {
    return directory_.lock(name);
  }

 private:
  Directory& directory_;
};

TEST_F(CheckpointTest, ReadingBackAnotherValidCheckpointIsNoticed) {
  put_some();
  ASSERT_OK(write(*directory_));
  disk_.set_contents("other", as_bytes(disk_.contents(kName)));
  disk_.erase(kName);
  begin();
  ASSERT_OK(put("key 1", "another value"));
  commit();
  MistakenDirectory mistaken(*directory_);
  EXPECT_STREQ(write(mistaken).site(), "checkpoint: not what was written");
  EXPECT_FALSE(disk_.exists(kName));
}

TEST_F(CheckpointTest, NothingMoreIsDoneAfterAFailure) {
  put_some();
  disk_.fail_next(SimCall::kSyncData, SimFault::kIoError);
  auto writer = CheckpointWriter::create(*directory_, new_checkpoint(revision_), {});
  ASSERT_TRUE(writer.is_ok());
  EXPECT_FALSE(writer.value()->seal(revision_).is_ok());
  const uint64_t calls = disk_.operations();
  EXPECT_FALSE(writer.value()->seal(revision_).is_ok());
  EXPECT_FALSE(writer.value()->verify(1).is_ok());
  EXPECT_FALSE(writer.value()->publish().is_ok());
  EXPECT_EQ(disk_.operations(), calls);
}

}  // namespace
}  // namespace small_db
