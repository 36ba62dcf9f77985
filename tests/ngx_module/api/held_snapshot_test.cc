#include "ngx_module/api/held_snapshot.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class HeldSnapshots : public TableTest {
 protected:
  void SetUp() override {
    begin();
    ASSERT_OK(put("k", "v"));
    commit();
    region_.header().state.store(static_cast<uint32_t>(StoreState::kServing));
    client_ = Client::attach(region_).value();
    other_ = Client::attach(region_).value();
  }
  std::unique_ptr<Client> client_;
  std::unique_ptr<Client> other_;
};

TEST_F(HeldSnapshots, StayUntilTheyAreLetGo) {
  HeldSnapshot held;
  EXPECT_EQ(held.get(), nullptr);
  ASSERT_OK(held.take(*client_));
  begin();
  ASSERT_OK(put("k", "new"));
  commit();
  EXPECT_EQ(value_text(held.get()->find(as_bytes("k")).value().value), "v");
  held.let_go();
  EXPECT_EQ(held.get(), nullptr);
}

TEST_F(HeldSnapshots, LeavePinsForOthers) {
  std::vector<std::unique_ptr<HeldSnapshot>> held;
  for (uint32_t i = 0; i < kHeldSnapshotsMax; i++) {
    held.push_back(std::make_unique<HeldSnapshot>());
    ASSERT_OK(held.back()->take(*client_));
  }
  HeldSnapshot more;
  EXPECT_EQ(more.take(*client_).code(), Code::kOverloaded);
  EXPECT_EQ(more.get(), nullptr);
  EXPECT_TRUE(client_->snapshot().is_ok());
  ASSERT_OK(more.take(*other_));
  more.let_go();
  held.erase(held.begin() + 3);
  ASSERT_OK(more.take(*client_));
}

TEST_F(HeldSnapshots, AreTakenBackFromOneClientOrAll) {
  HeldSnapshot first;
  HeldSnapshot second;
  auto third = std::make_unique<HeldSnapshot>();
  ASSERT_OK(first.take(*client_));
  ASSERT_OK(second.take(*other_));
  ASSERT_OK(third->take(*client_));
  take_back_snapshots(client_.get());
  client_.reset();
  EXPECT_EQ(first.get(), nullptr);
  EXPECT_NE(second.get(), nullptr);
  EXPECT_EQ(third->get(), nullptr);
  third.reset();
  take_back_snapshots(nullptr);
  EXPECT_EQ(second.get(), nullptr);
}

}  // namespace
}  // namespace small_db
