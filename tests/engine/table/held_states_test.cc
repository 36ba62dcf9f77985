#include "engine/table/held_states.h"

#include "engine/table/reader.h"
#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

void publish(Region region, Table& table, uint64_t revision) {
  table.begin_batch(revision);
  ASSERT_TRUE(table.put(put_view("key", std::to_string(revision), revision)).is_ok());
  publish_root(region, table.seal_batch(revision, 1, LogPosition()));
}

TEST(HeldStates, AreThoseOfAllPinsAndTellTheOldest) {
  const RegionMemory memory(4 << 20);
  const Region region = memory.region();
  Table table(region);
  table.clear();
  const Result<ClaimedSlot> claimed = claim_slot(region);
  ASSERT_TRUE(claimed.is_ok());
  SlotPins pins(region, claimed.value().index);
  EXPECT_EQ(look_at_held_states(region).pins, 0u);
  publish(region, table, 7);
  {
    const Result<Snapshot> old = Snapshot::take(pins);
    ASSERT_TRUE(old.is_ok());
    publish(region, table, 8);
    publish(region, table, 9);
    const Result<Snapshot> now = Snapshot::take(pins);
    ASSERT_TRUE(now.is_ok());
    EXPECT_EQ(look_at_held_states(region).pins, 2u);
    EXPECT_EQ(look_at_held_states(region).oldest_revision, 7u);
  }
  EXPECT_EQ(look_at_held_states(region).pins, 0u);
  EXPECT_EQ(look_at_held_states(region).oldest_revision, 0u);
}

TEST(HeldStates, IgnoresAPinThatHoldsNoState) {
  const RegionMemory memory(4 << 20);
  const Region region = memory.region();
  region.slot(3).pins[5].store(UINT64_MAX);
  region.slot(4).pins[0].store(1);
  EXPECT_EQ(look_at_held_states(region).pins, 0u);
}

}  // namespace
}  // namespace small_db
