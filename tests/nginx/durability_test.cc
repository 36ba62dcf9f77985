// What was acknowledged stays, whatever happens to nginx's processes.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <chrono>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

constexpr const char* kKilled = "exited on signal 9";

// Runs the load until so many more writes are acknowledged.
void await_progress(const LoadClients& load, uint64_t writes) {
  const uint64_t target = load.acknowledged() + writes;
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() >= target; }))
      << load.acknowledged() << " of " << target;
}

void run_load(int workers) {
  NginxServer server({.workers = workers});
  server.start();
  LoadClients load(server.port(), {.writers = 8, .readers = 4});
  load.start();
  await_progress(load, 3000);
  load.stop();
  EXPECT_GT(load.reads(), 100u);
  HttpClient client(server.port());
  load.verify(client);
  server.stop();
  server.start();
  load.verify(client);
}

TEST(Load, OneWorkerServesWritersAndReaders) { run_load(1); }
TEST(Load, EveryWorkerSeesEveryAcknowledgedWrite) { run_load(4); }

TEST(Durability, AQuickStopLosesNothing) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.failures_allowed = true});
  load.start();
  await_progress(load, 500);
  server.stop_with(SIGTERM);
  load.stop();
  server.start();
  HttpClient client(server.port());
  load.verify(client);
}

TEST(Durability, AGracefulStopAnswersAllThatWaitsAndLosesNothing) {
  NginxServer server({.workers = 2});
  for (int round = 0; round < 5; round++) {
    server.start();
    LoadClients load(
        server.port(),
        {.writers = 8, .failures_allowed = true, .key_prefix = "round" + std::to_string(round)});
    load.start();
    await_progress(load, 200);
    const auto before = std::chrono::steady_clock::now();
    server.stop();
    EXPECT_LT(std::chrono::steady_clock::now() - before, std::chrono::seconds(10));
    load.stop();
    server.start();
    HttpClient client(server.port());
    load.verify(client);
    server.stop();
  }
}

TEST(Durability, KillingEverythingLosesNothingThatWasAcknowledged) {
  NginxServer server({.workers = 2});
  for (int round = 0; round < 4; round++) {
    server.start();
    LoadClients load(server.port(),
                     {.failures_allowed = true, .key_prefix = "round" + std::to_string(round)});
    load.start();
    await_progress(load, 400);
    server.kill_everything();
    load.stop();
    server.start();
    HttpClient client(server.port());
    load.verify(client);
    server.stop();
  }
}

TEST(Durability, AWorkerThatDiesHarmsNobodyElse) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log(kKilled);
  LoadClients load(server.port(), {.failures_allowed = true});
  load.start();
  for (int round = 0; round < 10; round++) {
    await_progress(load, 100);
    const std::vector<pid_t> workers = server.workers();
    ASSERT_FALSE(workers.empty());
    kill(workers.front(), SIGKILL);
  }
  await_progress(load, 300);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
}

void kill_storage_under_load(size_t value_bytes_max) {
  NginxServer server({.workers = 2, .memory = "128m"});
  server.start();
  server.allow_log(kKilled);
  LoadClients load(server.port(), {.value_bytes_max = value_bytes_max});
  load.start();
  for (int round = 0; round < 5; round++) {
    await_progress(load, 200);
    pid_t storage = -1;
    ASSERT_TRUE(poll_until([&] { return (storage = server.storage_process()) > 0; }));
    kill(storage, SIGKILL);
    await_progress(load, 50);
  }
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  server.stop();
  server.start();
  load.verify(client);
}

TEST(Durability, AStorageProcessThatDiesFailsNoRequest) { kill_storage_under_load(2000); }
TEST(Durability, AStorageProcessThatDiesFailsNoLongWrite) { kill_storage_under_load(300'000); }

TEST(Durability, AStorageProcessThatFaultsIsReplacedFromDisk) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log("exited on signal 11");
  LoadClients load(server.port(), {.failures_allowed = true});
  load.start();
  await_progress(load, 200);
  const pid_t storage = server.storage_process();
  ASSERT_GT(storage, 0);
  kill(storage, SIGSEGV);
  await_progress(load, 200);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
}

void reload_under_load(bool kept_connections) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.kept_connections = kept_connections});
  load.start();
  for (int round = 0; round < 4; round++) {
    await_progress(load, 200);
    server.reload();
  }
  await_progress(load, 200);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  server.stop();
  server.start();
  load.verify(client);
}

TEST(Reload, FailsNoRequestAndKeepsAllData) { reload_under_load(true); }
TEST(Reload, AnswersEveryConnectionThatItTook) { reload_under_load(false); }

TEST(Reload, ABrokenConfigurationChangesNothing) {
  NginxServer server;
  server.start();
  server.allow_log("unknown directive");
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
  write_file(server.directory() + "/nginx.conf", "nonsense;\n");
  kill(server.master(), SIGHUP);
  ASSERT_TRUE(poll_until(
      [&] { return server.error_log().find("unknown directive") != std::string::npos; }));
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "value");
  expect_ok(client.put("/v1/kv/k", base64_envelope("value two")));
}

TEST(Reload, MoreMemoryIsTakenFromDisk) {
  NginxServer server({.memory = "8m"});
  server.start();
  {
    HttpClient client(server.port());
    for (int i = 0; i < 100; i++) {
      expect_ok(client.put("/v1/kv/" + std::to_string(i), base64_envelope(std::to_string(i))));
    }
  }
  server.reload({.memory = "32m"});
  ASSERT_TRUE(poll_until([&] { return server.is_serving(); }));
  HttpClient client(server.port());
  for (int i = 0; i < 100; i++) {
    EXPECT_EQ(value_in(client.get("/v1/kv/" + std::to_string(i))), std::to_string(i));
  }
  expect_ok(client.put("/v1/kv/new", base64_envelope("x")));
}

TEST(Reload, ChangesLimits) {
  NginxServer server({.store_lines = "max_value_size 10;\n"});
  server.start();
  EXPECT_EQ(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("01234567890")).status, 413);
  server.reload({.store_lines = "max_value_size 11;\n"});
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("01234567890")));
}

TEST(Ownership, ASecondNginxWaitsUntilTheFirstLetsGo) {
  TempDirectory data;
  NginxServer first({.data_directory = data.path() + "/data"});
  first.start();
  expect_ok(HttpClient(first.port()).put("/v1/kv/k", base64_envelope("value")));
  NginxServer second({.data_directory = data.path() + "/data"});
  second.start(Until::kListening);
  HttpClient client(second.port());
  const HttpResponse health = client.get("/v1/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(health.header("Retry-After"), "1");
  EXPECT_EQ(health.body.rfind(R"({"ok":false,"state":")", 0), 0u) << health.body;
  expect_problem(client.get("/v1/kv/k"), 503, "unavailable");
  expect_problem(client.put("/v1/kv/k", base64_envelope("x")), 503, "unavailable");
  expect_problem(client.del("/v1/kv/k"), 503, "unavailable");
  EXPECT_EQ(client.get("/static").body, "static\n");
  first.stop();
  ASSERT_TRUE(poll_until([&] { return second.is_serving(); }));
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "value");
}

TEST(Ownership, ANginxThatWaitsCanBeStopped) {
  TempDirectory data;
  NginxServer first({.data_directory = data.path() + "/data"});
  first.start();
  NginxServer second({.data_directory = data.path() + "/data"});
  second.start(Until::kListening);
  second.stop();
  EXPECT_TRUE(first.is_serving());
}

TEST(SingleProcess, ServesAndKeeps) {
  NginxServer server({.master_process = false});
  server.start();
  LoadClients load(server.port(), {.writers = 4, .readers = 2});
  load.start();
  await_progress(load, 300);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  server.stop();
  server.start();
  load.verify(client);
  server.kill_everything();
  server.start();
  load.verify(client);
}

}  // namespace
}  // namespace small_db::testing
