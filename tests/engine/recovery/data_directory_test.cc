#include "engine/recovery/data_directory.h"

#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::open_store;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

constexpr VersionState kVersionStates[] = {VersionState::kMissing, VersionState::kValid,
                                           VersionState::kUnreadable};
constexpr DataState kDataStates[] = {DataState::kNone, DataState::kBlankLog, DataState::kPresent};

TEST(OpenRules, EachCombinationHasExactlyOneRow) {
  EXPECT_EQ(open_rules().size(), 27u);
  for (const VersionState version : kVersionStates) {
    for (const VersionState new_version : kVersionStates) {
      for (const DataState data : kDataStates) {
        int matches = 0;
        for (const OpenRule& rule : open_rules()) {
          matches +=
              rule.version == version && rule.new_version == new_version && rule.data == data;
        }
        EXPECT_EQ(matches, 1);
        const OpenRule& rule = find_open_rule(version, new_version, data);
        EXPECT_EQ(rule.reason[0] != '\0', rule.action == OpenAction::kRefuse);
      }
    }
  }
}

TEST(OpenRules, NothingIsInitialisedWhereAnythingWasWritten) {
  for (const OpenRule& rule : open_rules()) {
    if (rule.action != OpenAction::kInitialise) continue;
    EXPECT_NE(rule.data, DataState::kPresent);
    EXPECT_EQ(rule.version, VersionState::kMissing);
    EXPECT_NE(rule.new_version, VersionState::kValid);
  }
}

TEST(OpenRules, AVersionIsUsedOnlyIfItCanBeRead) {
  for (const OpenRule& rule : open_rules()) {
    if (rule.action == OpenAction::kUseVersion) {
      EXPECT_EQ(rule.version, VersionState::kValid);
      EXPECT_NE(rule.new_version, VersionState::kValid);  // it is the later one
    }
    if (rule.action == OpenAction::kUseNewVersion) {
      EXPECT_EQ(rule.new_version, VersionState::kValid);
    }
  }
}

TEST(VersionFile, IsADecimalNumberAndANewline) {
  EXPECT_EQ(parse_version("0\n"), 0u);
  EXPECT_EQ(parse_version("12\n"), 12u);
  EXPECT_EQ(parse_version("18446744073709551615\n"), UINT64_MAX);
  for (const char* bad : {"", "\n", "0", "12", "-1\n", "+1\n", " 1\n", "1 \n", "01\n", "1\n\n",
                          "1\r\n", "x\n", "18446744073709551616\n"}) {
    EXPECT_FALSE(parse_version(bad)) << bad;
  }
}

TEST(VersionFile, NamesOfNumberedFilesAreExact) {
  EXPECT_EQ(parse_numbered_name("logfile.0", "logfile."), 0u);
  EXPECT_EQ(parse_numbered_name("logfile.12", "logfile."), 12u);
  for (const char* bad : {"logfile.", "logfile.00", "logfile.1.tmp", "logfile.0.last", "logfile",
                          "xlogfile.1", "checkpoint.1"}) {
    EXPECT_FALSE(parse_numbered_name(bad, "logfile.")) << bad;
  }
}

TEST(VersionFile, IsReplacedInFiveSteps) {
  SimDisk disk;
  auto directory = disk.mount();
  ASSERT_TRUE(write_version(*directory, 7).is_ok());
  EXPECT_EQ(disk.calls(), (std::vector<SimCall>{SimCall::kOpen, SimCall::kWrite, SimCall::kSyncData,
                                                SimCall::kSyncDirectory, SimCall::kRename,
                                                SimCall::kSyncDirectory}));
  disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(disk.contents("version"), "7\n");
}

TEST(VersionFile, ACrashLeavesTheOldOneOrTheNewOne) {
  for (uint64_t at = 0; at < 7; ++at) {
    for (uint64_t variant = 0; variant < 100; ++variant) {
      SimDisk disk;
      {
        auto directory = disk.mount();
        disk.set_contents("checkpoint.1", {});
        disk.set_contents("checkpoint.2", {});
        ASSERT_TRUE(write_version(*directory, 1).is_ok());
        disk.crash_at(disk.operations() + at);
        (void)write_version(*directory, 2).is_ok();
      }
      disk.crash(variant);
      auto directory = disk.mount();
      const DirectoryListing listing = std::move(list_data_directory(*directory)).value();
      const OpenRule& rule =
          find_open_rule(listing.version, listing.new_version, DataState::kPresent);
      ASSERT_NE(rule.action, OpenAction::kRefuse) << at << " " << variant;
      const uint64_t generation = rule.action == OpenAction::kUseNewVersion
                                      ? listing.new_version_generation
                                      : listing.version_generation;
      EXPECT_TRUE(generation == 2 || (generation == 1 && at < 6)) << at << " " << variant;
    }
  }
}

// What a power failure leaves of one that was not synced may be a number, too.
TEST(VersionFile, ANewOneIsBelievedOnlyWithFilesOfItsGeneration) {
  const struct {
    const char* version;
    const char* new_version;
    VersionState expected;
  } cases[] = {
      {"13\n", "14\n", VersionState::kValid},      {"13\n", "13\n", VersionState::kValid},
      {"13\n", "12\n", VersionState::kUnreadable}, {"13\n", "7\n", VersionState::kUnreadable},
      {"13\n", "15\n", VersionState::kUnreadable}, {"0\n", "0\n", VersionState::kValid},
      {"13\n", "0\n", VersionState::kUnreadable},  {"", "14\n", VersionState::kValid},
      {"", "0\n", VersionState::kValid},           {"", "7\n", VersionState::kUnreadable},
      {"13\n", "16\n", VersionState::kValid},      {"bad", "13\n", VersionState::kValid},
      {"bad", "7\n", VersionState::kUnreadable},
  };
  for (const auto& [version, new_version, expected] : cases) {
    SimDisk disk;
    for (const char* name : {"checkpoint.12", "checkpoint.13", "checkpoint.14", "logfile.16"}) {
      disk.set_contents(name, as_bytes("x"));
    }
    if (*version != '\0') disk.set_contents("version", as_bytes(std::string(version)));
    disk.set_contents("newVersion", as_bytes(std::string(new_version)));
    const auto listing = list_data_directory(*disk.mount());
    ASSERT_TRUE(listing.is_ok());
    EXPECT_EQ(listing.value().new_version, expected) << version << new_version;
  }
}

// The files of a store with one acknowledged write; then versions as the row of the table has them.
class OpenTable : public ::testing::Test {
 protected:
  void make(VersionState version, VersionState new_version, DataState data) {
    disk_ = SimDisk();
    if (data != DataState::kNone) {
      TestStore store(disk_);
      ASSERT_TRUE(store.open().is_ok());
      WrittenHistory history;
      if (data == DataState::kPresent) {
        ASSERT_TRUE(store.commit(history).is_ok());
      }
      disk_.erase("version");
    }
    set("version", version);
    set("newVersion", new_version);
  }
  void set(const char* name, VersionState state) {
    if (state == VersionState::kValid) disk_.set_contents(name, as_bytes("0\n"));
    if (state == VersionState::kUnreadable) disk_.set_contents(name, as_bytes("0"));
  }
  SimDisk disk_;
};

TEST_F(OpenTable, RecoveryDoesWhatTheTableSays) {
  for (const OpenRule& rule : open_rules()) {
    make(rule.version, rule.new_version, rule.data);
    const auto before = recovery_test::all_files(disk_);
    auto directory = disk_.mount();
    const auto opened = open_store(*directory, test_options());
    const std::string row = std::to_string(static_cast<int>(rule.version)) + "," +
                            std::to_string(static_cast<int>(rule.new_version)) + "," +
                            std::to_string(static_cast<int>(rule.data));
    if (rule.action == OpenAction::kRefuse) {
      EXPECT_FALSE(opened.status.is_ok()) << row;
      EXPECT_NE(opened.refusal.reason.find(rule.reason), std::string::npos) << row;
      EXPECT_EQ(recovery_test::all_files(disk_), before) << row;
      continue;
    }
    ASSERT_TRUE(opened.status.is_ok()) << row << opened.refusal.text();
    EXPECT_EQ(opened.recovered.initialised, rule.action == OpenAction::kInitialise) << row;
    EXPECT_EQ(opened.recovered.last_revision, rule.data == DataState::kPresent ? 1u : 0u) << row;
    EXPECT_EQ(disk_.contents("version"), "0\n") << row;
    EXPECT_FALSE(disk_.exists("newVersion")) << row;
  }
}

TEST(DataDirectory, LeftoversOfAFirstStartAreNoData) {
  SimDisk disk;
  disk.set_contents("LOCK", {});
  disk.set_contents("logfile.0.tmp", as_bytes("half a header"));
  disk.set_contents("lost+found", {});
  auto directory = disk.mount();
  const auto opened = open_store(*directory, test_options());
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_TRUE(opened.recovered.initialised);
  EXPECT_EQ(disk.names(), (std::vector<std::string>{"LOCK", "logfile.0", "lost+found", "version"}));
}

TEST(DataDirectory, ASavedTailAloneMeansThatAStoreWasHere) {
  SimDisk disk;
  disk.set_contents("logfile.0.torn.4096", as_bytes("x"));
  auto directory = disk.mount();
  EXPECT_EQ(open_store(*directory, test_options()).status.code(), Code::kCorruption);
}

TEST(DataDirectory, ADirectoryThatCantBeListedIsNotEmpty) {
  SimDisk disk;
  auto directory = disk.mount();
  disk.fail_next(SimCall::kList, SimFault::kIoError);
  EXPECT_EQ(open_store(*directory, test_options()).status.code(), Code::kIoError);
  EXPECT_TRUE(disk.names().empty());
}

}  // namespace
}  // namespace small_db
