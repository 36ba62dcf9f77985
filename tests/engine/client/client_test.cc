#include "engine/client/client.h"

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class ClientTest : public TableTest {
 protected:
  void SetUp() override {
    region_.header().state.store(static_cast<uint32_t>(StoreState::kServing));
    region_.replication().role.store(static_cast<uint32_t>(Role::kPrimary));
    client_ = Client::attach(region_).value();
  }
  void submit() { ASSERT_OK(client_->put(next_cookie_++, as_bytes("k"), as_bytes("v"), 0)); }
  uint32_t rings() { return region_.header().doorbell.load(); }

  std::unique_ptr<Client> client_;
  uint64_t next_cookie_ = 1;
};

TEST_F(ClientTest, WakesTheOwnerAtOnce) {
  const DoorbellWait wait(region_);
  const uint32_t before = rings();
  submit();
  EXPECT_NE(rings(), before);
}

TEST_F(ClientTest, LeavesItToItsCallerWhenToWakeTheOwner) {
  int calls = 0;
  client_->wake_owner_later([&] { ++calls; });
  const DoorbellWait wait(region_);
  const uint32_t before = rings();
  submit();
  submit();
  EXPECT_EQ(calls, 2);
  EXPECT_EQ(rings(), before);
  client_->wake_owner();
  EXPECT_NE(rings(), before);
}

TEST_F(ClientTest, WakesTheOwnerItselfAfterMany) {
  client_->wake_owner_later([] {});
  for (int round = 0; round < 2; ++round) {
    const DoorbellWait wait(region_);
    const uint32_t before = rings();
    for (uint32_t i = 1; i < Client::kWakeAfter; ++i) submit();
    EXPECT_EQ(rings(), before);
    submit();
    EXPECT_NE(rings(), before);
  }
}

}  // namespace
}  // namespace small_db
