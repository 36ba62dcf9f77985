// Each defect that the ancestor's log and version files had, as far as recovery answers for it.
#include "tests/engine/recovery/test_store.h"

namespace small_db {
namespace {

using recovery_test::flip;
using recovery_test::open_store;
using recovery_test::Opened;
using recovery_test::test_options;
using recovery_test::TestStore;
using recovery_test::WrittenHistory;

struct DefectStore {
  explicit DefectStore(uint32_t frames) : store(disk) {
    EXPECT_TRUE(store.open().is_ok());
    for (uint32_t i = 0; i < frames; ++i) EXPECT_TRUE(store.commit(history).is_ok());
  }
  Opened reopen() {
    directory = disk.mount();
    return open_store(*directory, test_options());
  }
  SimDisk disk;
  WrittenHistory history;
  TestStore store;
  std::unique_ptr<Directory> directory;
};

TEST(LogReader, ChecksumErrorBeforeAcknowledgedFramesIsRefusedNotCutOff) {
  for (uint64_t frame = 0; frame < 4; ++frame) {
    DefectStore t(5);
    const uint64_t offset = 4096 + frame * 512;
    flip(t.disk, "logfile.0", offset + 110);
    const Opened opened = t.reopen();
    EXPECT_EQ(opened.status.code(), Code::kCorruption);
    EXPECT_EQ(opened.refusal.offset, offset);
    EXPECT_EQ(opened.refusal.first_revision, frame + 1);
    EXPECT_EQ(opened.refusal.last_revision, 4u);
  }
}

TEST(AncestorDefects, AZeroFilledTailIsACleanEnd) {
  DefectStore t(3);
  ASSERT_TRUE(t.store.log().space().prepare_step(64 * kKiB).is_ok());
  const Opened opened = t.reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_FALSE(opened.recovered.torn_tail);
  EXPECT_EQ(opened.sink.state, t.history.at(3));
}

TEST(AncestorDefects, AFrameCopiedToAnotherPlaceIsNotTakenForIt) {
  DefectStore t(3);
  const std::string file = t.disk.contents("logfile.0");
  t.disk.poke("logfile.0", 5632, as_bytes(file.substr(4096, 512)));  // behind the end
  Opened opened = t.reopen();
  ASSERT_TRUE(opened.status.is_ok());
  EXPECT_EQ(opened.recovered.last_revision, 3u);
  EXPECT_TRUE(opened.recovered.torn_tail);

  t.disk.poke("logfile.0", 4608, as_bytes(file.substr(5120, 512)));  // the last over the second
  EXPECT_EQ(t.reopen().status.code(), Code::kCorruption);
}

TEST(AncestorDefects, NoAcknowledgedWriteIsLostBehindAFailedWrite) {
  DefectStore t(2);
  t.disk.fail_next(SimCall::kWrite, SimFault::kShortWrite);
  EXPECT_FALSE(t.store.commit(t.history).is_ok());
  EXPECT_FALSE(t.store.commit(t.history).is_ok());
  t.disk.kill_process();
  const Opened opened = t.reopen();
  ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
  EXPECT_EQ(t.store.acknowledged(), 2u);
  EXPECT_GE(opened.recovered.last_revision, 2u);
  EXPECT_LE(opened.recovered.last_revision, 3u);  // only padding may have been missing
  EXPECT_EQ(opened.sink.state, t.history.at(opened.recovered.last_revision));
}

TEST(AncestorDefects, NoAcknowledgedWriteIsLostBehindAFailedSync) {
  for (uint64_t variant = 0; variant < 50; ++variant) {
    DefectStore t(2);
    t.disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
    EXPECT_FALSE(t.store.commit(t.history).is_ok());
    EXPECT_FALSE(t.store.commit(t.history).is_ok());
    t.disk.crash(variant);
    const Opened opened = t.reopen();
    ASSERT_TRUE(opened.status.is_ok()) << opened.refusal.text();
    EXPECT_GE(opened.recovered.last_revision, 2u);
    EXPECT_LE(opened.recovered.last_revision, 3u);
    EXPECT_EQ(opened.sink.state, t.history.at(opened.recovered.last_revision));
  }
}

TEST(AncestorDefects, AMissingVersionIsNotGenerationZeroAndNothingIsDeleted) {
  DefectStore t(3);
  t.disk.erase("version");
  const auto before = recovery_test::all_files(t.disk);
  const Opened opened = t.reopen();
  EXPECT_EQ(opened.status.code(), Code::kCorruption);
  EXPECT_EQ(opened.refusal.file, "version");
  EXPECT_EQ(recovery_test::all_files(t.disk), before);
}

}  // namespace
}  // namespace small_db
