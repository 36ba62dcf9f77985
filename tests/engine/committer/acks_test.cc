// Writes that wait for backups, where the owner is told to wait no more.
#include <gtest/gtest.h>

#include "engine/shm/replication_state.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

// The next owner answers all of them: it finds them in the log.
TEST(CommitterAcks, WhatComesAfterABatchThatWasLeftIsLeftToo) {
  SimDisk disk(1);
  TestRegion region;
  StoreOptions options = small_store_options();
  options.replication.acks_required = 1;
  SteppedStore store(disk, region.region(), options);
  ASSERT_TRUE(store.open().is_ok());
  store.settle();
  const std::unique_ptr<Client> client = attach_client(region.region());
  const uint64_t visible = store.revision();
  const auto commit = [&](uint64_t cookie, std::string_view key) {
    ASSERT_TRUE(client->put(cookie, as_bytes(key), as_bytes("value"), 0).is_ok());
    store.store().drain();
    ASSERT_EQ(store.store().open_requests(), 1u);
    store.store().finish(store.store().seal());
  };
  store.store().stop_waiting();
  commit(1, "first");
  ReplicationState& state = region.region().replication();
  FollowerState* backup = find_follower(state, Uid{std::byte{1}}, 0);
  ASSERT_NE(backup, nullptr);
  const uint64_t all = visible + 100;
  note_ack(state, *backup, state.epoch.load(), all, all, all);
  commit(2, "second");
  WriteOutcome outcome;
  EXPECT_FALSE(client->poll(&outcome));
  EXPECT_EQ(store.revision(), visible);
}

}  // namespace
}  // namespace small_db
