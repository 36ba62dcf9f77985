// What does not fit into a frame, or into the log.
#include <gtest/gtest.h>

#include "engine/committer/committer.h"
#include "tests/engine/wal/log_fixture.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

// A store with room for the longest frame, in memory and ahead in the log.
class LongFrames : public ::testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(store_.open().is_ok());
    store_.settle();
  }

  static StoreOptions options() {
    StoreOptions options;
    options.log_ahead_bytes = 96 * kMiB;
    options.log_prepare_step_bytes = 16 * kMiB;
    return options;
  }

  SimDisk disk_{1};
  TestRegion region_{256 * kMiB};
  SteppedStore store_{disk_, region_.region(), options()};
};

TEST_F(LongFrames, TwoGiantValuesAreNotPutIntoOne) {
  constexpr size_t kValueBytes = kFrameBodyBytesMax / 2 + kMiB;
  const std::string value(kValueBytes, 'v');
  std::vector<std::unique_ptr<Client>> clients;
  for (const char* key : {"one", "other"}) {
    clients.push_back(attach_client(region_.region()));
    ASSERT_TRUE(clients.back()->put(1, as_bytes(key), as_bytes(value), 0).is_ok());
  }
  WriteOutcome outcome;
  Committer::Drained drained = Committer::Drained::kAll;
  for (int round = 0; drained != Committer::Drained::kFull; ++round) {
    ASSERT_LT(round, 10'000);
    for (const std::unique_ptr<Client>& client : clients) ASSERT_FALSE(client->poll(&outcome));
    drained = store_.store().drain();
    while (store_.store().wants_preparation()) (void)store_.store().prepare();
    // Gives the rings back.
    if (store_.store().open_requests() == 0) store_.store().finish(store_.store().seal());
  }
  EXPECT_EQ(store_.store().open_requests(), 1u);
  store_.settle();
  for (const std::unique_ptr<Client>& client : clients) {
    ASSERT_TRUE(client->poll(&outcome));
    EXPECT_EQ(outcome.code, Code::kOk);
  }
}

TEST_F(LongFrames, ASetThatComesToMoreThanOneHoldsIsRefusedWhole) {
  constexpr size_t kKeysOfEach = (kFrameBodyBytesMax / 2 + kMiB) / kKeyBytesMax;
  const std::unique_ptr<Client> client = attach_client(region_.region());
  for (const char* prefix : {"a", "b"}) {
    for (size_t i = 0; i < kKeysOfEach; ++i) {
      std::string key = prefix + std::to_string(i) + "/";
      key.resize(kKeyBytesMax, 'k');
      ASSERT_EQ(store_.put(*client, key, "").code, Code::kOk);
    }
  }
  WriteSetBuilder one;
  one.erase_range(as_bytes("a"), as_bytes("b"));
  WriteSetBuilder both = one;
  both.erase_range(as_bytes("b"), as_bytes("c"));
  EXPECT_EQ(store_.write(*client, both).code, Code::kTooLarge);
  const std::string value(kFrameBodyBytesMax / 2, 'v');
  WriteSetBuilder and_more = one;
  and_more.put(as_bytes("c"), as_bytes(value), 0);
  EXPECT_EQ(store_.write(*client, and_more).code, Code::kTooLarge);
  EXPECT_EQ(region_.region().header().keys.load(), 2 * kKeysOfEach);
  EXPECT_EQ(store_.write(*client, one).records, kKeysOfEach);
  EXPECT_EQ(region_.region().header().keys.load(), kKeysOfEach);
}

TEST(CommitterLimits, AMarkThatFindsNoRoomInTheLogIsNotWritten) {
  SimDisk disk(1);
  const std::unique_ptr<Directory> directory = disk.mount();
  TestRegion region;
  TestEnvironment environment(disk.mount());
  Table table(region.region());
  table.clear();
  const Result<LogEnd> end =
      create_log(*directory, NewLog(), log_test::small_options(2 * kSectorBytes));
  ASSERT_TRUE(end.is_ok());
  const Result<std::unique_ptr<LogWriter>> log =
      LogWriter::open(*directory, end.value(), 1, 0, log_test::small_options(2 * kSectorBytes));
  ASSERT_TRUE(log.is_ok());
  Committer committer(region.region(), table, environment, environment, {});
  committer.start(log.value().get(), 0, 1, {});
  EXPECT_TRUE(committer.write_seal_frame().is_ok());
  EXPECT_TRUE(log.value()->reserve(kSectorBytes));
  EXPECT_EQ(committer.write_seal_frame().code(), Code::kNoDiskSpace);
}

}  // namespace
}  // namespace small_db
