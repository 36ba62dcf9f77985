// A checkpoint of a store whose memory is nearly full, while everything in it is overwritten.
#include <gtest/gtest.h>

#include "engine/store/store.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

constexpr size_t kValueBytes = 10'000;

std::string key_of(int number) { return "key" + std::to_string(1000 + number); }

std::string value_of(int round, int number) {
  return std::string(kValueBytes, static_cast<char>('a' + (round + number) % 26));
}

class LowMemoryTest : public ::testing::Test {
 protected:
  LowMemoryTest() : disk_(1) {
    StoreOptions options = small_store_options();
    options.log_ahead_bytes = kMiB;
    options.log_prepare_step_bytes = 256 * kKiB;
    options.batch_bytes_max = 64 * kKiB;
    options.checkpoint_step_bytes = 2 * kValueBytes;
    store_ = std::make_unique<SteppedStore>(disk_, region_.region(), options);
    EXPECT_TRUE(store_->open().is_ok());
    client_ = attach_client(region_.region());
    store_->settle();
  }

  uint64_t free_bytes() const { return region_.region().header().arena_free_bytes.load(); }

  // Takes the steps of commit alone, not those of the checkpoint.
  Code put(int round, int number) {
    const std::string value = value_of(round, number);
    EXPECT_TRUE(client_->put(++cookie_, as_bytes(key_of(number)), as_bytes(value), 0).is_ok());
    for (int step = 0; step < 100; ++step) {
      Store& store = store_->store();
      store.drain();
      store.maintain();
      if (store.has_work()) store.finish(store.seal());
      if (store.wants_preparation()) store.prepare();
      WriteOutcome outcome;
      if (client_->poll(&outcome)) return outcome.code;
    }
    return Code::kInterrupted;
  }

  SimDisk disk_;
  TestRegion region_;
  std::unique_ptr<SteppedStore> store_;
  std::unique_ptr<Client> client_;
  uint64_t cookie_ = 0;
};

TEST_F(LowMemoryTest, CheckpointGoesOnInNewerStatesAndNothingIsRefused) {
  int keys = 0;
  while (free_bytes() > region_.region().header().arena_bytes / 10) {
    ASSERT_EQ(put(0, keys), Code::kOk) << keys;
    ++keys;
  }
  ASSERT_GT(keys, 50);
  store_->store().request_checkpoint();
  Store& store = store_->store();
  while (!store.wants_log_switch()) store.checkpoint_step();
  store.switch_log();
  // Everything is overwritten several times while the walk is under way: with one state pinned, all
  // of it twice would not fit.
  int round = 0;
  while (store.checkpointer().is_requested()) {
    ++round;
    for (int i = 0; i < 10; ++i) {
      const int number = (round * 10 + i) % keys;
      ASSERT_EQ(put(round, number), Code::kOk) << "round " << round;
    }
    store.checkpoint_step();
  }
  EXPECT_GT(round * 10, keys) << "not all was overwritten";
  const std::string& line = store_->environment().lines.back();
  EXPECT_NE(line.find("states in turn"), std::string::npos) << line;

  std::map<int, std::string> expected;
  for (int number = 0; number < keys; ++number)
    expected[number] = read_value(*client_, key_of(number)).value_or("none");
  disk_.kill_process();
  client_.reset();
  store_.reset();
  region_ = TestRegion();
  store_ = std::make_unique<SteppedStore>(disk_, region_.region());
  ASSERT_TRUE(store_->open().is_ok()) << region_.region().reason();
  client_ = attach_client(region_.region());
  for (const auto& [number, value] : expected)
    EXPECT_TRUE(read_value(*client_, key_of(number)) == value) << number;
}

}  // namespace
}  // namespace small_db
