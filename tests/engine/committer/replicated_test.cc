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
    store_.store().replicated().open();
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

// The last frame of a primary that died was still being taken when its successor, who never had it,
// was asked for all behind what was durable.
TEST_F(CommitterReplicated, AreNotMistakenForThoseOfAnotherPrimary) {
  receive(1, 1, "one");
  store_.settle();
  receive(1, 2, "of the first");
  store_.store().drain();
  store_.store().replicated().open();
  receive(2, 2, "of the second");
  store_.settle();
  EXPECT_NE(log().find("a revision is here of another epoch"), std::string::npos) << log();
  EXPECT_TRUE(store_.store().replicated().is_closed());
  store_.store().replicated().open();
  receive(2, 2, "of the second");
  store_.settle();
  EXPECT_EQ(store_.revision(), 2u);
  const std::unique_ptr<Client> client = attach_client(region_.region());
  EXPECT_EQ(read_value(*client, "key"), "of the second");
}

}  // namespace
}  // namespace small_db
