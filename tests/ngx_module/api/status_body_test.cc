#include "ngx_module/api/status_body.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/shm/slot.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

TEST(StatusBody, TellsEveryFigureOfTheRegion) {
  SharedRegion shared(8, 0);
  const Region region = shared.region();
  RegionHeader& header = region.header();
  header.revision = 7;
  header.generation = 3;
  header.keys = 5;
  header.arena_used_bytes = 1000;
  header.arena_free_bytes = 2000;
  header.disk_full = 1;
  header.commits = 11;
  header.syncs = 12;
  header.operations = 13;
  header.log_bytes = 14;
  header.expired = 17;
  header.epoch = 18;
  header.log_failures = 1;
  header.checkpoint_runs = 1;
  header.checkpoints = 2;
  header.checkpoint_failures = 4;
  header.checkpoint_generation = 3;
  header.checkpoint_revision = 6;
  header.checkpoint_bytes = 4096;
  header.checkpoint_duration_us = 1'500'000;
  header.checkpoint_end_ms = 1'700'000'000'250;
  header.owner_pid = 42;
  header.owner_epoch = 9;
  region.replication().role = static_cast<uint32_t>(Role::kPrimary);
  ASSERT_TRUE(claim_slot(region).is_ok());
  region.set_state(StoreState::kServing, "");

  const auto body = nlohmann::json::parse(status_body(read_status(region)));
  const auto expected = nlohmann::json::parse(R"({
    "role": "primary", "state": "serving", "epoch": 18, "revision": 7, "generation": 3, "keys": 5,
    "expired": 17,
    "memory": {"used": 1000, "free": 2000},
    "disk": {"full": true},
    "log": {"commits": 11, "syncs": 12, "operations": 13, "bytes": 14, "failures": 1},
    "checkpoint": {"running": true, "made": 2, "failed": 4,
                   "last": {"generation": 3, "revision": 6, "bytes": 4096, "seconds": 1.5,
                            "finished_at": "2023-11-14T22:13:20.250Z"}},
    "storage_process": {"pid": 42, "owners": 9},
    "slots": {"used": 1, "limit": 8}, "pins": {"held": 0}, "build": {"version": "0.1.0"}})");
  auto without_limit = body;
  without_limit.erase("replication");
  EXPECT_EQ(body["memory"]["limit"], header.arena_bytes);
  without_limit["memory"].erase("limit");
  EXPECT_EQ(without_limit, expected);
}

TEST(StatusBody, TellsTheReasonWhateverBytesItHas) {
  StatusFigures figures;
  figures.state = StoreState::kReadOnly;
  figures.reason = "no \"space\"\n\xff";
  const auto body = nlohmann::json::parse(status_body(figures));
  EXPECT_EQ(body["state"], "read-only");
  EXPECT_EQ(body["reason"], "no \"space\"\n\xef\xbf\xbd");
  EXPECT_FALSE(body.contains("progress"));
  EXPECT_FALSE(body["checkpoint"].contains("last")) << "none was made";
}

TEST(StatusBody, TellsProgressWhileLoading) {
  StatusFigures figures;
  figures.state = StoreState::kLoading;
  figures.progress_permille = 420;
  EXPECT_EQ(nlohmann::json::parse(status_body(figures))["progress"], 0.42);
}

}  // namespace
}  // namespace small_db
