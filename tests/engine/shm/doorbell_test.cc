#include "engine/shm/doorbell.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "engine/shm/submission_ring.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

constexpr uint64_t kDeadlineUs = 20'000'000;

TEST(Doorbell, IsNotTouchedWhileTheOwnerIsAwake) {
  SharedRegion shared;
  ring_doorbell(shared.region());
  EXPECT_EQ(shared.region().header().doorbell.load(), 0u);
  { DoorbellWait wait(shared.region()); }
  ring_doorbell(shared.region());
  EXPECT_EQ(shared.region().header().doorbell.load(), 0u);
}

TEST(Doorbell, EndsASleepThatBeginsAfterTheRing) {
  SharedRegion shared;
  DoorbellWait wait(shared.region());
  ring_doorbell(shared.region());
  EXPECT_TRUE(wait.sleep(kDeadlineUs));
  EXPECT_TRUE(wait.sleep(kDeadlineUs));
}

TEST(Doorbell, SleepEndsAtTheTimeout) {
  SharedRegion shared;
  ring_doorbell(shared.region());  // of nobody's sleep
  DoorbellWait wait(shared.region());
  while (wait.sleep(1000)) {
  }
  SUCCEED();
}

TEST(Doorbell, StaysAnnouncedWhenARingerDies) {
  SharedRegion shared;
  DoorbellWait wait(shared.region());
  // A ringer that is killed after its look at the announcement leaves this: another one must ring.
  ring_doorbell(shared.region());
  EXPECT_EQ(shared.region().header().owner_sleeps.load(), 1u);
  ring_doorbell(shared.region());
  EXPECT_EQ(shared.region().header().doorbell.load(), 4u);
}

TEST(Doorbell, IsRungOnceForEachSleepByWhoRingsOften) {
  SharedRegion shared;
  const std::atomic<uint32_t>& doorbell = shared.region().header().doorbell;
  DoorbellRinger ringer(shared.region());
  DoorbellRinger other(shared.region());
  ringer.ring();
  EXPECT_EQ(doorbell.load(), 0u);
  for (uint32_t sleep = 1; sleep <= 3; sleep++) {
    DoorbellWait wait(shared.region());
    for (int i = 0; i < 5; i++) ringer.ring();
    EXPECT_EQ(doorbell.load(), 4 * sleep - 2);
    EXPECT_TRUE(wait.sleep(kDeadlineUs));
    // Another process can't know that the first one got as far as waking the owner.
    other.ring();
    EXPECT_EQ(doorbell.load(), 4 * sleep);
  }
}

// A ring that answers a sleep which ended meanwhile ends the next one, too, if that saw the
// doorbell before it.
TEST(Doorbell, AnAnswerToAnEarlierSleepEndsOneThatIsAnnouncedAlike) {
  SharedRegion shared;
  DoorbellRinger ringer(shared.region());
  { DoorbellWait wait(shared.region()); }
  DoorbellWait wait(shared.region());
  ringer.ring();
  ringer.ring();
  EXPECT_TRUE(wait.sleep(kDeadlineUs));
}

// The owner sleeps before each entry; a ring that is lost shows as a sleep to the deadline.
TEST(Doorbell, IsNeverLostBetweenThreads) {
  constexpr uint64_t kRounds = 100'000;
  SharedRegion shared;
  const Region region = shared.region();
  std::atomic<bool> lost = false;
  std::thread owner([&] {
    SubmissionConsumer consumer(region, 0);
    for (uint64_t round = 1; round <= kRounds; ++round) {
      while (!consumer.ready()) {
        DoorbellWait wait(region);
        if (consumer.ready()) break;
        if (!wait.sleep(kDeadlineUs)) {
          lost.store(true);
          return;
        }
      }
      release_submissions(region, 0, consumer.next().value()->end_position);
    }
  });
  SubmissionProducer producer(region, 0);
  DoorbellRinger ringer(region);
  for (uint64_t round = 1; round <= kRounds && !lost.load(); ++round) {
    producer.reserve(0);
    producer.publish(SubmissionKind::kOperation, round, 0);
    ringer.ring();
    // The next round begins while the owner is about to announce its sleep.
    for (int spin = 0; region.slot(0).submission_head.load(std::memory_order_acquire) <
                           round * sizeof(SubmissionHeader) &&
                       !lost.load();
         ++spin) {
      if (spin > 1000) sched_yield();
    }
  }
  owner.join();
  EXPECT_FALSE(lost.load());
}

}  // namespace
}  // namespace small_db
