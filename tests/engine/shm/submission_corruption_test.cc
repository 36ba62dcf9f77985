// What the owner makes of a ring that its producer, or anyone who can write to the region, has
// scribbled over: kCorruption, never an access outside of the ring.
#include <gtest/gtest.h>

#include <functional>
#include <random>

#include "engine/shm/submission_ring.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

constexpr uint32_t kRingBytes = kSubmissionBytesMin;
constexpr uint32_t kPayloadBytesMax = kRingBytes / 4;

class SubmissionCorruption : public ::testing::Test {
 protected:
  SharedRegion shared_;
  Region region_ = shared_.region();
  Slot& slot_ = region_.slot(0);

  void put(size_t offset, const SubmissionHeader& header) {
    store(region_.submissions(0).data() + offset, header);
  }
  void set_positions(uint64_t head, uint64_t tail) {
    slot_.submission_head.store(head);
    slot_.submission_tail.store(tail);
  }
  Code read() {
    SubmissionConsumer consumer(region_, 0);
    const uint64_t position = consumer.position();
    const Code code = consumer.next().status().code();
    if (code == Code::kOk) return code;
    EXPECT_EQ(consumer.position(), position);
    EXPECT_EQ(consumer.next().status().code(), code);  // it stays
    EXPECT_TRUE(consumer.ready());
    return code;
  }
};

SubmissionHeader good_header() { return {80, SubmissionKind::kOperation, 1, 2, 40, 0}; }

TEST_F(SubmissionCorruption, IsFoundInEachFieldOfTheHeader) {
  const auto read_with = [&](const std::function<void(SubmissionHeader&)>& change) {
    SubmissionHeader header = good_header();
    change(header);
    put(0, header);
    set_positions(0, 160);
    return read();
  };
  EXPECT_EQ(read_with([](auto&) {}), Code::kOk);
  for (uint32_t bytes : {0u, 1u, 16u, 32u, 64u, 79u, 81u, 96u, 160u, 176u, 1u << 31, UINT32_MAX}) {
    EXPECT_EQ(read_with([&](auto& header) { header.entry_bytes = bytes; }), Code::kCorruption)
        << bytes;
  }
  for (uint32_t kind : {6u, 9u, 256u, UINT32_MAX}) {
    EXPECT_EQ(read_with([&](auto& header) { header.kind = static_cast<SubmissionKind>(kind); }),
              Code::kCorruption)
        << kind;
  }
  for (uint32_t bytes : {0u, 32u, 49u, 64u, kPayloadBytesMax + 1, UINT32_MAX, UINT32_MAX - 31}) {
    EXPECT_EQ(read_with([&](auto& header) { header.payload_bytes = bytes; }), Code::kCorruption)
        << bytes;
  }
  EXPECT_EQ(read_with([](auto& header) { header.sequence = 0; }), Code::kCorruption);
  EXPECT_EQ(read_with([](auto& header) { header.reserved = 1; }), Code::kCorruption);
  EXPECT_EQ(read_with([](auto& header) { header.kind = SubmissionKind::kStreamAbort; }),
            Code::kCorruption);
}

TEST_F(SubmissionCorruption, IsFoundWhenTheEntryReachesBeyondTheTail) {
  put(0, good_header());
  for (uint64_t tail : {16u, 32u, 48u, 64u}) {
    set_positions(0, tail);
    EXPECT_EQ(read(), Code::kCorruption) << tail;
  }
  set_positions(0, 80);
  EXPECT_EQ(read(), Code::kOk);
}

TEST_F(SubmissionCorruption, IsFoundWhenTheEntryReachesBeyondTheEnd) {
  put(kRingBytes - 64, good_header());
  set_positions(kRingBytes - 64, kRingBytes + 64);
  EXPECT_EQ(read(), Code::kCorruption);
  put(kRingBytes - 80, good_header());
  set_positions(kRingBytes - 80, kRingBytes + 64);
  EXPECT_EQ(read(), Code::kOk);
}

TEST_F(SubmissionCorruption, IsFoundWhenNoHeaderFitsAtTheEnd) {
  const SubmissionHeader header = {32, SubmissionKind::kOperation, 1, 1, 0, 0};
  std::byte* end = region_.submissions(0).data() + kRingBytes - 16;
  copy_bytes(end, Bytes(reinterpret_cast<const std::byte*>(&header), 16));
  set_positions(kRingBytes - 16, kRingBytes + 16);
  EXPECT_EQ(read(), Code::kCorruption);
}

TEST_F(SubmissionCorruption, IsFoundWhenTheEntryIsTooLong) {
  put(0, {kPayloadBytesMax + 48, SubmissionKind::kOperation, 1, 1, kPayloadBytesMax + 16, 0});
  set_positions(0, kRingBytes);
  EXPECT_EQ(read(), Code::kCorruption);
  put(0, {kPayloadBytesMax + 32, SubmissionKind::kOperation, 1, 1, kPayloadBytesMax, 0});
  EXPECT_EQ(read(), Code::kOk);
}

TEST_F(SubmissionCorruption, IsFoundInPositions) {
  put(0, good_header());
  for (uint64_t tail : {uint64_t{1}, uint64_t{88}, uint64_t{kRingBytes} + 16, UINT64_MAX,
                        UINT64_MAX - 15, uint64_t{1} << 63}) {
    set_positions(0, tail);
    EXPECT_EQ(read(), Code::kCorruption) << tail;
  }
  set_positions(160, 80);  // a tail that went back
  EXPECT_EQ(read(), Code::kCorruption);
  put(8, good_header());
  set_positions(8, 88);
  EXPECT_EQ(read(), Code::kCorruption);
}

TEST_F(SubmissionCorruption, IsFoundInPadding) {
  const uint32_t offset = kRingBytes - 64;
  const auto read_with = [&](uint32_t padding_bytes, uint64_t tail, uint32_t second_kind = 1) {
    put(offset, {padding_bytes, SubmissionKind::kPadding, 0, 0, 0, 0});
    SubmissionHeader header = good_header();
    header.kind = static_cast<SubmissionKind>(second_kind);
    put(0, header);
    set_positions(offset, tail);
    return read();
  };
  EXPECT_EQ(read_with(64, kRingBytes + 80), Code::kOk);
  for (uint32_t bytes : {0u, 16u, 63u, 65u, 80u, UINT32_MAX}) {
    EXPECT_EQ(read_with(bytes, kRingBytes + 80), Code::kCorruption) << bytes;
  }
  EXPECT_EQ(read_with(64, kRingBytes - 16), Code::kCorruption);     // beyond the tail
  EXPECT_EQ(read_with(64, kRingBytes), Code::kCorruption);          // no entry follows
  EXPECT_EQ(read_with(64, kRingBytes + 64), Code::kCorruption);     // the entry is cut
  EXPECT_EQ(read_with(64, kRingBytes + 80, 0), Code::kCorruption);  // padding again
  // Padding of the whole ring.
  put(0, {kRingBytes, SubmissionKind::kPadding, 0, 0, 0, 0});
  set_positions(0, kRingBytes);
  EXPECT_EQ(read(), Code::kCorruption);
}

TEST_F(SubmissionCorruption, NeverLeadsOutOfTheRing) {
  std::mt19937_64 random(7);
  const MutableBytes ring = region_.submissions(0);
  int entries = 0;
  for (int round = 0; round < 20'000; ++round) {
    const uint64_t head = random() % 4096 * 16;
    // Half plausible, so that the checks behind the first ones get their turn.
    SubmissionHeader header{static_cast<uint32_t>(random() % 64 * 16),
                            static_cast<SubmissionKind>(random() % 7),
                            random() % 4,
                            random(),
                            static_cast<uint32_t>(random() % 1024),
                            static_cast<uint32_t>(random() % 8 == 0)};
    if (random() % 2 == 0) {
      header.entry_bytes = static_cast<uint32_t>(submission_entry_bytes(header.payload_bytes));
    }
    const size_t offset = head % kRingBytes;
    const size_t bytes = std::min<size_t>(sizeof(header), kRingBytes - offset);
    copy_bytes(ring.data() + offset, Bytes(reinterpret_cast<std::byte*>(&header), bytes));
    set_positions(head, head + random() % (kRingBytes / 16 + 8) * 16);
    SubmissionConsumer consumer(region_, 0);
    const auto next = consumer.next();
    if (!next.is_ok() || !next.value().has_value()) continue;
    const Bytes payload = next.value()->payload;
    ASSERT_GE(payload.data(), ring.data());
    ASSERT_LE(payload.data() + payload.size(), ring.data() + ring.size());
    ASSERT_LE(consumer.position(), slot_.submission_tail.load());
    ++entries;
  }
  EXPECT_GT(entries, 1000);
}

}  // namespace
}  // namespace small_db
