// The submission ring between two threads, and between two processes of which one is killed.
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <cstring>
#include <random>
#include <thread>

#include "engine/base/crc32c.h"
#include "engine/shm/submission_ring.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

using SteadyClock = std::chrono::steady_clock;
constexpr auto kDeadline = std::chrono::seconds(30);

size_t nth_bytes(uint64_t sequence) {
  const uint64_t mixed = sequence * 0x9e3779b97f4a7c15u >> 32;
  return 4 + (mixed % 64 == 0 ? mixed % (kSubmissionBytesMin / 4 - 4) : mixed % 300);
}

// Every 4 bytes depend on sequence and place; the last ones are the checksum of the others.
void fill_nth(uint64_t sequence, std::byte* payload) {
  const size_t body = nth_bytes(sequence) - 4;
  for (size_t i = 0; i < body; ++i) payload[i] = static_cast<std::byte>(sequence * 31 + i);
  store(payload + body, crc32c({payload, body}));
}

bool is_nth(const Submission& submission, uint64_t sequence) {
  const size_t bytes = nth_bytes(sequence);
  if (submission.sequence != sequence || submission.cookie != ~sequence) return false;
  if (submission.payload.size() != bytes) return false;
  const Bytes body = submission.payload.first(bytes - 4);
  for (size_t i = 0; i < body.size(); ++i) {
    if (body[i] != static_cast<std::byte>(sequence * 31 + i)) return false;
  }
  return load<uint32_t>(submission.payload.data() + bytes - 4) == crc32c(body);
}

void produce(SubmissionProducer& producer, uint64_t sequence) {
  std::byte* payload = nullptr;
  while ((payload = producer.reserve(nth_bytes(sequence))) == nullptr) sched_yield();
  fill_nth(sequence, payload);
  producer.publish(SubmissionKind::kOperation, sequence, ~sequence);
}

TEST(SubmissionStress, CarriesWholePayloadsInOrderBetweenThreads) {
  constexpr uint64_t kEntries = 50'000;
  SharedRegion shared;
  std::thread producer_thread([&] {
    SubmissionProducer producer(shared.region(), 0);
    for (uint64_t sequence = 1; sequence <= kEntries; ++sequence) produce(producer, sequence);
  });
  SubmissionConsumer consumer(shared.region(), 0);
  uint64_t expected = 1;
  bool whole = true;
  // Reads to the end even after a failure, so that the producer ends.
  const auto deadline = SteadyClock::now() + kDeadline;
  while (expected <= kEntries && SteadyClock::now() < deadline) {
    const auto next = consumer.next();
    if (!next.is_ok()) break;
    if (!next.value().has_value()) {
      sched_yield();
      continue;
    }
    whole = whole && is_nth(*next.value(), expected++);
    release_submissions(shared.region(), 0, next.value()->end_position);
  }
  ASSERT_EQ(expected, kEntries + 1) << "the producer hangs";
  producer_thread.join();
  EXPECT_TRUE(whole);
  EXPECT_FALSE(consumer.ready());
}

// Reads what is there; false when something is torn.
bool drain(Region region, uint32_t slot, SubmissionConsumer& consumer, uint64_t& expected) {
  for (;;) {
    const auto next = consumer.next();
    if (!next.is_ok()) return false;
    if (!next.value().has_value()) return true;
    if (!is_nth(*next.value(), expected++)) return false;
    release_submissions(region, slot, next.value()->end_position);
  }
}

TEST(SubmissionStress, KilledProducerNeverLeavesATornEntry) {
  constexpr int kKills = 60;
  SharedRegion shared;
  const Region region = shared.region();
  std::mt19937_64 random(3);
  uint64_t entries = 0;
  for (int kills = 0; kills < kKills; ++kills) {
    const pid_t pid = fork();
    if (pid == 0) {
      const Result<ClaimedSlot> claimed = claim_slot(region);
      if (!claimed.is_ok()) _exit(1);
      SubmissionProducer producer(region, claimed.value().index);
      for (uint64_t sequence = 1;; ++sequence) produce(producer, sequence);
    }
    // Slot 0 is the only one that is ever used: each sweep frees it.
    SubmissionConsumer consumer(region, 0);
    uint64_t expected = 1;
    bool whole = true;
    const uint64_t kill_after = 1 + random() % 400;
    const auto deadline = SteadyClock::now() + kDeadline;
    while (whole && expected <= kill_after && SteadyClock::now() < deadline) {
      whole = drain(region, 0, consumer, expected);
      sched_yield();
    }
    kill(pid, SIGKILL);
    ASSERT_EQ(waitpid(pid, nullptr, 0), pid);
    ASSERT_TRUE(whole && drain(region, 0, consumer, expected)) << "kill " << kills;
    ASSERT_GT(expected, kill_after) << "the producer hung";
    entries += expected - 1;
    ASSERT_EQ(sweep_dead_slots(region), 1u);
  }
  EXPECT_GT(entries, uint64_t{kKills});
}

}  // namespace
}  // namespace small_db
