// What others see of a store at the moment when it begins to serve.
#include <gtest/gtest.h>

#include <string_view>

#include "engine/base/kill_point.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

struct Seen {
  uint32_t times = 0;
  uint32_t role = 0;
  uint64_t durable_revision = 0;
  Code submitted = Code::kUnavailable;
};
Region watched;
Client* writer = nullptr;
Seen seen;

void look_at_roots(const char* point) noexcept {
  if (std::string_view(point) != "publish: root stored" || seen.times++ != 0) return;
  const ReplicationState& state = watched.replication();
  seen.role = state.role.load();
  seen.durable_revision = state.durable_revision.load();
  seen.submitted = writer->put(1000, as_bytes("b"), as_bytes("2"), 0).code();
}

// A status that says "serving" must not say that a node without a role has nothing on its disk.
TEST(OpeningKillPoints, TheFirstRootIsNotSeenBeforeRoleAndDurableRevision) {
  SimDisk disk(1);
  {
    TestRegion region;
    SteppedStore store(disk, region.region());
    ASSERT_TRUE(store.open().is_ok());
    std::unique_ptr<Client> client = attach_client(region.region());
    ASSERT_EQ(store.put(*client, "a", "1").code, Code::kOk);
  }
  disk.kill_process();
  TestRegion region(kRegionBytesMin, kSlotsMin, 2);
  watched = region.region();
  SteppedStore store(disk, region.region());
  EXPECT_EQ(watched.replication().role.load(), static_cast<uint32_t>(Role::kUnknown));
  std::unique_ptr<Client> client = attach_client(region.region());
  writer = client.get();
  kill_point_hook = look_at_roots;
  const Status opened = store.open();
  kill_point_hook = nullptr;
  ASSERT_TRUE(opened.is_ok());
  EXPECT_EQ(seen.times, 1u);
  EXPECT_EQ(seen.role, static_cast<uint32_t>(Role::kPrimary));
  EXPECT_EQ(seen.durable_revision, 1u);
  // Nor is a write refused by a store that is seen to serve.
  EXPECT_EQ(seen.submitted, Code::kOk);
  EXPECT_EQ(store.put(*client, "c", "3").code, Code::kOk);
  EXPECT_EQ(read_value(*client, "b"), "2");
}

}  // namespace
}  // namespace small_db
