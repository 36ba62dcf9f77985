// Frames of a primary's log that a backup makes its own.
#include <gtest/gtest.h>

#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

class CommitterReplicated : public ::testing::Test {
 protected:
  CommitterReplicated() : store_(disk_, region_.region(), backup_options()) {
    EXPECT_TRUE(store_.open().is_ok());
    store_.settle();
    store_.store().replicated().ask_to_open();
    store_.settle();
    EXPECT_FALSE(store_.store().replicated().is_closed());
  }

  static StoreOptions backup_options() {
    StoreOptions options = small_store_options();
    options.replication.primary_name = "elsewhere";
    return options;
  }

  // A frame that puts one key.
  void receive(uint64_t epoch, uint64_t revision, std::string_view value) {
    RecordView record;
    record.type = RecordType::kPut;
    record.revision = revision;
    record.key = as_bytes("key");
    record.value = as_bytes(value);
    ReplicatedFrame frame;
    frame.epoch = epoch;
    frame.first_revision = revision;
    frame.requests = 1;
    frame.records = 1;
    frame.body.resize(record_bytes(record));
    encode_record(record, frame.body.data());
    ASSERT_TRUE(store_.store().replicated().push(std::move(frame)));
  }

  std::string log() {
    std::string all;
    for (const std::string& line : store_.environment().lines) all += line + "\n";
    return all;
  }

  SimDisk disk_{1};
  TestRegion region_;
  SteppedStore store_;
};

TEST_F(CommitterReplicated, AreTakenOnce) {
  receive(1, 1, "one");
  receive(1, 1, "one");
  receive(2, 2, "two");
  store_.settle();
  EXPECT_EQ(store_.revision(), 2u);
  EXPECT_EQ(log().find("could not be applied"), std::string::npos) << log();
}

// What the next connection asks for depends on what is on disk: so nothing may still be on its way.
TEST_F(CommitterReplicated, AreOnDiskBeforeTheQueueIsOpenedAgain) {
  const ReplicationState& state = region_.region().replication();
  receive(1, 1, "one");
  store_.store().drain();
  receive(1, 2, "two");
  store_.store().replicated().ask_to_open();
  store_.store().drain();
  EXPECT_EQ(state.durable_revision.load(), 0u);
  EXPECT_TRUE(store_.store().replicated().is_closed());
  EXPECT_TRUE(store_.store().maintain());
  EXPECT_FALSE(store_.store().replicated().is_closed());
  EXPECT_EQ(state.durable_revision.load(), 1u);
  EXPECT_FALSE(store_.store().has_work());
  receive(2, 2, "of another");
  store_.settle();
  const std::unique_ptr<Client> client = attach_client(region_.region());
  EXPECT_EQ(read_value(*client, "key"), "of another");
}

}  // namespace
}  // namespace small_db
