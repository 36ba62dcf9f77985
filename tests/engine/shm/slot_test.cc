#include "engine/shm/slot.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <set>
#include <vector>

#include "engine/shm/completion_ring.h"
#include "engine/shm/submission_ring.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

bool is_zero(const Slot& slot) {
  uint64_t bits = slot.holder | slot.start_time | slot.wants_bell | slot.watches_log |
                  slot.submission_tail | slot.submission_head | slot.completion_tail |
                  slot.completion_head;
  for (const auto& pin : slot.pins) bits |= pin;
  return bits == 0;
}

TEST(Slot, IsClaimedForTheCallingProcess) {
  SharedRegion shared;
  const ClaimedSlot claimed = claim_slot(shared.region()).value();
  EXPECT_EQ(claimed.index, 0u);
  EXPECT_EQ(claimed.holder.pid, static_cast<uint32_t>(getpid()));
  EXPECT_EQ(claimed.holder.incarnation, 1u);
  EXPECT_EQ(slot_holder(shared.region(), 0), claimed.holder);
  EXPECT_EQ(shared.region().slot(0).start_time.load(), process_start_time(claimed.holder.pid));
  EXPECT_NE(shared.region().slot(0).start_time.load(), 0u);
  EXPECT_EQ(shared.region().header().sweep_wanted.load(), 1u);
}

TEST(Slot, PacksItsHolderIntoOneWord) {
  const SlotHolder holder{0x12345678, 0x9abcdef0};
  EXPECT_EQ(holder.pack(), 0x123456789abcdef0u);
  EXPECT_EQ(SlotHolder::unpack(0x123456789abcdef0u), holder);
}

TEST(Slot, ClaimIsOverloadedWhenNoneIsFreeAndAsksForASweep) {
  SharedRegion shared;
  for (uint32_t i = 0; i < kSlotsMin; ++i) ASSERT_TRUE(claim_slot(shared.region()).is_ok());
  shared.region().header().sweep_wanted.store(0);
  EXPECT_EQ(claim_slot(shared.region()).status().code(), Code::kOverloaded);
  EXPECT_EQ(shared.region().header().sweep_wanted.load(), 1u);
}

TEST(Slot, IncarnationIsNeverZero) {
  SharedRegion shared;
  shared.region().header().next_incarnation.store(UINT32_MAX - 1);
  EXPECT_EQ(claim_slot(shared.region()).value().holder.incarnation, UINT32_MAX);
  EXPECT_EQ(claim_slot(shared.region()).value().holder.incarnation, 1u);
}

TEST(Slot, ReleasedIsNotClaimedBeforeTheSweep) {
  SharedRegion shared;
  const ClaimedSlot first = claim_slot(shared.region()).value();
  shared.region().slot(0).pins[3].store(77);
  shared.region().slot(0).watches_log.store(1);
  shared.region().header().sweep_wanted.store(0);
  release_slot(shared.region(), first);
  EXPECT_EQ(shared.region().slot(0).watches_log.load(), 0u);
  EXPECT_EQ(shared.region().header().sweep_wanted.load(), 1u);
  EXPECT_EQ(slot_holder(shared.region(), 0), (SlotHolder{0, first.holder.incarnation}));
  EXPECT_EQ(shared.region().slot(0).pins[3].load(), 0u);
  EXPECT_EQ(claim_slot(shared.region()).value().index, 1u);

  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
  EXPECT_TRUE(is_zero(shared.region().slot(0)));
  const ClaimedSlot again = claim_slot(shared.region()).value();
  EXPECT_EQ(again.index, 0u);
  EXPECT_EQ(again.holder.incarnation, 3u);
}

TEST(Slot, BatchInFlightDoesNotDisturbTheNextHolder) {
  SharedRegion shared;
  const Region region = shared.region();
  const ClaimedSlot first = claim_slot(region).value();
  SubmissionProducer producer(region, first.index);
  ASSERT_NE(producer.reserve(100), nullptr);
  producer.publish(SubmissionKind::kOperation, 1, 42);
  SubmissionConsumer consumer(region, first.index);
  ASSERT_TRUE(consumer.next().value().has_value());
  EXPECT_TRUE(want_bell(region, first.index) == false);
  release_slot(region, first);

  // The owner finishes the batch of a slot that is leaving, then sweeps.
  EXPECT_TRUE(slot_abandoned(region, first.index));
  EXPECT_TRUE(put_completion(region, first.index, 0, Completion{1, 42, 7, 0, 0, 0}));
  publish_completions(region, first.index, 1);
  EXPECT_FALSE(take_bell_wish(region, first.index));
  release_submissions(region, first.index, consumer.position());
  free_slot(region, first.index);
  EXPECT_TRUE(is_zero(region.slot(first.index)));

  const ClaimedSlot next = claim_slot(region).value();
  ASSERT_EQ(next.index, first.index);
  EXPECT_FALSE(take_completion(region, next.index).has_value());
  EXPECT_FALSE(SubmissionConsumer(region, next.index).ready());
}

TEST(Slot, ReleaseOfAFormerIncarnationDoesNothing) {
  SharedRegion shared;
  const ClaimedSlot first = claim_slot(shared.region()).value();
  release_slot(shared.region(), first);
  ASSERT_EQ(sweep_dead_slots(shared.region()), 1u);
  const ClaimedSlot next = claim_slot(shared.region()).value();
  ASSERT_EQ(next.index, first.index);
  shared.region().slot(next.index).pins[0].store(5);
  release_slot(shared.region(), first);
  EXPECT_EQ(slot_holder(shared.region(), next.index), next.holder);
  EXPECT_EQ(shared.region().slot(next.index).pins[0].load(), 5u);
}

TEST(Slot, SweepContinuesWhereADeadOwnerStopped) {
  SharedRegion shared;
  Slot& slot = shared.region().slot(2);
  slot.holder.store(SlotHolder{0, 9}.pack());
  slot.submission_tail.store(64);
  slot.pins[31].store(1);
  slot.watches_log.store(1);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 1u);
  EXPECT_TRUE(is_zero(slot));
  EXPECT_EQ(sweep_dead_slots(shared.region()), 0u);
}

TEST(Slot, TouchedSlotsAreThoseThatWereEverClaimed) {
  SharedRegion shared;
  EXPECT_EQ(slots_touched(shared.region()), 0u);
  const ClaimedSlot first = claim_slot(shared.region()).value();
  const ClaimedSlot second = claim_slot(shared.region()).value();
  EXPECT_EQ(slots_touched(shared.region()), 2u);
  release_slot(shared.region(), second);
  release_slot(shared.region(), first);
  EXPECT_EQ(sweep_dead_slots(shared.region()), 2u);
  EXPECT_EQ(claim_slot(shared.region()).value().index, 0u);
  EXPECT_EQ(slots_touched(shared.region()), 2u);
  touch_slot(shared.region(), 3);
  touch_slot(shared.region(), 1);
  EXPECT_EQ(slots_touched(shared.region()), 4u);
}

TEST(Slot, SweepLeavesFreeAndLiveSlotsAlone) {
  SharedRegion shared;
  const ClaimedSlot claimed = claim_slot(shared.region()).value();
  EXPECT_FALSE(slot_abandoned(shared.region(), 1));
  EXPECT_EQ(sweep_dead_slots(shared.region()), 0u);
  EXPECT_EQ(slot_holder(shared.region(), claimed.index), claimed.holder);
}

}  // namespace
}  // namespace small_db
