#include "engine/shm/completion_ring.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <thread>

#include "engine/platform/futex.h"
#include "engine/shm/slot.h"
#include "engine/shm/submission_ring.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

constexpr uint32_t kRingEntries = kSubmissionBytesMin / 64;
constexpr uint64_t kDeadlineUs = 20'000'000;

Completion nth(uint64_t n) {
  return {n,
          n * 3,
          n * 5,
          -static_cast<int64_t>(n),
          static_cast<uint32_t>(n % 7),
          static_cast<uint32_t>(n + 1)};
}

bool is_nth(const Completion& completion, uint64_t n) {
  const Completion expected = nth(n);
  return completion.sequence == expected.sequence && completion.cookie == expected.cookie &&
         completion.revision == expected.revision && completion.number == expected.number &&
         completion.code == expected.code && completion.records == expected.records;
}

TEST(CompletionRing, ShowsABatchAtOnce) {
  SharedRegion shared;
  const Region region = shared.region();
  for (uint32_t i = 0; i < 3; ++i) ASSERT_TRUE(put_completion(region, 1, i, nth(i)));
  EXPECT_FALSE(take_completion(region, 1).has_value());
  publish_completions(region, 1, 3);
  for (uint32_t i = 0; i < 3; ++i) EXPECT_TRUE(is_nth(take_completion(region, 1).value(), i));
  EXPECT_FALSE(take_completion(region, 1).has_value());
  EXPECT_FALSE(take_completion(region, 0).has_value());
}

TEST(CompletionRing, RingsOncePerBatchAndOnlyWhenAsked) {
  SharedRegion shared;
  const Region region = shared.region();
  ASSERT_TRUE(put_completion(region, 0, 0, nth(0)));
  publish_completions(region, 0, 1);
  EXPECT_FALSE(take_bell_wish(region, 0));
  EXPECT_TRUE(want_bell(region, 0));  // there is something to read already
  EXPECT_TRUE(take_completion(region, 0).has_value());
  EXPECT_FALSE(want_bell(region, 0));
  for (uint32_t i = 0; i < 10; ++i) ASSERT_TRUE(put_completion(region, 0, i, nth(i)));
  publish_completions(region, 0, 10);
  EXPECT_TRUE(take_bell_wish(region, 0));
  ASSERT_TRUE(put_completion(region, 0, 0, nth(10)));
  publish_completions(region, 0, 1);
  EXPECT_FALSE(take_bell_wish(region, 0));
}

TEST(CompletionRing, IsFullUntilTaken) {
  SharedRegion shared;
  const Region region = shared.region();
  for (uint32_t i = 0; i < kRingEntries; ++i) ASSERT_TRUE(put_completion(region, 0, i, nth(i)));
  EXPECT_FALSE(put_completion(region, 0, kRingEntries, nth(0)));
  publish_completions(region, 0, kRingEntries);
  EXPECT_FALSE(put_completion(region, 0, 0, nth(0)));
  EXPECT_TRUE(is_nth(take_completion(region, 0).value(), 0));
  EXPECT_TRUE(put_completion(region, 0, 0, nth(kRingEntries)));
  EXPECT_FALSE(put_completion(region, 0, 1, nth(0)));
}

TEST(CompletionRing, KeepsOrderOverManyTurns) {
  SharedRegion shared;
  const Region region = shared.region();
  uint64_t put = 0;
  uint64_t taken = 0;
  for (uint32_t round = 0; round < 5000; ++round) {
    const uint32_t batch = round * 37 % kRingEntries;
    for (uint32_t i = 0; i < batch; ++i) ASSERT_TRUE(put_completion(region, 0, i, nth(put++)));
    publish_completions(region, 0, batch);
    while (const auto completion = take_completion(region, 0)) {
      ASSERT_TRUE(is_nth(*completion, taken++));
    }
    ASSERT_EQ(put, taken);
  }
}

TEST(CompletionRing, DropsWhenTheHeadMakesNoSense) {
  SharedRegion shared;
  const Region region = shared.region();
  region.slot(0).completion_tail.store(1000);
  for (uint64_t head : {uint64_t{1001}, uint64_t{1000 - kRingEntries}, UINT64_MAX}) {
    region.slot(0).completion_head.store(head);
    EXPECT_FALSE(put_completion(region, 0, 0, nth(0))) << head;
  }
}

TEST(CompletionRing, HasNothingToReadWhenTheTailMakesNoSense) {
  SharedRegion shared;
  const Region region = shared.region();
  region.slot(0).completion_head.store(1000);
  for (uint64_t tail : {uint64_t{999}, uint64_t{1001 + kRingEntries}, UINT64_MAX}) {
    region.slot(0).completion_tail.store(tail);
    EXPECT_FALSE(take_completion(region, 0).has_value()) << tail;
    EXPECT_FALSE(want_bell(region, 0)) << tail;
  }
}

// The holder sleeps before each batch; a bell that is lost shows as a sleep to the deadline.
TEST(CompletionRing, BellIsNeverLostBetweenThreads) {
  constexpr uint64_t kBatches = 50'000;
  constexpr uint32_t kBatch = 4;
  SharedRegion shared;
  const Region region = shared.region();
  std::atomic<uint32_t> bell = 0;
  std::atomic<bool> failed = false;
  std::thread holder([&] {
    for (uint64_t taken = 0; taken < kBatches * kBatch;) {
      if (const auto completion = take_completion(region, 0)) {
        if (!is_nth(*completion, taken++)) failed.store(true);
        continue;
      }
      const uint32_t seen = bell.load();
      if (want_bell(region, 0)) continue;
      if (!futex_wait(bell, seen, kDeadlineUs)) failed.store(true);
      if (failed.load()) return;
    }
  });
  uint64_t put = 0;
  uint32_t pending = 0;
  while (put < kBatches * kBatch && !failed.load()) {
    if (!put_completion(region, 0, pending, nth(put))) {
      sched_yield();
      continue;
    }
    ++put;
    if (++pending < kBatch) continue;
    publish_completions(region, 0, pending);
    if (take_bell_wish(region, 0)) {
      bell.fetch_add(1);
      futex_wake(bell, 1);
    }
    pending = 0;
    if (put % 64 != 0) continue;  // now and then until the holder is about to sleep
    while (region.slot(0).completion_head.load() != put && !failed.load()) {
    }
  }
  holder.join();
  EXPECT_FALSE(failed.load());
}

// A producer that found the ring full has no answer to wait for, when all were given before the
// room was: the bell alone wakes it.
TEST(CompletionRing, BellRingsForRoomThatComesAfterTheAnswers) {
  SharedRegion shared;
  const Region region = shared.region();
  SubmissionProducer producer(region, 0);
  while (producer.reserve(1000) != nullptr) {
    producer.publish(SubmissionKind::kOperation, 1, 1);
  }
  SubmissionConsumer consumer(region, 0);
  while (consumer.next().value().has_value()) {
  }
  ASSERT_TRUE(put_completion(region, 0, 0, nth(0)));
  publish_completions(region, 0, 1);
  ASSERT_TRUE(take_completion(region, 0).has_value());
  EXPECT_FALSE(producer.room_came());
  EXPECT_FALSE(want_bell(region, 0));
  release_submissions(region, 0, consumer.position());
  EXPECT_TRUE(take_bell_wish(region, 0));
  EXPECT_TRUE(producer.room_came());
}

TEST(CompletionRing, BellIsNeverLostWhenRoomComes) {
  constexpr uint64_t kEntries = 100'000;
  constexpr size_t kPayload = kSubmissionBytesMin / 4;
  SharedRegion shared;
  const Region region = shared.region();
  std::atomic<uint32_t> bell = 0;
  std::atomic<uint64_t> published = 0;
  std::atomic<bool> failed = false;
  std::thread holder([&] {
    SubmissionProducer producer(region, 0);
    while (published.load() < kEntries && !failed.load()) {
      if (producer.reserve(kPayload) != nullptr) {
        producer.publish(SubmissionKind::kOperation, 1, 1);
        published.fetch_add(1);
        continue;
      }
      const uint32_t seen = bell.load();
      if (want_bell(region, 0) || producer.room_came()) continue;
      if (!futex_wait(bell, seen, kDeadlineUs)) failed.store(true);
    }
  });
  SubmissionConsumer consumer(region, 0);
  for (uint64_t read = 0; read < kEntries && !failed.load();) {
    if (!consumer.next().value().has_value()) continue;
    ++read;
    release_submissions(region, 0, consumer.position());
    if (!take_bell_wish(region, 0)) continue;
    bell.fetch_add(1);
    futex_wake(bell, 1);
  }
  holder.join();
  EXPECT_FALSE(failed.load());
  EXPECT_EQ(published.load(), kEntries);
}

}  // namespace
}  // namespace small_db
