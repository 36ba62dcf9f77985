#include "engine/shm/replication_state.h"

#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

Uid node(uint8_t number) {
  Uid uid{};
  uid[0] = std::byte{number};
  return uid;
}

TEST(CountAcks, CountsEachFollowerThatHasTheRevisionInThisEpoch) {
  TestRegion region;
  ReplicationState& state = region.region().replication();
  note_ack(state, *find_follower(state, node(1), 1), 2, 10, 10, 10);
  note_ack(state, *find_follower(state, node(2), 1), 2, 10, 9, 9);
  EXPECT_EQ(count_acks(state, 2, 9), 2u);
  EXPECT_EQ(count_acks(state, 2, 10), 1u);
  EXPECT_EQ(count_acks(state, 2, 11), 0u);
}

// What a follower had in another epoch may be another writer's.
TEST(CountAcks, CountsNothingOfAnotherEpoch) {
  TestRegion region;
  ReplicationState& state = region.region().replication();
  note_ack(state, *find_follower(state, node(1), 1), 1, 10, 10, 10);
  EXPECT_EQ(count_acks(state, 2, 5), 0u);
  note_ack(state, *find_follower(state, node(1), 1), 2, 4, 4, 4);
  EXPECT_EQ(count_acks(state, 2, 5), 0u);
  EXPECT_EQ(count_acks(state, 1, 5), 0u);
  EXPECT_EQ(count_acks(state, 2, 4), 1u);
}

}  // namespace
}  // namespace small_db
