// What lies between primary and backup breaks, hangs, is slow or lies: the backup is the same in
// the end, and the primary's clients notice nothing.
#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"
#include "tests/nginx/tcp_proxy.h"

namespace small_db::testing {
namespace {

using Clock = std::chrono::steady_clock;
using Mode = TcpProxy::Mode;

constexpr uint64_t kMib = 1024 * 1024;
constexpr int kRecoveryMs = 60'000;

// A pair whose backup reaches the primary through the proxy.
class ReplicationCut : public ::testing::Test {
 protected:
  void start(NginxOptions primary = {}, Mode mode = Mode::kPass) {
    NginxOptions backup = {.memory = primary.memory, .store_lines = "checkpoint off;\n"};
    pair_ = std::make_unique<ReplicaPair>(std::move(primary), backup);
    pair_->start_primary();
    proxy_ = std::make_unique<TcpProxy>(pair_->primary().port());
    proxy_->set_mode(mode);
  }
  // It serves nothing before it has the primary's checkpoint.
  void start_backup() { pair_->start_backup(proxy_->port(), Until::kListening); }

  // Nothing stands between the two any more.
  void expect_recovery() {
    proxy_->set_mode(Mode::kPass);
    ASSERT_TRUE(pair_->backup_catches_up(kRecoveryMs))
        << pair_->backup_status() << pair_->backup().error_log();
    pair_->expect_same();
  }
  uint64_t backup_revision() { return pair_->backup_status().value("revision", uint64_t{0}); }
  uint64_t primary_revision() { return pair_->primary_status().value("revision", uint64_t{0}); }

  // Damages connections under load until `done`, then expects that nothing has come of it.
  void run_under_load(const std::function<bool()>& done) {
    LoadClients load(pair_->primary().port(), {.writers = 2, .readers = 1});
    load.start();
    EXPECT_TRUE(poll_until(done, 60'000)) << proxy_->connections() << pair_->logs();
    load.stop();
    expect_recovery();
    load.verify(pair_->client());
    HttpClient backup(pair_->backup().port());
    load.verify(backup);
  }

  std::unique_ptr<ReplicaPair> pair_;
  std::unique_ptr<TcpProxy> proxy_;
};

TEST_F(ReplicationCut, ConnectionsEndAnywhere) {
  start();
  proxy_->set_bytes(1, 30'000);
  for (int i = 0; i < 100; ++i) pair_->put("before" + std::to_string(i), std::string(1000, 'v'));
  proxy_->set_mode(Mode::kCut);
  start_backup();
  run_under_load([&] { return proxy_->cuts() >= 40 && backup_revision() > 100; });
  EXPECT_EQ(pair_->backup_status()["replication"]["following"]["bootstraps"], 1);
}

// A part that came is not asked for again: else it would never be whole.
TEST_F(ReplicationCut, ACheckpointComesInPieces) {
  start({.memory = "64m"});
  for (int i = 0; i < 20; ++i) pair_->put("k" + std::to_string(i), std::string(500'000, 'v'));
  expect_ok(post_to(pair_->primary().port(), "/v1/checkpoint"));
  proxy_->set_bytes(1, 2 * kMib);
  proxy_->set_mode(Mode::kCut);
  start_backup();
  ASSERT_TRUE(pair_->backup_catches_up(kRecoveryMs)) << pair_->backup().error_log();
  EXPECT_GE(proxy_->cuts(), 3u);
  EXPECT_LT(proxy_->bytes(), 15 * kMib);
  pair_->expect_same();
}

TEST_F(ReplicationCut, BytesAreChanged) {
  start();
  for (int i = 0; i < 100; ++i) pair_->put("before" + std::to_string(i), std::string(1000, 'v'));
  proxy_->set_bytes(1, 40'000);
  proxy_->set_mode(Mode::kSpoil);
  start_backup();
  run_under_load([&] { return proxy_->spoilt() >= 15 && backup_revision() > 100; });
}

TEST_F(ReplicationCut, BytesComeOneByOne) {
  start({}, Mode::kDrip);
  pair_->put("before", std::string(20'000, 'v'));
  start_backup();
  for (int i = 0; i < 50; ++i) pair_->put("k" + std::to_string(i), std::to_string(i));
  pair_->put("large", std::string(100'000, 'v'));
  ASSERT_TRUE(pair_->backup_catches_up(kRecoveryMs)) << pair_->backup().error_log();
  pair_->expect_same();
}

TEST_F(ReplicationCut, ThePrimaryIsRefusedForAWhile) {
  start({}, Mode::kRefuse);
  pair_->put("before", "value");
  start_backup();
  EXPECT_TRUE(poll_until([&] { return proxy_->connections() >= 4; }));
  EXPECT_NE(pair_->backup().error_log().find("can't be reached"), std::string::npos);
  expect_problem(HttpClient(pair_->backup().port()).get("/v1/kv/before"), 503, "unavailable");
  expect_recovery();
}

// Without what is shared between processes.
uint64_t private_bytes(pid_t pid) {
  const std::string text = read_file("/proc/" + std::to_string(pid) + "/status");
  const size_t at = text.find("RssAnon:");
  return at == std::string::npos ? 0 : std::strtoull(text.c_str() + at + 8, nullptr, 10) * 1024;
}

TEST_F(ReplicationCut, AStalledBackupDisturbsNobodyAndIsGoneOnWith) {
  start({.memory = "64m"});
  start_backup();
  pair_->put("before", "value");
  ASSERT_TRUE(pair_->backup_catches_up());
  const uint64_t before = backup_revision();
  const pid_t worker = pair_->primary().workers().at(0);
  const pid_t storage = pair_->primary().storage_process();
  const uint64_t worker_bytes = private_bytes(worker);
  const uint64_t storage_bytes = private_bytes(storage);
  ASSERT_GT(worker_bytes, 0u);
  proxy_->set_mode(Mode::kStall);
  Clock::duration longest{};
  for (int i = 0; i < 100; ++i) {
    const auto begin = Clock::now();
    pair_->put("k" + std::to_string(i % 10), std::string(i % 2 == 0 ? 800'000 : 10, 'v'));
    longest = std::max(longest, Clock::now() - begin);
  }
  EXPECT_LT(longest, std::chrono::seconds(2));
  EXPECT_LT(private_bytes(worker), worker_bytes + 16 * kMib);
  EXPECT_LT(private_bytes(storage), storage_bytes + 32 * kMib);
  EXPECT_EQ(backup_revision(), before);
  EXPECT_EQ(primary_revision(), before + 100);
  expect_recovery();
}

// The silence is noticed, and a new connection is made.
TEST_F(ReplicationCut, AConnectionThatDiedInSilenceIsReplaced) {
  start();
  NginxOptions options = {.store_lines = "checkpoint off;\nbackup_of http://127.0.0.1:" +
                                         std::to_string(proxy_->port()) + "/v1/ timeout=2s;\n"};
  NginxServer backup(options);
  backup.start();
  pair_->put("before", "value");
  ASSERT_TRUE(catches_up(backup.port(), pair_->primary().port()));
  proxy_->set_mode(Mode::kStall);
  pair_->put("during", "value");
  ASSERT_TRUE(poll_until([&] {
    return backup.error_log().find("not following") != std::string::npos;
  })) << backup.error_log();
  EXPECT_EQ(HttpClient(backup.port()).get("/v1/kv/during").status, 404);
  EXPECT_EQ(HttpClient(backup.port()).get("/v1/kv/before").status, 200);
  proxy_->set_mode(Mode::kPass);
  ASSERT_TRUE(catches_up(backup.port(), pair_->primary().port())) << backup.error_log();
  expect_same_content(backup.port(), pair_->primary().port());
}

}  // namespace
}  // namespace small_db::testing
