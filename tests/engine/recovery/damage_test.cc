// Every byte flipped and every truncation of a reference directory. Recovery gives the same state,
// or one that lacks only what nothing proves acknowledged, or refuses; and a refusal changes
// nothing.
#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::all_files;
using recovery_test::flip;
using recovery_test::open_store;
using recovery_test::Opened;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

// logfile.0: 1, 2-3, SEAL; logfile.1: START, 4, IDLE, 5, and 6 of three sectors at 6144.
class Damage : public ::testing::Test {
 protected:
  static constexpr uint64_t kLastFrame = 4096 + 4 * 512;
  static constexpr uint64_t kLastFrameBytes = 96 + 24 + 16 + 4 + 1301;
  static constexpr uint64_t kLastRevision = 6;

  void SetUp() override {
    TestStore store(disk_, 8192);
    ASSERT_TRUE(store.open().is_ok());
    ASSERT_TRUE(store.commit(history_).is_ok());
    ASSERT_TRUE(store.commit(history_, 2).is_ok());
    ASSERT_TRUE(store.switch_log().is_ok());
    ASSERT_TRUE(store.commit(history_).is_ok());
    ASSERT_TRUE(store.mark(kFrameIdle).is_ok());
    ASSERT_TRUE(store.commit(history_).is_ok());
    ASSERT_EQ(store.log().position().end_offset, kLastFrame);
    ASSERT_TRUE(store.commit(history_, 1, 1300).is_ok());
    disk_.kill_process();
  }

  // Returns the last revision, or nothing when it was refused.
  std::optional<uint64_t> judge(SimDisk& disk, const std::string& what) {
    const auto before = all_files(disk);
    auto directory = disk.mount();
    const Opened opened = open_store(*directory, test_options());
    if (!opened.status.is_ok()) {
      EXPECT_NE(opened.refusal.reason, "") << what;
      EXPECT_EQ(all_files(disk), before) << what;
      return std::nullopt;
    }
    EXPECT_EQ(opened.sink.state, history_.at(opened.recovered.last_revision)) << what;
    return opened.recovered.last_revision;
  }

  SimDisk disk_;
  WrittenHistory history_;
};

TEST_F(Damage, EveryFlippedByteOfALogIsHarmlessOrRefusedOrCutsTheUnprovenTail) {
  for (const std::string name : {"logfile.0", "logfile.1"}) {
    const size_t bytes = disk_.contents(name).size();
    for (size_t at = 0; at < bytes; ++at) {
      SimDisk disk = disk_;
      flip(disk, name, at, 1 << (at % 8));
      const auto revision = judge(disk, name + " at " + std::to_string(at));
      if (!revision || *revision == kLastRevision) continue;
      const bool in_last_frame =
          name == "logfile.1" && at >= kLastFrame && at < kLastFrame + kLastFrameBytes;
      EXPECT_TRUE(in_last_frame) << name << " at " << at;
      EXPECT_EQ(*revision, kLastRevision - 1);
    }
  }
}

TEST_F(Damage, EveryFlippedByteThatSaysSomethingIsNoticed) {
  // Frames of logfile.0: header and body, not padding, are each refused.
  const std::pair<size_t, size_t> ranges[] = {
      {0, 4096}, {4096, 4096 + 96 + 24 + 31}, {4608, 4608 + 96 + 24 + 62}, {5120, 5120 + 96}};
  for (const auto& [begin, end] : ranges) {
    for (size_t at = begin; at < end; ++at) {
      SimDisk disk = disk_;
      flip(disk, "logfile.0", at, 0x80);
      EXPECT_FALSE(judge(disk, std::to_string(at))) << at;
    }
  }
}

TEST_F(Damage, EveryTruncationOfALogIsRefusedOrHarmless) {
  for (const std::string name : {"logfile.0", "logfile.1"}) {
    const std::string whole = disk_.contents(name);
    for (size_t bytes = 0; bytes < whole.size(); ++bytes) {
      SimDisk disk = disk_;
      disk.set_contents(name, as_bytes(whole).first(bytes));
      const auto revision = judge(disk, name + " of " + std::to_string(bytes));
      const bool behind_seal = name == "logfile.0" && bytes >= 5632;
      EXPECT_EQ(revision.has_value(), behind_seal) << name << " of " << bytes;
      EXPECT_EQ(revision.value_or(kLastRevision), kLastRevision);
    }
  }
}

TEST_F(Damage, EveryZeroedSectorIsHarmlessOrRefusedOrCutsTheUnprovenTail) {
  for (const std::string name : {"logfile.0", "logfile.1"}) {
    for (size_t at = 0; at < disk_.contents(name).size(); at += 512) {
      SimDisk disk = disk_;
      disk.poke(name, at, as_bytes(std::string(512, '\0')));
      const auto revision = judge(disk, name + " at " + std::to_string(at));
      if (!revision || *revision == kLastRevision) continue;
      EXPECT_TRUE(name == "logfile.1" && at >= kLastFrame) << name << " at " << at;
      EXPECT_EQ(*revision, kLastRevision - 1);
    }
  }
}

TEST_F(Damage, EveryFlippedByteOrTruncationOfVersionIsRefused) {
  for (size_t at = 0; at < 2; ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      SimDisk disk = disk_;
      flip(disk, "version", at, 1 << bit);
      EXPECT_FALSE(judge(disk, "version")) << at << " " << bit;
    }
    SimDisk disk = disk_;
    disk.set_contents("version", as_bytes("0\n").first(at));
    EXPECT_FALSE(judge(disk, "version")) << at;
  }
}

TEST_F(Damage, EveryMissingFileIsRefused) {
  for (const std::string name : {"version", "logfile.0"}) {
    SimDisk disk = disk_;
    disk.erase(name);
    EXPECT_FALSE(judge(disk, name)) << name;
  }
}

}  // namespace
}  // namespace small_db
