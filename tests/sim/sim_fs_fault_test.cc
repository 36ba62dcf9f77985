#include <gtest/gtest.h>

#include <cerrno>

#include "tests/sim/sim_fs_test_files.h"

namespace small_db {
namespace {

TEST(SimFsFaults, FailedSyncLeavesBytesReadableAndNeverDurable) {
  SimDisk disk = disk_with("a", filled('o', 512));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, filled('n', 512));
  disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_EQ(file->sync_data().error_number(), EIO);
  EXPECT_TRUE(file->sync_data().is_ok());
  EXPECT_EQ(read(*file, 0, 512), filled('n', 512));
  const std::set<std::string> seen = outcomes(disk, "a");
  EXPECT_TRUE(seen.contains(filled('o', 512)));
  EXPECT_TRUE(seen.contains(filled('n', 512)));
}

TEST(SimFsFaults, WritingAgainAfterAFailedSyncCountsForThatSectorOnly) {
  SimDisk disk = disk_with("a", filled('o', 1024));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, filled('n', 1024));
  disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(file->sync_data().is_ok());
  write(*file, 512, filled('m', 512));
  ASSERT_TRUE(file->sync_data().is_ok());
  bool lost = false;
  for (const std::string& text : outcomes(disk, "a")) {
    EXPECT_EQ(text.substr(512), filled('m', 512));
    lost = lost || text.substr(0, 512) == filled('o', 512);
  }
  EXPECT_TRUE(lost);
}

TEST(SimFsFaults, FailedSyncLeavesTheSizeUncertain) {
  SimDisk disk = disk_with("a", "");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  ASSERT_TRUE(file->allocate(0, 100).is_ok());
  disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  EXPECT_FALSE(file->sync_data().is_ok());
  EXPECT_TRUE(file->sync_data().is_ok());
  EXPECT_TRUE(outcomes(disk, "a").contains(""));
  ASSERT_TRUE(file->allocate(0, 200).is_ok());
  EXPECT_TRUE(file->sync_data().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), std::set<std::string>{std::string(200, '\0')});
}

TEST(SimFsFaults, FailedDirectorySyncLeavesItsChangesUncertain) {
  SimDisk disk;
  const auto directory = disk.mount();
  create(*directory, "a");
  disk.fail_next(SimCall::kSyncDirectory, SimFault::kIoError);
  EXPECT_FALSE(directory->sync().is_ok());
  EXPECT_TRUE(directory->sync().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), (std::set<std::string>{"<gone>", ""}));
  ASSERT_TRUE(directory->rename("a", "b").is_ok());
  ASSERT_TRUE(directory->sync().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), std::set<std::string>{"<gone>"});
  EXPECT_EQ(outcomes(disk, "b"), std::set<std::string>{""});
}

// One call of each kind, in the order of SimCall.
std::vector<Status> call_everything(Directory& directory) {
  std::vector<Status> results;
  const auto file = directory.open("a", OpenMode::kReadWrite);
  results.push_back(file.status());
  std::byte byte{};
  // Without a file, its calls cannot be made; they are then called on another.
  const auto spare = file.is_ok() ? Result<std::unique_ptr<File>>(Status(Code::kNotFound, ""))
                                  : directory.open("b", OpenMode::kReadWrite);
  if (!file.is_ok() && !spare.is_ok()) return results;
  File& target = file.is_ok() ? *file.value() : *spare.value();
  results.push_back(target.read_at(0, MutableBytes(&byte, 1)).status());
  results.push_back(target.write_at(0, as_bytes("new")));
  results.push_back(target.sync_data());
  results.push_back(target.allocate(0, 10));
  results.push_back(target.truncate(3));
  results.push_back(target.size().status());
  results.push_back(directory.rename("a", "c"));
  results.push_back(directory.remove("d"));
  results.push_back(directory.sync());
  results.push_back(directory.list().status());
  results.push_back(directory.lock("LOCK").status());
  return results;
}

SimDisk disk_for_every_call() {
  SimDisk disk(3);
  for (const char* name : {"a", "b", "d"}) disk.set_contents(name, as_bytes("old"));
  return disk;
}

TEST(SimFsFaults, CountsEveryCall) {
  SimDisk disk = disk_for_every_call();
  for (const Status& status : call_everything(*disk.mount())) EXPECT_TRUE(status.is_ok());
  ASSERT_EQ(disk.operations(), 12u);
  for (size_t call = 0; call < 12; ++call) {
    EXPECT_EQ(disk.calls()[call], static_cast<SimCall>(call)) << call_name(disk.calls()[call]);
  }
}

TEST(SimFsFaults, FailsTheScheduledCallAndNoOther) {
  for (uint64_t at = 1; at < 12; ++at) {
    SimDisk disk = disk_for_every_call();
    disk.fail_at(at, SimFault::kIoError);
    const std::vector<Status> results = call_everything(*disk.mount());
    ASSERT_EQ(results.size(), 12u);
    for (uint64_t call = 0; call < 12; ++call) {
      EXPECT_EQ(results[call].error_number(), call == at ? EIO : 0) << at << " " << call;
    }
  }
}

TEST(SimFsFaults, NoSpaceIsItsOwnCode) {
  SimDisk disk = disk_with("a", "");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  disk.fail_every(SimCall::kAllocate, SimFault::kNoSpace);
  EXPECT_EQ(file->allocate(0, 100).code(), Code::kNoDiskSpace);
  EXPECT_EQ(file->allocate(0, 100).error_number(), ENOSPC);
  EXPECT_EQ(file->size().value(), 0u);
  disk.clear_faults();
  EXPECT_TRUE(file->allocate(0, 100).is_ok());
}

TEST(SimFsFaults, FailsEverythingFromACallOn) {
  SimDisk disk = disk_for_every_call();
  disk.fail_from(3, SimFault::kIoError);
  const std::vector<Status> results = call_everything(*disk.mount());
  for (size_t call = 0; call < results.size(); ++call) {
    EXPECT_EQ(results[call].is_ok(), call < 3) << call;
  }
}

TEST(SimFsFaults, ShortWriteLeavesAPrefix) {
  std::set<size_t> lengths;
  for (uint64_t seed = 0; seed < 200; ++seed) {
    SimDisk disk(seed);
    const auto directory = disk.mount();
    const auto file = create(*directory, "a");
    disk.fail_next(SimCall::kWrite, SimFault::kShortWrite);
    EXPECT_EQ(file->write_at(0, as_bytes("0123")).error_number(), EIO);
    const std::string text = disk.contents("a");
    EXPECT_EQ(text, std::string("0123").substr(0, text.size()));
    lengths.insert(text.size());
  }
  EXPECT_EQ(lengths, (std::set<size_t>{0, 1, 2, 3, 4}));
}

TEST(SimFsFaults, PowerOffEndsEveryLaterCallWithoutEffect) {
  for (uint64_t at = 0; at < 12; ++at) {
    SimDisk disk = disk_for_every_call();
    disk.crash_at(at);
    const auto directory = disk.mount();
    const std::vector<Status> results = call_everything(*directory);
    EXPECT_TRUE(disk.powered_off());
    EXPECT_EQ(disk.operations(), at + 1);
    for (uint64_t call = 0; call < results.size(); ++call) {
      EXPECT_EQ(results[call].code(), call < at ? Code::kOk : Code::kIoError);
    }
    EXPECT_FALSE(directory->rename("b", "e").is_ok());
    disk.crash(at);
    EXPECT_TRUE(disk.exists("b"));
    EXPECT_FALSE(disk.exists("e"));
    EXPECT_FALSE(disk.powered_off());
  }
}

TEST(SimFsFaults, SyncAtPowerOffPromisesNothing) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, "new");
  disk.crash_at(disk.operations());
  EXPECT_FALSE(file->sync_data().is_ok());
  EXPECT_TRUE(outcomes(disk, "a").contains("old"));
  EXPECT_TRUE(outcomes(disk, "a").contains("new"));
}

TEST(SimFsFaults, CrashingWriteMayBePartlyApplied) {
  std::set<std::string> seen;
  for (uint64_t seed = 0; seed < 100; ++seed) {
    SimDisk disk(seed);
    disk.set_contents("a", as_bytes("---"));
    const auto directory = disk.mount();
    const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
    disk.crash_at(disk.operations());
    EXPECT_FALSE(file->write_at(0, as_bytes("new")).is_ok());
    disk.crash(0, SimCrashPolicy::keep_all());
    seen.insert(disk.contents("a"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"---", "n--", "ne-", "new"}));
}

}  // namespace
}  // namespace small_db
