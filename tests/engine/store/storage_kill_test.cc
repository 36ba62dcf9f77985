// A storage process that is really killed, again and again, while a client in another process
// writes: every request is answered, and done exactly once, and reads go on.
#include <random>

#include "tests/engine/store/forked_owner.h"

namespace small_db {
namespace {

class StorageKill : public ForkedOwnerTest {};

TEST_F(StorageKill, EveryRequestIsDoneExactlyOnceAndReadsGoOn) {
  constexpr uint32_t kKills = 25;
  constexpr uint32_t kWindow = 24;
  std::mt19937 random(5);
  start_owner();
  ASSERT_TRUE(wait_until_serving());
  std::unique_ptr<Client> client = attach_client(region_);
  uint64_t submitted = 0;
  uint64_t answered = 0;
  uint32_t kills = 0;
  uint64_t kill_at = 40;
  uint64_t longest_gap_us = 0;
  uint64_t last_answer_us = system_clock().monotonic_us();
  while (kills < kKills || answered < submitted) {
    while (kills < kKills && submitted - answered < kWindow) {
      const std::string key = std::to_string(submitted % 500);
      const std::string value = std::to_string(submitted);
      ASSERT_TRUE(client->put(submitted + 1, as_bytes(key), as_bytes(value), 0).is_ok());
      ++submitted;
    }
    const uint32_t seen = bell_->load();
    WriteOutcome outcome;
    bool any = false;
    while (client->poll(&outcome)) {
      ASSERT_EQ(outcome.code, Code::kOk);
      ++answered;
      any = true;
      const uint64_t now = system_clock().monotonic_us();
      longest_gap_us = std::max(longest_gap_us, now - last_answer_us);
      last_answer_us = now;
      ASSERT_TRUE(read_value(*client, std::to_string((outcome.cookie - 1) % 500)).has_value());
    }
    if (answered >= kill_at && kills < kKills) {
      kill_owner(SIGKILL);
      ASSERT_TRUE(read_value(*client, "0").has_value()) << "reads need no owner";
      start_owner();
      ++kills;
      kill_at = answered + random() % 200;
    }
    if (any || !client->prepare_sleep()) continue;
    ASSERT_TRUE(futex_wait(*bell_, seen, kDeadlineUs)) << "no answer";
  }
  EXPECT_EQ(region_.header().revision.load(), submitted)
      << "a repeated request would have a revision of its own";
  RecordProperty("longest_gap_us", std::to_string(longest_gap_us));
}

TEST_F(StorageKill, RegionOfAnOwnerThatDiedByAFaultIsLoadedFromDisk) {
  start_owner();
  ASSERT_TRUE(wait_until_serving());
  std::unique_ptr<Client> client = attach_client(region_);
  ASSERT_TRUE(client->put(1, as_bytes("key"), as_bytes("value"), 0).is_ok());
  WriteOutcome outcome;
  for (uint32_t seen = bell_->load(); !client->poll(&outcome); seen = bell_->load()) {
    if (!client->prepare_sleep()) continue;
    ASSERT_TRUE(futex_wait(*bell_, seen, kDeadlineUs));
  }
  kill_owner(SIGSEGV);
  EXPECT_EQ(region_.header().distrust.load(), 1u);
  const uint64_t root = region_.header().published_root.load();
  // What the dead owner may have done to its last state.
  std::memset(region_.arena().data() + (root & 0xffffffff) * 16, 0xab, 64);
  start_owner();
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  while (read_value(*client, "key") != "value") {
    ASSERT_LT(system_clock().monotonic_us(), deadline);
    futex_wait(*bell_, bell_->load(), 1000);
  }
  EXPECT_EQ(region_.header().distrust.load(), 0u);
}

}  // namespace
}  // namespace small_db
