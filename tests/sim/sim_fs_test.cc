#include "tests/sim/sim_fs.h"

#include <gtest/gtest.h>

#include <cerrno>

#include "tests/sim/sim_fs_test_files.h"

namespace small_db {
namespace {

TEST(SimFs, ReadsSeeUnsyncedWritesAcrossPages) {
  SimDisk disk;
  const auto directory = disk.mount();
  const auto file = create(*directory, "a");
  write(*file, 4090, "crosses a page");
  EXPECT_EQ(read(*file, 4090, 100), "crosses a page");
  EXPECT_EQ(read(*file, 0, 3), std::string(3, '\0'));
  EXPECT_EQ(file->size().value(), 4104u);
  EXPECT_EQ(read(*file, 4104, 10), "");
}

TEST(SimFs, TruncatedBytesReadAsZeroWhenTheFileGrowsAgain) {
  SimDisk disk;
  const auto directory = disk.mount();
  const auto file = create(*directory, "a");
  write(*file, 0, filled('x', 9000));
  ASSERT_TRUE(file->truncate(10).is_ok());
  ASSERT_TRUE(file->allocate(0, 9000).is_ok());
  EXPECT_EQ(read(*file, 0, 9000), filled('x', 10) + std::string(8990, '\0'));
}

TEST(SimFs, CreateEmptiesAnExistingFile) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  EXPECT_EQ(create(*directory, "a")->size().value(), 0u);
  EXPECT_EQ(open_or_fail(*directory, "a", OpenMode::kRead)->size().value(), 0u);
}

TEST(SimFs, OpenOfMissingFileIsNotFound) {
  SimDisk disk;
  const auto directory = disk.mount();
  EXPECT_EQ(directory->open("a", OpenMode::kReadWrite).status().code(), Code::kNotFound);
  EXPECT_EQ(directory->rename("a", "b").code(), Code::kNotFound);
  EXPECT_EQ(directory->remove("a").code(), Code::kNotFound);
}

TEST(SimFs, HandleForReadingRefusesChanges) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kRead);
  EXPECT_EQ(file->write_at(0, as_bytes("new")).error_number(), EBADF);
  EXPECT_EQ(file->truncate(0).error_number(), EBADF);
  EXPECT_EQ(disk.contents("a"), "old");
}

TEST(SimFs, RemovedFileLivesAsLongAsItsHandle) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  ASSERT_TRUE(directory->remove("a").is_ok());
  ASSERT_TRUE(directory->sync().is_ok());
  const auto other = create(*directory, "b");
  write(*other, 0, "bbb");
  EXPECT_EQ(read(*file, 0, 10), "old");
}

TEST(SimFs, SyncedBytesAndSizeSurviveEveryCrash) {
  SimDisk disk = disk_with("a", "");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  const std::string text = filled('n', 3000);
  write(*file, 0, text);
  ASSERT_TRUE(file->sync_data().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), std::set<std::string>{text});
}

TEST(SimFs, EachUnsyncedSectorIsOldNewOrGarbage) {
  SimDisk disk = disk_with("a", filled('o', 1024));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, filled('n', 1024));
  std::set<std::string> clean;
  bool garbage = false;
  for (const std::string& text : outcomes(disk, "a")) {
    ASSERT_EQ(text.size(), 1024u);
    const bool known = text.find_first_not_of("on") == std::string::npos;
    const bool whole =
        text.substr(0, 512) == filled(text[0], 512) && text.substr(512) == filled(text[512], 512);
    if (known && whole) {
      clean.insert({text[0], text[512]});
    } else {
      garbage = true;
    }
  }
  EXPECT_EQ(clean, (std::set<std::string>{"oo", "on", "no", "nn"}));
  EXPECT_TRUE(garbage);
}

TEST(SimFs, CrashTouchesNoSectorThatWasNotWritten) {
  SimDisk disk = disk_with("a", filled('o', 1536));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 600, filled('n', 100));
  for (const std::string& text : outcomes(disk, "a")) {
    EXPECT_EQ(text.substr(0, 512), filled('o', 512));
    EXPECT_EQ(text.substr(1024), filled('o', 512));
  }
}

TEST(SimFs, RewrittenSectorMayKeepAnyOfItsVersions) {
  SimDisk disk = disk_with("a", filled('0', 512));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  for (const char version : {'1', '2', '3'}) write(*file, 0, filled(version, 512));
  const std::set<std::string> seen = outcomes(disk, "a");
  for (const char version : {'0', '1', '2', '3'}) {
    EXPECT_TRUE(seen.contains(filled(version, 512))) << version;
  }
}

TEST(SimFs, SyncForgetsTheVersionsBefore) {
  SimDisk disk = disk_with("a", filled('0', 512));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, filled('1', 512));
  write(*file, 0, filled('2', 512));
  ASSERT_TRUE(file->sync_data().is_ok());
  write(*file, 0, filled('3', 512));
  const std::set<std::string> seen = outcomes(disk, "a");
  EXPECT_FALSE(seen.contains(filled('0', 512)));
  EXPECT_FALSE(seen.contains(filled('1', 512)));
  EXPECT_TRUE(seen.contains(filled('2', 512)));
  EXPECT_TRUE(seen.contains(filled('3', 512)));
}

TEST(SimFs, UnsyncedSizeIsAnyOneSinceTheLastSync) {
  SimDisk disk = disk_with("a", filled('o', 512));
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  ASSERT_TRUE(file->truncate(2048).is_ok());
  ASSERT_TRUE(file->truncate(1024).is_ok());
  std::set<size_t> sizes;
  for (const std::string& text : outcomes(disk, "a")) {
    sizes.insert(text.size());
    EXPECT_EQ(text.substr(0, 512), filled('o', 512));
    EXPECT_EQ(text.find_first_not_of('\0', 512), std::string::npos);
  }
  EXPECT_EQ(sizes, (std::set<size_t>{512, 1024, 2048}));
}

TEST(SimFs, KeptSizeWithoutItsSectorReadsAsZeros) {
  SimDisk disk = disk_with("a", "");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, filled('n', 512));
  disk.crash(1, SimCrashPolicy{100, 100, 0, 0});
  EXPECT_EQ(disk.contents("a"), std::string(512, '\0'));
}

TEST(SimFs, BytesBeyondAnOldSizeDoNotComeBack) {
  SimDisk disk = disk_with("a", "12");
  {
    const auto directory = disk.mount();
    const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
    write(*file, 0, "345678");
    disk.crash(1, SimCrashPolicy{100, 0, 100, 0});
  }
  EXPECT_EQ(disk.contents("a"), "34");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  ASSERT_TRUE(file->truncate(6).is_ok());
  EXPECT_EQ(read(*file, 0, 6), std::string("34\0\0\0\0", 6));
}

TEST(SimFs, SyncDataMakesNoNameDurable) {
  SimDisk disk;
  const auto directory = disk.mount();
  const auto file = create(*directory, "a");
  write(*file, 0, "text");
  ASSERT_TRUE(file->sync_data().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), (std::set<std::string>{"<gone>", "text"}));
  ASSERT_TRUE(directory->sync().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), std::set<std::string>{"text"});
}

TEST(SimFs, DirectorySyncMakesNoBytesDurable) {
  SimDisk disk;
  const auto directory = disk.mount();
  const auto file = create(*directory, "a");
  write(*file, 0, "text");
  ASSERT_TRUE(directory->sync().is_ok());
  const std::set<std::string> seen = outcomes(disk, "a");
  EXPECT_TRUE(seen.contains(""));
  EXPECT_TRUE(seen.contains("text"));
  EXPECT_FALSE(seen.contains("<gone>"));
}

TEST(SimFs, RenameIsKeptAsAWholeOrNot) {
  SimDisk disk = disk_with("new", "N");
  disk.set_contents("current", as_bytes("C"));
  const auto directory = disk.mount();
  ASSERT_TRUE(directory->rename("new", "current").is_ok());
  std::set<std::string> seen;
  for (uint64_t variant = 0; variant < kVariants; ++variant) {
    SimDisk copy = disk;
    copy.crash(variant);
    seen.insert((copy.exists("new") ? copy.contents("new") : "-") + copy.contents("current"));
  }
  EXPECT_EQ(seen, (std::set<std::string>{"NC", "-N"}));
}

TEST(SimFs, UnsyncedRemoveMayComeBack) {
  SimDisk disk = disk_with("a", "text");
  const auto directory = disk.mount();
  ASSERT_TRUE(directory->remove("a").is_ok());
  EXPECT_EQ(outcomes(disk, "a"), (std::set<std::string>{"<gone>", "text"}));
  ASSERT_TRUE(directory->sync().is_ok());
  EXPECT_EQ(outcomes(disk, "a"), std::set<std::string>{"<gone>"});
}

TEST(SimFs, ChangesOfNamesAreIndependent) {
  SimDisk disk;
  const auto directory = disk.mount();
  create(*directory, "a");
  create(*directory, "b");
  std::set<std::vector<std::string>> seen;
  for (uint64_t variant = 0; variant < kVariants; ++variant) {
    SimDisk copy = disk;
    copy.crash(variant);
    seen.insert(copy.names());
  }
  EXPECT_EQ(seen, (std::set<std::vector<std::string>>{{}, {"a"}, {"b"}, {"a", "b"}}));
}

TEST(SimFs, RenameMaySurviveTheCreateBeforeIt) {
  SimDisk disk;
  const auto directory = disk.mount();
  write(*create(*directory, "tmp"), 0, "text");
  ASSERT_TRUE(directory->rename("tmp", "final").is_ok());
  std::set<std::vector<std::string>> seen;
  for (uint64_t variant = 0; variant < kVariants; ++variant) {
    SimDisk copy = disk;
    copy.crash(variant);
    seen.insert(copy.names());
  }
  EXPECT_EQ(seen, (std::set<std::vector<std::string>>{{}, {"tmp"}, {"final"}}));
}

TEST(SimFs, TwoNamesOfOneFileGetACopyEach) {
  SimDisk disk = disk_with("a", "text");
  auto directory = disk.mount();
  ASSERT_TRUE(directory->rename("a", "b").is_ok());
  ASSERT_TRUE(directory->rename("b", "c").is_ok());
  for (uint64_t variant = 0; variant < kVariants; ++variant) {
    SimDisk copy = disk;
    copy.crash(variant);
    if (!copy.exists("a") || !copy.exists("c")) continue;
    directory = copy.mount();
    write(*open_or_fail(*directory, "a", OpenMode::kReadWrite), 0, "TEXT");
    EXPECT_EQ(copy.contents("c"), "text");
    return;
  }
  FAIL() << "no variant kept only the second rename";
}

TEST(SimFs, CrashEndsHandlesAndStartsTheCountAgain) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  disk.fail_from(100, SimFault::kIoError);
  disk.crash(1);
  EXPECT_EQ(disk.operations(), 0u);
  EXPECT_EQ(file->size().status().code(), Code::kIoError);
  EXPECT_FALSE(directory->list().is_ok());
  EXPECT_EQ(disk.operations(), 0u);
  EXPECT_TRUE(disk.mount()->list().is_ok());
}

TEST(SimFs, KilledProcessLosesNothingAndSyncsNothing) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto lock = directory->lock("LOCK");
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  write(*file, 0, "new");
  disk.kill_process();
  EXPECT_FALSE(file->size().is_ok());
  EXPECT_EQ(disk.contents("a"), "new");
  EXPECT_TRUE(disk.mount()->lock("LOCK").is_ok());
  EXPECT_TRUE(outcomes(disk, "a").contains("old"));
}

TEST(SimFs, LockIsExclusiveUntilLetGoOrCrash) {
  SimDisk disk;
  const auto first = disk.mount();
  const auto second = disk.mount();
  auto lock = first->lock("LOCK");
  ASSERT_TRUE(lock.is_ok());
  EXPECT_EQ(second->lock("LOCK").status().code(), Code::kInterrupted);
  lock.value().reset();
  lock = second->lock("LOCK");
  EXPECT_TRUE(lock.is_ok());
  disk.crash(1);
  const auto after = disk.mount();
  const auto held = after->lock("LOCK");
  EXPECT_TRUE(held.is_ok());
  lock.value().reset();  // of before the crash: it must not let go of the new one
  EXPECT_EQ(after->lock("LOCK").status().code(), Code::kInterrupted);
}

TEST(SimFs, CopyIsIndependentAndNotMounted) {
  SimDisk disk = disk_with("a", "old");
  const auto directory = disk.mount();
  const auto file = open_or_fail(*directory, "a", OpenMode::kReadWrite);
  const auto lock = directory->lock("LOCK");
  write(*file, 0, "new");
  SimDisk copy = disk;
  write(*file, 0, "xxx");
  EXPECT_EQ(copy.contents("a"), "new");
  EXPECT_TRUE(copy.mount()->lock("LOCK").is_ok());
  copy.poke("a", 0, as_bytes("C"));
  EXPECT_EQ(disk.contents("a"), "xxx");
  EXPECT_TRUE(outcomes(copy, "a").contains("Cld"));
}

TEST(SimFs, SameSeedAndVariantGiveTheSameBytes) {
  std::set<std::string> seen;
  for (int run = 0; run < 2; ++run) {
    SimDisk disk(99);
    const auto directory = disk.mount();
    const auto file = create(*directory, "a");
    write(*file, 0, filled('n', 5000));
    std::string all;
    for (uint64_t variant = 0; variant < 50; ++variant) {
      SimDisk copy = disk;
      copy.crash(variant);
      all += copy.exists("a") ? copy.contents("a") : "<gone>";
    }
    seen.insert(all);
  }
  EXPECT_EQ(seen.size(), 1u);
}

TEST(SimFs, PokedBytesAreDurable) {
  SimDisk disk = disk_with("a", filled('o', 5000));
  disk.poke("a", 4095, as_bytes("XY"));
  disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(disk.contents("a"), filled('o', 4095) + "XY" + filled('o', 903));
  disk.erase("a");
  disk.crash(2, SimCrashPolicy::keep_all());
  EXPECT_FALSE(disk.exists("a"));
}

// What the engine may rely on, and nothing more: the acknowledged prefix of an append-only file.
TEST(SimFs, WriteSyncRenameSyncIsAtomicAtEveryCrash) {
  const auto replace = [](Directory& directory) {
    const auto file = directory.open("new", OpenMode::kCreate);
    if (!file.is_ok() || !file.value()->write_at(0, as_bytes("second")).is_ok()) return false;
    if (!file.value()->sync_data().is_ok()) return false;
    return directory.rename("new", "current").is_ok() && directory.sync().is_ok();
  };
  for (uint64_t at = 0; at <= 5; ++at) {
    SimDisk disk = disk_with("current", "first");
    disk.crash_at(at);
    const bool acknowledged = replace(*disk.mount());
    EXPECT_EQ(acknowledged, at == 5);
    for (const std::string& text : outcomes(disk, "current")) {
      EXPECT_TRUE(text == "second" || (text == "first" && !acknowledged)) << at << " " << text;
    }
  }
}

}  // namespace
}  // namespace small_db
