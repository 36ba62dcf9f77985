#include "ngx_module/api/replication_figures.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/platform/clock.h"
#include "ngx_module/api/metrics_body.h"
#include "ngx_module/api/status_body.h"
#include "tests/engine/shm/shared_region.h"

namespace small_db {
namespace {

Uid uid_of(char digit) { return *parse_uid(std::string(32, digit)); }

TEST(ReplicationFigures, TellWhatFollowersReported) {
  SharedRegion shared(8, 0);
  const Region region = shared.region();
  ReplicationState& state = region.replication();
  store_uid(state.cluster_id, uid_of('a'));
  store_uid(state.node_id, uid_of('b'));
  state.role = static_cast<uint32_t>(Role::kPrimary);
  state.epoch = 3;
  state.durable_revision = 100;
  state.acks_required = 1;
  state.ack_state = static_cast<uint32_t>(AckState::kDegraded);
  state.ack_timeouts = 2;
  const uint64_t now_us = system_clock().monotonic_us();
  note_ack(state, *find_follower(state, uid_of('c'), now_us), 3, 90, 80, 70);
  find_follower(state, uid_of('d'), now_us - kFollowerConnectedUs - 1);

  auto body = nlohmann::json::parse(status_body(read_status(region)))["replication"];
  for (auto& follower : body["followers"]) follower.erase("seen_seconds_ago");
  EXPECT_EQ(body, nlohmann::json::parse(
                      R"({"role": "primary", "epoch": 3,
                          "cluster": "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                          "node": "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb", "durable_revision": 100,
                          "ack": {"required": 1, "state": "degraded", "timeouts": 2},
                          "followers": [
                            {"node": "cccccccccccccccccccccccccccccccc", "connected": true,
                             "epoch": 3, "received": 90, "flushed": 80, "applied": 70,
                             "behind": 20},
                            {"node": "dddddddddddddddddddddddddddddddd", "connected": false,
                             "epoch": 0, "received": 0, "flushed": 0, "applied": 0,
                             "behind": 100}]})"));
  const std::string metrics = metrics_body("s", read_status(region));
  for (const char* line :
       {"small_db_role{store=\"s\",role=\"primary\"} 1\n",
        "small_db_replication_epoch{store=\"s\"} 3\n",
        "small_db_follower_flushed_revision{store=\"s\",node=\"cccccccccccccccccccccccccccccccc\"} "
        "80\n",
        "small_db_follower_connected{store=\"s\",node=\"dddddddddddddddddddddddddddddddd\"} 0\n",
        "small_db_ack_state{store=\"s\",state=\"degraded\"} 1\n"}) {
    EXPECT_NE(metrics.find(line), std::string::npos) << line;
  }
}

TEST(ReplicationFigures, TellHowFarABackupIsBehind) {
  SharedRegion shared(8, 0);
  const Region region = shared.region();
  ReplicationState& state = region.replication();
  state.role = static_cast<uint32_t>(Role::kBackup);
  state.follow_phase = static_cast<uint32_t>(FollowPhase::kBootstrapping);
  state.primary_name.set("https://a/v1/");
  state.follow_problem.set("why");
  state.durable_revision = 5;
  state.primary_revision = 9;
  state.bytes_behind = 1000;
  state.behind_since_ms = system_clock().wall_ms() - 60'000;
  state.download_bytes = 1;
  state.download_total = 2;
  state.bootstraps = 3;
  state.reconnects = 4;
  const ReplicationFigures figures = read_replication(region);
  EXPECT_GE(figures.behind_us, 60'000'000u);
  EXPECT_LT(figures.behind_us, 120'000'000u);
  auto body = nlohmann::json::parse(status_body(read_status(region)));
  EXPECT_EQ(body["role"], "backup");
  auto following = body["replication"]["following"];
  following["behind"].erase("seconds");
  EXPECT_EQ(following, nlohmann::json::parse(
                           R"({"primary": "https://a/v1/", "phase": "bootstrapping",
                               "problem": "why", "primary_revision": 9,
                               "behind": {"revisions": 4, "bytes": 1000},
                               "download": {"bytes": 1, "total": 2},
                               "bootstraps": 3, "reconnects": 4})"));
}

TEST(ReplicationFigures, APrimaryThatHeardOfAHigherEpochIsFencedAtOnce) {
  SharedRegion shared(8, 0);
  ReplicationState& state = shared.region().replication();
  EXPECT_EQ(told_role(state), Role::kUnknown);
  state.role = static_cast<uint32_t>(Role::kPrimary);
  state.epoch = 3;
  state.heard_epoch = 3;
  EXPECT_EQ(told_role(state), Role::kPrimary);
  state.heard_epoch = 4;
  EXPECT_EQ(told_role(state), Role::kFenced);
  state.role = static_cast<uint32_t>(Role::kBackup);
  EXPECT_EQ(told_role(state), Role::kBackup);
}

}  // namespace
}  // namespace small_db
