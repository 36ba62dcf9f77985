// The disk of one of two nodes is full: the other does not suffer, and nothing is lost.
#include <gtest/gtest.h>

#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"
#include "tests/nginx/small_disk.h"

namespace small_db::testing {
namespace {

constexpr int kKeys = 400;
const std::string kValue(100'000, 'v');

std::string key_of(int number) { return "key" + std::to_string(number); }

TEST(ReplicationFullDisk, OfABackupHoldsOnlyTheBackupUp) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "only root can mount a small disk";
  ReplicaPair pair({.memory = "128m"},
                   {.memory = "128m", .data_directory = disk.path() + "/store"});
  pair.start();
  for (int i = 0; i < kKeys; i++) pair.put(key_of(i), kValue);  // each one is answered 200
  ASSERT_TRUE(poll_until([&] {
    return pair.backup().error_log().find("disk is full") != std::string::npos;
  })) << pair.logs();
  // It serves what it has, and says how much it lacks.
  HttpClient backup(pair.backup().port());
  EXPECT_EQ(backup.get("/v1/kv/" + key_of(0) + "?raw").body, kValue);
  EXPECT_EQ(backup.get("/v1/kv/" + key_of(kKeys - 1) + "?raw").status, 404);
  EXPECT_LT(pair.backup_status()["revision"], pair.primary_status()["revision"]);
  EXPECT_EQ(pair.backup_status()["disk"]["full"], true);
  EXPECT_EQ(pair.primary_status()["disk"]["full"], false);

  ASSERT_TRUE(disk.grow());
  ASSERT_TRUE(pair.backup_catches_up()) << pair.backup_status() << pair.logs();
  pair.expect_same();
}

TEST(ReplicationFullDisk, OfAPrimaryRefusesWritesAndFeedsOn) {
  SmallDisk disk;
  if (!disk.is_mounted()) GTEST_SKIP() << "only root can mount a small disk";
  ReplicaPair pair({.memory = "128m", .data_directory = disk.path() + "/store"},
                   {.memory = "128m"});
  pair.start();
  int stored = 0;
  while (stored < kKeys &&
         pair.client().put("/v1/kv/" + key_of(stored) + "?raw", kValue).status == 200) {
    stored++;
  }
  ASSERT_GT(stored, 20);
  ASSERT_LT(stored, kKeys);
  ASSERT_TRUE(pair.backup_catches_up()) << pair.logs();
  pair.expect_same();
  // All of it survives there, and writes go on.
  EXPECT_EQ(post_to(pair.backup().port(), "/v1/promote").status, 200);
  HttpClient promoted(pair.backup().port());
  EXPECT_TRUE(poll_until([&] { return promoted.put("/v1/kv/more?raw", kValue).status == 200; }));
  for (int i = 0; i < stored; i++) {
    ASSERT_EQ(promoted.get("/v1/kv/" + key_of(i) + "?raw").body, kValue) << i;
  }
}

}  // namespace
}  // namespace small_db::testing
