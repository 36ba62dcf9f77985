#include "engine/shm/submission_ring.h"

#include <gtest/gtest.h>

#include <cstring>
#include <deque>
#include <random>
#include <vector>

#include "engine/base/crc32c.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

constexpr size_t kRingBytes = kSubmissionBytesMin;

class SubmissionRing : public ::testing::Test {
 protected:
  SharedRegion shared_;
  Region region_ = shared_.region();
  SubmissionProducer producer_{region_, 0};
  SubmissionConsumer consumer_{region_, 0};
  uint64_t sequence_ = 0;

  // Publishes a payload of `bytes` times `value`; false when the ring is full.
  bool publish(size_t bytes, int value = 0, SubmissionKind kind = SubmissionKind::kOperation) {
    std::byte* payload = producer_.reserve(bytes);
    if (payload == nullptr) return false;
    std::memset(payload, value, bytes);
    ++sequence_;
    producer_.publish(kind, sequence_, sequence_ * 10);
    return true;
  }

  Submission read() { return consumer_.next().value().value(); }

  void read_and_release() {
    const Submission submission = read();
    release_submissions(region_, 0, submission.end_position);
  }
};

TEST_F(SubmissionRing, WritesTheGoldenEntry) {
  std::byte* payload = producer_.reserve(5);
  std::memcpy(payload, "hello", 5);
  producer_.publish(SubmissionKind::kStreamChunk, 0x0102030405060708, 0x1112131415161718);
  const unsigned char expected[] = {
      0x30, 0,    0,    0,    3,    0,    0,    0,     // 48 bytes, stream chunk
      0x08, 0x07, 0x06, 0x05, 0x04, 0x03, 0x02, 0x01,  // sequence
      0x18, 0x17, 0x16, 0x15, 0x14, 0x13, 0x12, 0x11,  // cookie
      5,    0,    0,    0,    0,    0,    0,    0,     // payload bytes, reserved
      'h',  'e',  'l',  'l',  'o'};
  EXPECT_EQ(std::memcmp(region_.submissions(0).data(), expected, sizeof(expected)), 0);
  EXPECT_EQ(region_.slot(0).submission_tail.load(), 48u);
}

TEST_F(SubmissionRing, KeepsTheNumbersOfTheKinds) {
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kPadding), 0u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kOperation), 1u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kStreamBegin), 2u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kStreamChunk), 3u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kStreamEnd), 4u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kStreamAbort), 5u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kWriteSet), 7u);
  EXPECT_EQ(static_cast<uint32_t>(SubmissionKind::kWriteSetBegin), 8u);
}

TEST_F(SubmissionRing, ReturnsWhatWasPublished) {
  EXPECT_FALSE(consumer_.ready());
  EXPECT_FALSE(consumer_.next().value().has_value());
  ASSERT_TRUE(publish(100, 7, SubmissionKind::kStreamBegin));
  ASSERT_TRUE(publish(0, 0, SubmissionKind::kStreamAbort));
  EXPECT_TRUE(consumer_.ready());
  const Submission first = read();
  EXPECT_EQ(first.kind, SubmissionKind::kStreamBegin);
  EXPECT_EQ(first.sequence, 1u);
  EXPECT_EQ(first.cookie, 10u);
  EXPECT_EQ(first.payload.size(), 100u);
  EXPECT_EQ(first.payload[99], std::byte{7});
  EXPECT_EQ(first.end_position, 144u);
  const Submission second = read();
  EXPECT_EQ(second.kind, SubmissionKind::kStreamAbort);
  EXPECT_TRUE(second.payload.empty());
  EXPECT_EQ(consumer_.position(), 176u);
  EXPECT_FALSE(consumer_.ready());
}

TEST_F(SubmissionRing, ShowsNothingBeforePublish) {
  ASSERT_NE(producer_.reserve(1000), nullptr);
  EXPECT_FALSE(consumer_.ready());
  ASSERT_TRUE(publish(8, 1));  // replaces the reservation
  EXPECT_EQ(read().payload.size(), 8u);
  EXPECT_FALSE(consumer_.ready());
}

TEST_F(SubmissionRing, IsFullUntilReleased) {
  const size_t payload = 1024 - sizeof(SubmissionHeader);
  for (size_t i = 0; i < kRingBytes / 1024; ++i) ASSERT_TRUE(publish(payload));
  EXPECT_FALSE(publish(0));
  const Submission first = read();
  EXPECT_FALSE(publish(0));  // reading alone gives nothing back
  release_submissions(region_, 0, first.end_position);
  EXPECT_FALSE(publish(payload + 1));
  EXPECT_TRUE(publish(payload));
  EXPECT_FALSE(publish(0));
}

TEST_F(SubmissionRing, TakesTheLongestPayloadAtEveryOffset) {
  ASSERT_EQ(producer_.payload_bytes_max(), kRingBytes / 4);
  for (size_t offset = 0; offset < kRingBytes; offset += kEntryAlignment) {
    // An empty ring whose positions stand at `offset`.
    region_.slot(0).submission_tail.store(offset);
    region_.slot(0).submission_head.store(offset);
    producer_ = SubmissionProducer(region_, 0);
    consumer_ = SubmissionConsumer(region_, 0);
    ASSERT_TRUE(publish(producer_.payload_bytes_max(), static_cast<int>(offset / 16))) << offset;
    const Submission submission = read();
    ASSERT_EQ(submission.payload.size(), kRingBytes / 4);
    ASSERT_EQ(submission.payload.front(), static_cast<std::byte>(offset / 16));
    ASSERT_EQ(submission.payload.back(), static_cast<std::byte>(offset / 16));
    ASSERT_LE(submission.payload.data() + submission.payload.size(),
              region_.submissions(0).data() + kRingBytes);
    ASSERT_FALSE(consumer_.ready());
  }
}

TEST_F(SubmissionRing, PublishesPaddingTogetherWithItsEntry) {
  // Up to 16 bytes before the end, where not even a header fits.
  for (int i = 0; i < 3; ++i) ASSERT_TRUE(publish(4096 - 32));
  ASSERT_TRUE(publish(4096 - 32 - 16));
  for (int i = 0; i < 4; ++i) read_and_release();
  ASSERT_EQ(consumer_.position(), kRingBytes - 16);

  ASSERT_NE(producer_.reserve(16), nullptr);
  EXPECT_FALSE(consumer_.ready());
  producer_.publish(SubmissionKind::kOperation, 9, 9);
  EXPECT_EQ(region_.slot(0).submission_tail.load(), kRingBytes + 48);
  const Submission submission = read();
  EXPECT_EQ(submission.payload.data(), region_.submissions(0).data() + 32);
  EXPECT_EQ(submission.end_position, kRingBytes + 48);
}

TEST_F(SubmissionRing, IsReadAgainFromTheHeadByANewOwner) {
  for (int i = 1; i <= 3; ++i) ASSERT_TRUE(publish(10, i));
  read_and_release();
  EXPECT_EQ(read().sequence, 2u);
  SubmissionConsumer next_owner(region_, 0);
  EXPECT_EQ(next_owner.next().value()->sequence, 2u);
  EXPECT_EQ(next_owner.next().value()->sequence, 3u);
  EXPECT_FALSE(next_owner.next().value().has_value());
}

TEST_F(SubmissionRing, IsFullWhenTheHeadMakesNoSense) {
  for (size_t i = 0; i < 4; ++i) ASSERT_TRUE(publish(4096 - 32));
  for (uint64_t head : {uint64_t{1} << 40, UINT64_MAX, uint64_t{kRingBytes} + 16}) {
    region_.slot(0).submission_head.store(head);
    EXPECT_FALSE(publish(0)) << head;
  }
  region_.slot(0).submission_head.store(kRingBytes);
  EXPECT_TRUE(publish(0));
}

// Against a queue, with every mix of sizes, fill levels and turns round the ring.
TEST_F(SubmissionRing, AgreesWithAQueue) {
  struct Expected {
    uint64_t sequence;
    uint32_t crc;
    size_t bytes;
  };
  std::mt19937_64 random(1);
  std::deque<Expected> unread;
  uint64_t release_to = 0;
  uint64_t full = 0;
  for (int step = 0; step < 50'000; ++step) {
    if (random() % 16 == 0) release_submissions(region_, 0, release_to);
    if (random() % 2 == 0) {
      const size_t largest = random() % 8 == 0 ? producer_.payload_bytes_max() : 200;
      const size_t bytes = random() % (largest + 1);
      std::byte* payload = producer_.reserve(bytes);
      if (payload == nullptr) {
        ++full;
        const uint64_t used = region_.slot(0).submission_tail - region_.slot(0).submission_head;
        ASSERT_GT(used + 2 * submission_entry_bytes(bytes), kRingBytes);
        continue;
      }
      const uint64_t seed = random();
      for (size_t i = 0; i < bytes; ++i) payload[i] = static_cast<std::byte>(seed * (i + 1) >> 32);
      ++sequence_;
      unread.push_back({sequence_, crc32c({payload, bytes}), bytes});
      producer_.publish(SubmissionKind::kOperation, sequence_, ~sequence_);
    } else {
      const Result<std::optional<Submission>> next = consumer_.next();
      ASSERT_TRUE(next.is_ok());
      ASSERT_EQ(next.value().has_value(), !unread.empty());
      if (unread.empty()) continue;
      ASSERT_EQ(next.value()->sequence, unread.front().sequence);
      ASSERT_EQ(next.value()->cookie, ~unread.front().sequence);
      ASSERT_EQ(next.value()->payload.size(), unread.front().bytes);
      ASSERT_EQ(crc32c(next.value()->payload), unread.front().crc);
      release_to = next.value()->end_position;
      unread.pop_front();
    }
  }
  EXPECT_GT(full, 100u);
  EXPECT_GT(consumer_.position(), 100 * kRingBytes);
}

}  // namespace
}  // namespace small_db
