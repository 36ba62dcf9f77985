#include "engine/wal/log_space.h"

#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::NewTestLog;

TEST(LogSpace, PreparesInStepsUpToWhatIsWanted) {
  NewTestLog t(1024);
  LogSpace& space = t.log->space();
  ASSERT_EQ(space.prepared_end(), 5120u);
  EXPECT_TRUE(space.prepare_step(7000).value());
  EXPECT_EQ(space.prepared_end(), 6144u);
  EXPECT_FALSE(space.prepare_step(7000).value());
  EXPECT_EQ(space.prepared_end(), 7168u);
  const uint64_t operations = t.disk.operations();
  EXPECT_FALSE(space.prepare_step(7000).value());
  EXPECT_EQ(t.disk.operations(), operations);
}

TEST(LogSpace, PreparedSpaceSurvivesACrashAsZeros) {
  for (uint64_t variant = 0; variant < 20; ++variant) {
    NewTestLog t(1024);
    ASSERT_TRUE(t.log->space().prepare_step(6144).is_ok());
    t.disk.crash(variant);
    const std::string file = t.disk.contents("logfile.0");
    ASSERT_EQ(file.size(), 6144u);
    EXPECT_EQ(file.substr(4096), std::string(2048, '\0'));
  }
}

// The first owner's sync fails and the kernel forgets that the file became longer; the second owner
// finds it long enough already.
TEST(LogSpace, LengthThatAFailedSyncForgotIsMadeDurableByTheNextOwner) {
  NewTestLog t(1024);
  t.disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
  ASSERT_FALSE(t.log->space().prepare_step(6144).is_ok());
  t.disk.kill_process();
  const auto directory = t.disk.mount();
  LogSpace next(std::move(directory->open("logfile.0", OpenMode::kReadWrite)).value(), 5120, 1024);
  ASSERT_TRUE(next.prepare_step(6144).is_ok());
  t.disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(t.disk.contents("logfile.0").size(), 6144u);
}

TEST(LogSpace, SealedLogGivesBackNothingOfItsFrames) {
  NewTestLog t(16 * kKiB);
  ASSERT_TRUE(log_test::write_records(*t.log, {log_test::put_record(1, "a", "1")}).is_ok());
  ASSERT_TRUE(log_test::write_mark(*t.log, kFrameSeal, 2).is_ok());
  const std::string before = t.disk.contents("logfile.0");
  t.log->release_unused();
  EXPECT_EQ(t.disk.contents("logfile.0"), before);
}

TEST(LogSpace, NoDiskSpaceIsNotSticky) {
  for (const SimCall call : {SimCall::kAllocate, SimCall::kWrite}) {
    NewTestLog t(1024);
    t.disk.fail_next(call, SimFault::kNoSpace);
    EXPECT_EQ(t.log->space().prepare_step(8192).status().code(), Code::kNoDiskSpace);
    EXPECT_EQ(t.log->space().prepared_end(), 5120u);
    EXPECT_FALSE(t.log->space().failed());
    EXPECT_TRUE(t.log->space().prepare_step(8192).is_ok());
    EXPECT_EQ(t.log->space().prepared_end(), 6144u);
    EXPECT_TRUE(log_test::write_records(*t.log, {log_test::put_record(1, "a", "1")}).is_ok());
  }
}

TEST(LogSpace, EveryOtherErrorIsSticky) {
  const std::pair<SimCall, SimFault> faults[] = {
      {SimCall::kAllocate, SimFault::kIoError},
      {SimCall::kWrite, SimFault::kIoError},
      {SimCall::kSyncData, SimFault::kIoError},
      {SimCall::kSyncData, SimFault::kNoSpace},  // pages were dropped: perhaps those of a frame
  };
  for (const auto& [call, fault] : faults) {
    NewTestLog t(1024);
    t.disk.fail_next(call, fault);
    EXPECT_EQ(t.log->space().prepare_step(8192).status().code(), Code::kIoError);
    EXPECT_TRUE(t.log->space().failed());
    const uint64_t operations = t.disk.operations();
    EXPECT_EQ(t.log->space().prepare_step(8192).status().code(), Code::kIoError);
    EXPECT_EQ(t.log->space().prepared_end(), 5120u);
    EXPECT_EQ(t.disk.operations(), operations);
  }
}

}  // namespace
}  // namespace small_db
