// Signals to nginx's processes, and processes that stop or die, while clients are at work.
#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <nlohmann/json.hpp>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/slow_requests.h"

namespace small_db::testing {
namespace {

using Clock = std::chrono::steady_clock;

void await_progress(const LoadClients& load, uint64_t writes) {
  const uint64_t target = load.acknowledged() + writes;
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() >= target; }))
      << load.acknowledged() << " of " << target;
}

nlohmann::json status_of(HttpClient& client) {
  const HttpResponse response = client.get("/v1/status");
  nlohmann::json status = nlohmann::json::parse(response.body, nullptr, false);
  EXPECT_TRUE(status.is_object() && status.contains("pins"))
      << response.status << response.error << response.body;
  return status;
}

TEST(Quit, AnswersAWriteThatIsUnderWay) {
  NginxServer server;
  server.start();
  SlowPut put(server.port(), "/v1/kv/k", "value");
  kill(server.master(), SIGQUIT);
  // From then on it drains: no connection is taken any more.
  ASSERT_TRUE(poll_until([&] { return HttpClient(server.port()).get("/static").status == 0; }));
  EXPECT_EQ(raw_status(put.finish()), 200);
  server.stop();
  server.start();
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "value");
}

// The timer that looks at deadlines is still set, for up to a second.
TEST(Quit, IsNotHeldUpByAWriteThatIsOver) {
  auto shortest = Clock::duration::max();
  for (int round = 0; round < 5; round++) {
    NginxServer server;
    server.start();
    expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("value")));
    const auto begin = Clock::now();
    server.stop();
    shortest = std::min(shortest, Clock::now() - begin);
  }
  EXPECT_LT(shortest, std::chrono::milliseconds(800));
}

// The storage process waits for the workers for a while, not for ever.
TEST(Quit, RefusesAtOnceAWriteThatComesWhenTheStoreIsClosed) {
  NginxServer server;
  server.start();
  const pid_t storage = server.storage_process();
  SlowPut put(server.port(), "/v1/kv/k", "value");
  SlowGet get(server.port(), "/v1/kv/k");
  kill(server.master(), SIGQUIT);
  ASSERT_TRUE(poll_until([&] { return !is_running(storage); }));
  const std::string answer = put.finish();
  EXPECT_EQ(raw_status(answer), 503) << answer;
  EXPECT_NE(answer.find("nothing was changed"), std::string::npos) << answer;
  EXPECT_EQ(raw_status(get.finish()), 404);
  server.stop();
  server.start();
  EXPECT_EQ(HttpClient(server.port()).get("/v1/kv/k").status, 404);
}

// QUIT and TERM: durability_test.
TEST(Int, LosesNothing) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.failures_allowed = true});
  load.start();
  await_progress(load, 300);
  server.stop_with(SIGINT);
  load.stop();
  server.start();
  HttpClient client(server.port());
  load.verify(client);
}

TEST(Usr1, TheStorageProcessWritesToTheNewLog) {
  NginxServer server({.store_lines = "checkpoint off;\n"});
  server.start();
  const std::string log = server.directory() + "/error.log";
  std::filesystem::rename(log, log + ".1");
  ASSERT_EQ(kill(server.master(), SIGUSR1), 0);
  ASSERT_TRUE(poll_until([&] { return std::filesystem::exists(log); }));
  HttpClient client(server.port());
  // A line comes of each; nginx's master may still be at giving the file to the workers' user.
  EXPECT_TRUE(poll_until([&] {
    expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
    expect_ok(client.send({.method = "POST", .target = "/v1/checkpoint"}));
    return server.error_log().find("small_db_store \"main\": checkpoint") != std::string::npos;
  })) << server.error_log();
  std::filesystem::remove(log + ".1");
}

// nginx's children outlive a master that is killed: they serve on, and keep ports and directory.
TEST(Orphans, ServeOnUntilTheyAreToldToGoAndShareTheDirectoryWithNobody) {
  TempDirectory data;
  NginxServer first({.workers = 2, .data_directory = data.path() + "/data"});
  first.start();
  const int port = first.port();
  const std::string conf = read_file(first.directory() + "/nginx.conf");
  LoadClients load(port, {.failures_allowed = true});
  load.start();
  await_progress(load, 100);
  const std::vector<pid_t> orphans = first.kill_master();
  ASSERT_EQ(orphans.size(), 3u);
  await_progress(load, 100);
  EXPECT_EQ(load.unclear(), 0u);

  NginxServer second({.workers = 2, .data_directory = data.path() + "/data"});
  second.start(Until::kListening);
  await_progress(load, 100);
  EXPECT_EQ(HttpClient(second.port()).get("/v1/health").status, 503);
  expect_problem(HttpClient(second.port()).put("/v1/kv/k", base64_envelope("x")), 503,
                 "unavailable");

  for (const pid_t orphan : orphans) kill(orphan, SIGQUIT);
  for (const pid_t orphan : orphans) {
    EXPECT_TRUE(poll_until([&] { return !is_running(orphan); })) << title_of(orphan);
  }
  load.stop();
  ASSERT_TRUE(poll_until([&] { return second.is_serving(); }));
  HttpClient client(second.port());
  load.verify(client);
  expect_ok(client.put("/v1/kv/k", base64_envelope("x")));
}

// The ports are theirs, too: nginx itself does not start beside them.
TEST(Orphans, AStartOnTheirPortsFailsAndHarmsNothing) {
  NginxServer server;
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
  const int port = server.port();
  const std::vector<pid_t> orphans = server.kill_master();
  server.allow_log("Address already in use");
  server.allow_log("still could not bind");
  EXPECT_FALSE(server.try_start_again());
  EXPECT_EQ(value_in(HttpClient(port).get("/v1/kv/k")), "value");
  for (const pid_t orphan : orphans) kill(orphan, SIGTERM);
  for (const pid_t orphan : orphans) {
    EXPECT_TRUE(poll_until([&] { return !is_running(orphan); })) << title_of(orphan);
  }
  server.start();
  EXPECT_EQ(server.port(), port);
  EXPECT_EQ(value_in(HttpClient(port).get("/v1/kv/k")), "value");
}

TEST(Orphans, AllKilledLoseNothing) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.failures_allowed = true});
  load.start();
  await_progress(load, 100);
  const std::vector<pid_t> orphans = server.kill_master();
  await_progress(load, 50);
  for (const pid_t orphan : orphans) kill(orphan, SIGKILL);
  for (const pid_t orphan : orphans) {
    EXPECT_TRUE(poll_until([&] { return !is_running(orphan); }));
  }
  load.stop();
  server.start();
  HttpClient client(server.port());
  load.verify(client);
}

TEST(Daemon, ServesReloadsAndEnds) {
  NginxServer server({.workers = 2, .daemon = true});
  server.start();
  LoadClients load(server.port(), {});
  load.start();
  await_progress(load, 100);
  server.reload();
  await_progress(load, 100);
  load.stop();
  server.stop();
  server.start();
  HttpClient client(server.port());
  load.verify(client);
}

// A debugging mode: a reload ends the stores, which say so, and a restart brings all back.
TEST(SingleProcess, AnyEndLosesNothing) {
  NginxServer server({.master_process = false});
  int round = 0;
  for (const int signal : {SIGQUIT, SIGTERM, SIGINT, SIGKILL}) {
    server.start();
    LoadClients load(server.port(),
                     {.failures_allowed = true, .key_prefix = "round" + std::to_string(round++)});
    load.start();
    await_progress(load, 100);
    server.stop_with(signal);
    load.stop();
    server.start();
    HttpClient client(server.port());
    load.verify(client);
    server.stop();
  }
}

TEST(StayingClients, AnIdleOneLosesItsConnectionAtAReload) {
  NginxServer server;
  server.start();
  RawConnection idle(server.port());
  idle.send("GET /v1/health HTTP/1.1\r\nHost: h\r\n\r\n");
  EXPECT_EQ(raw_status(idle.receive_until("{\"ok\":true}")), 200);
  const std::vector<pid_t> before = server.workers();
  server.reload();
  EXPECT_EQ(idle.receive_all(), "");
  EXPECT_TRUE(poll_until([&] { return !is_running(before.front()); }));
}

// What it asked for before the reloads it gets whole, however often memory is used again meanwhile.
TEST(StayingClients, ASlowReaderGetsItsValueAcrossReloads) {
  NginxServer server({.memory = "32m", .store_lines = "max_value_size 8m;\n"});
  server.start();
  expect_ok(
      HttpClient(server.port()).put("/v1/kv/big", base64_envelope(std::string(8 << 20, 'a'))));
  RawConnection reader(server.port());
  reader.send("GET /v1/kv/big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  std::string answer = reader.receive_until("\r\n\r\n");
  const std::vector<pid_t> before = server.workers();
  for (int i = 0; i < 3; i++) {
    server.reload();
    expect_ok(
        HttpClient(server.port()).put("/v1/kv/big", base64_envelope(std::string(8 << 20, 'b'))));
  }
  EXPECT_TRUE(is_running(before.front()));
  answer += reader.receive_all();
  EXPECT_EQ(answer.find("YmJi"), std::string::npos) << "a part of a later value";
  EXPECT_EQ(answer.substr(answer.size() - 22), "\",\"encoding\":\"base64\"}");
  EXPECT_GT(answer.size(), size_t{8 << 20} / 3 * 4);
  EXPECT_TRUE(poll_until([&] { return !is_running(before.front()); }));
}

// The new owner serves the draining worker: one region, one store.
TEST(StayingClients, ASlowWriterWritesAcrossReloads) {
  NginxServer server;
  server.start();
  SlowPut put(server.port(), "/v1/kv/slow", "value");
  SlowPut long_put(server.port(), "/v1/kv/long", std::string(700'000, 'l'));
  for (int i = 0; i < 3; i++) {
    const pid_t storage = server.storage_process();
    server.reload();
    ASSERT_TRUE(poll_until([&] { return !is_running(storage); }));
  }
  EXPECT_EQ(raw_status(put.finish()), 200);
  EXPECT_EQ(raw_status(long_put.finish()), 200);
  HttpClient client(server.port());
  EXPECT_EQ(value_in(client.get("/v1/kv/slow")), "value");
  EXPECT_EQ(value_in(client.get("/v1/kv/long")).size(), 700'000u);
}

TEST(StayingClients, AreCutOffAfterTheWorkerShutdownTimeout) {
  NginxServer server({.main_lines = "worker_shutdown_timeout 1s;\n"});
  server.start();
  SlowPut put(server.port(), "/v1/kv/slow", "value");
  const std::vector<pid_t> before = server.workers();
  server.reload();
  EXPECT_TRUE(poll_until([&] { return !is_running(before.front()); }, 10'000));
  EXPECT_EQ(put.finish(), "");
  EXPECT_EQ(HttpClient(server.port()).get("/v1/kv/slow").status, 404);
  SlowPut another(server.port(), "/v1/kv/slow", "value");
  const auto start = Clock::now();
  server.stop();
  EXPECT_LT(Clock::now() - start, std::chrono::seconds(10));
}

// A worker of the two that the client's kept connection leads to, and one that it does not.
struct TwoWorkers {
  explicit TwoWorkers(NginxServer& server) : client(std::make_unique<HttpClient>(server.port())) {
    const std::string pid = client->get("/pid").body;
    for (const pid_t worker : server.workers()) {
      (pid == "pid " + std::to_string(worker) + " end" ? with_client : other) = worker;
    }
  }
  std::unique_ptr<HttpClient> client;
  pid_t with_client = -1;
  pid_t other = -1;
};

// A connection to that worker and no other.
std::unique_ptr<RawConnection> connect_to(NginxServer& server, pid_t worker) {
  for (int attempt = 0; attempt < 1000; attempt++) {
    auto connection = std::make_unique<RawConnection>(server.port());
    connection->send("GET /pid HTTP/1.1\r\nHost: h\r\n\r\n");
    const std::string answer = connection->receive_until(" end");
    if (answer.find("pid " + std::to_string(worker) + " end") != std::string::npos) {
      return connection;
    }
  }
  ADD_FAILURE() << "no connection leads to worker " << worker;
  return nullptr;
}

TEST(StoppedWorker, HoldsAStateThatIsSeenAndDelaysMemoryAlone) {
  constexpr size_t kBig = 8 << 20;
  NginxServer server({.workers = 2,
                      .memory = "64m",
                      .store_lines = "max_value_size 16m;\n",
                      .http_lines = "keepalive_requests 1000000;\n",
                      .server_lines = "location = /pid { return 200 \"pid $pid end\"; }\n"});
  server.start();
  expect_ok(HttpClient(server.port()).put("/v1/kv/big", base64_envelope(std::string(kBig, 'a'))));
  TwoWorkers two(server);
  ASSERT_GT(two.other, 0);
  ASSERT_GT(two.with_client, 0);
  HttpClient& client = *two.client;
  std::unique_ptr<RawConnection> reader;
  const auto held = [&] { return status_of(client)["pins"]["held"].get<int>(); };
  // Until it is stopped while it copies the value.
  const bool caught = poll_until([&] {
    reader = connect_to(server, two.other);
    reader->send("GET /v1/kv/big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
    for (int i = 0; i < 200 && held() == 0; i++) {
    }
    freeze(two.other);
    if (held() == 1) return true;
    kill(two.other, SIGCONT);
    return false;
  });
  ASSERT_TRUE(caught);
  const auto before = status_of(client);
  const auto revision = before["revision"].get<uint64_t>();
  EXPECT_EQ(before["pins"]["oldest_revision"].get<uint64_t>(), revision);
  // Its state stays, and one more: the writer goes on, and uses its own memory again.
  for (int i = 0; i < 10; i++) {
    expect_ok(
        client.put("/v1/kv/big", base64_envelope(std::string(kBig, static_cast<char>('b' + i)))));
  }
  const auto meanwhile = status_of(client);
  EXPECT_EQ(meanwhile["pins"]["oldest_revision"].get<uint64_t>(), revision);
  EXPECT_EQ(meanwhile["revision"].get<uint64_t>(), revision + 10);
  EXPECT_GT(meanwhile["memory"]["used"].get<uint64_t>(), 2 * kBig);

  kill(two.other, SIGCONT);
  const std::string answer = reader->receive_all();
  EXPECT_EQ(raw_status(answer), 200);
  EXPECT_EQ(answer.find("YmJi"), std::string::npos) << "a part of a later value";
  EXPECT_TRUE(poll_until([&] { return held() == 0; }));
  EXPECT_TRUE(poll_until([&] {
    expect_ok(client.put("/v1/kv/small", base64_envelope("x")));
    return status_of(client)["memory"]["used"].get<uint64_t>() < 3 * kBig / 2;
  })) << status_of(client).dump();
}

TEST(StoppedStorage, KeepsWritesWaitingAndNobodyElse) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.writers = 8, .readers = 4});
  load.start();
  await_progress(load, 200);
  const pid_t storage = server.storage_process();
  for (int round = 0; round < 3; round++) {
    ASSERT_TRUE(freeze(storage));
    const uint64_t reads = load.reads();
    EXPECT_TRUE(poll_until([&] { return load.reads() > reads + 500; }));
    // What was answered before the stop may have been counted after it, but no more than that.
    const uint64_t written = load.acknowledged();
    EXPECT_TRUE(poll_until([&] { return load.reads() > reads + 1000; }));
    EXPECT_EQ(load.acknowledged(), written);
    ASSERT_EQ(kill(storage, SIGCONT), 0);
    await_progress(load, 200);
  }
  load.stop();
  EXPECT_EQ(load.unclear(), 0u);
  HttpClient client(server.port());
  load.verify(client);
}

// nginx starts it anew each time; nothing of ours makes it die.
TEST(CrashingStorage, IsAnsweredWithValuesOr503) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log("exited on signal 11");
  server.allow_log("exited on signal 6");
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
  std::atomic<bool> ending{false};
  std::atomic<int> reads{0};
  std::thread reader([&] {
    HttpClient reading(server.port());
    while (!ending) {
      const HttpResponse response = reading.get("/v1/kv/k");
      if (response.status == 503) {
        expect_problem(response, 503, "unavailable");
      } else {
        EXPECT_EQ(value_in(response), "value");
      }
      reads++;
    }
  });
  for (int round = 0; round < 12; round++) {
    const pid_t storage = server.storage_process();
    if (storage <= 0) continue;
    kill(storage, round % 2 == 0 ? SIGSEGV : SIGABRT);
    EXPECT_TRUE(poll_until([&] {
      const pid_t next = server.storage_process();
      return next > 0 && next != storage;
    }));
    // Some die before they serve.
    if (round % 3 == 0) {
      EXPECT_TRUE(poll_until([&] { return server.is_serving(); }));
    }
  }
  ASSERT_TRUE(poll_until([&] { return server.is_serving(); }));
  const pid_t storage = server.storage_process();
  const int seen = reads;
  EXPECT_TRUE(poll_until([&] { return reads > seen + 500; }));
  ending = true;
  reader.join();
  EXPECT_EQ(server.storage_process(), storage);
  expect_ok(client.put("/v1/kv/k", base64_envelope("value two")));
}

}  // namespace
}  // namespace small_db::testing
