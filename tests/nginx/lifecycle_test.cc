// Reloads that change stores, while clients are at work: what changes, and what must not.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/file.h>
#include <unistd.h>

#include <chrono>
#include <filesystem>
#include <map>
#include <memory>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/slow_requests.h"

namespace small_db::testing {
namespace {

void await_progress(const LoadClients& load, uint64_t writes) {
  const uint64_t target = load.acknowledged() + writes;
  EXPECT_TRUE(poll_until([&] { return load.acknowledged() >= target; }))
      << load.acknowledged() << " of " << target;
}

size_t draining_workers(const NginxServer& server) {
  size_t count = 0;
  for (const pid_t child : children_of(server.master())) {
    if (title_of(child).find("worker process is shutting down") != std::string::npos) count++;
  }
  return count;
}

bool await_serving(NginxServer& server) {
  return poll_until([&] { return server.is_serving(); });
}

// A second store at /other/, in a directory of its own.
NginxOptions with_other(const std::string& directory) {
  return {.http_lines = "small_db_store other { dir " + directory + "; memory 8m; }\n",
          .server_lines = "location /other/ { small_db other; }\n"};
}

bool other_serves(NginxServer& server) {
  return poll_until([&] { return HttpClient(server.port()).get("/other/health").status == 200; });
}

TEST(MemoryChange, UnderLoadLosesNothing) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {.writers = 8, .readers = 4, .failures_allowed = true});
  load.start();
  for (const char* memory : {"32m", "16m", "24m"}) {
    await_progress(load, 200);
    server.reload({.workers = 2, .memory = memory});
    EXPECT_TRUE(await_serving(server));
  }
  await_progress(load, 200);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  server.stop();
  server.start();
  load.verify(client);
}

// The draining worker's region has no owner any more, and never will.
TEST(MemoryChange, ADrainingWorkerRefusesWritesAtOnceAndReadsOn) {
  NginxServer server;
  server.start();
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("old")));
  SlowPut put(server.port(), "/v1/kv/k", "draining");
  SlowPut long_put(server.port(), "/v1/kv/long", std::string(500'000, 'l'));
  SlowGet get(server.port(), "/v1/kv/k");
  SlowGet health(server.port(), "/v1/health");
  const auto start = std::chrono::steady_clock::now();
  server.reload({.memory = "32m"});
  ASSERT_TRUE(await_serving(server));
  // The new owner did not wait for the draining worker.
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::milliseconds(1900));
  EXPECT_EQ(draining_workers(server), 1u);
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("new")));
  for (const std::string& answer : {put.finish(), long_put.finish()}) {
    EXPECT_EQ(raw_status(answer), 503) << answer;
    EXPECT_NE(answer.find("Retry-After: 1"), std::string::npos) << answer;
    EXPECT_NE(answer.find("handed-over"), std::string::npos) << answer;
    EXPECT_NE(answer.find("nothing was changed"), std::string::npos) << answer;
  }
  const std::string read = get.finish();
  EXPECT_EQ(raw_status(read), 200) << read;
  EXPECT_NE(read.find("\"b2xk\""), std::string::npos) << read;  // "old"
  EXPECT_EQ(raw_status(health.finish()), 503);
  EXPECT_TRUE(poll_until([&] { return draining_workers(server) == 0; }));
  HttpClient client(server.port());
  EXPECT_EQ(value_in(client.get("/v1/kv/k")), "new");
  EXPECT_EQ(client.get("/v1/kv/long").status, 404);
}

TEST(MemoryChange, TooLittleIsRefusedAndMendedByAnotherReload) {
  NginxServer server({.memory = "32m"});
  server.start();
  server.allow_log("refusing to serve");
  for (int i = 0; i < 12; i++) {
    expect_ok(HttpClient(server.port())
                  .put("/v1/kv/" + std::to_string(i), base64_envelope(std::string(900'000, 'v'))));
  }
  server.reload({.memory = "5m"});
  ASSERT_TRUE(poll_until([&] {
    return HttpClient(server.port()).get("/v1/health").body.find("refused") != std::string::npos;
  }));
  expect_problem(HttpClient(server.port()).get("/v1/kv/0"), 503, "unavailable", "memory");
  server.reload({.memory = "32m"});
  ASSERT_TRUE(await_serving(server));
  HttpClient client(server.port());
  for (int i = 0; i < 12; i++) {
    EXPECT_EQ(value_in(client.get("/v1/kv/" + std::to_string(i))).size(), 900'000u);
  }
}

// They stand in the rings, unread, when the owner that could read them is told to go.
TEST(MemoryChange, WritesThatWaitedForAStoppedOwnerAreAnsweredBeforeItGoes) {
  NginxServer server;
  server.start();
  const pid_t storage = server.storage_process();
  ASSERT_TRUE(freeze(storage));
  std::vector<std::unique_ptr<SlowPut>> puts;
  for (int i = 0; i < 20; i++) {
    puts.push_back(
        std::make_unique<SlowPut>(server.port(), "/v1/kv/" + std::to_string(i), "value"));
  }
  std::vector<std::thread> threads;
  std::vector<std::string> answers(puts.size());
  for (size_t i = 0; i < puts.size(); i++) {
    threads.emplace_back([&, i] { answers[i] = puts[i]->finish(); });
  }
  server.reload({.memory = "32m"});
  ASSERT_EQ(kill(storage, SIGCONT), 0);
  for (std::thread& thread : threads) thread.join();
  EXPECT_TRUE(await_serving(server));
  HttpClient client(server.port());
  for (size_t i = 0; i < answers.size(); i++) {
    const int status = raw_status(answers[i]);
    EXPECT_TRUE(status == 200 || status == 503) << answers[i];
    EXPECT_EQ(client.get("/v1/kv/" + std::to_string(i)).status, status == 200 ? 200 : 404);
  }
}

TEST(StoreChange, AStoreIsAddedRemovedAndAddedAgain) {
  const TempDirectory other;
  const std::string data = other.path() + "/data";
  NginxServer server;
  server.start();
  LoadClients load(server.port(), {});  // the other store's neighbours notice nothing
  load.start();
  server.reload(with_other(data));
  ASSERT_TRUE(other_serves(server));
  expect_ok(HttpClient(server.port()).put("/other/kv/k", base64_envelope("value")));
  SlowPut put(server.port(), "/other/kv/slow", "value");
  server.reload(NginxOptions());
  EXPECT_EQ(HttpClient(server.port()).get("/other/health").status, 404);
  // Nobody holds the directory, though a worker that knows it still drains.
  const int lock = open((data + "/LOCK").c_str(), O_RDWR | O_CLOEXEC);
  ASSERT_GE(lock, 0);
  EXPECT_TRUE(poll_until([&] { return flock(lock, LOCK_EX | LOCK_NB) == 0; }));
  close(lock);
  const std::string answer = put.finish();
  EXPECT_EQ(raw_status(answer), 503) << answer;
  server.reload(with_other(data));
  ASSERT_TRUE(other_serves(server));
  HttpClient client(server.port());
  EXPECT_EQ(value_in(client.get("/other/kv/k")), "value");
  EXPECT_EQ(client.get("/other/kv/slow").status, 404);
  await_progress(load, 50);
  load.stop();
  load.verify(client);
}

// The memory is that of the directory, whatever the store is called.
TEST(StoreChange, AStoreThatIsRenamedFailsNoRequest) {
  NginxServer server({.workers = 2});
  server.start();
  LoadClients load(server.port(), {});
  load.start();
  for (const char* name : {"renamed", "main"}) {
    await_progress(load, 100);
    server.reload({.workers = 2, .store_name = name});
  }
  await_progress(load, 100);
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  EXPECT_EQ(server.error_log().find("loaded the store"), std::string::npos) << "read from disk";
}

TEST(StoreChange, AnotherDirectoryIsAnotherStore) {
  const TempDirectory other;
  NginxServer server;
  server.start();
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("first")));
  server.reload({.data_directory = other.path() + "/data"});
  ASSERT_TRUE(await_serving(server));
  EXPECT_EQ(HttpClient(server.port()).get("/v1/kv/k").status, 404);
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("second")));
  server.reload(NginxOptions());
  ASSERT_TRUE(await_serving(server));
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "first");
  server.reload({.data_directory = other.path() + "/data"});
  ASSERT_TRUE(await_serving(server));
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "second");
}

TEST(StoreChange, KeepGenerationsIsReadAnewByAReload) {
  NginxServer server({.store_lines = "checkpoint off;\nkeep_generations 0;\n"});
  server.start();
  const auto checkpoints_after = [&](int count) {
    HttpClient client(server.port());
    for (int i = 0; i < count; i++) {
      expect_ok(client.put("/v1/kv/k", base64_envelope("value")));
      expect_ok(client.send({.method = "POST", .target = "/v1/checkpoint"}));
    }
    size_t found = 0;
    for (const auto& entry : std::filesystem::directory_iterator(server.data_directory())) {
      found += entry.path().filename().string().rfind("checkpoint.", 0) == 0 ? 1 : 0;
    }
    return found;
  };
  EXPECT_EQ(checkpoints_after(3), 1u);
  const pid_t before = server.storage_process();
  server.reload({.store_lines = "checkpoint off;\nkeep_generations 3;\n"});
  // A POST while the owner changes gets "unknown": it is asked when the change is over.
  ASSERT_TRUE(poll_until([&] { return !is_running(before) && server.storage_process() > 0; }));
  ASSERT_TRUE(poll_until([&] {
    const std::string pid = std::to_string(server.storage_process());
    return HttpClient(server.port()).get("/v1/status").body.find("\"pid\":" + pid) !=
           std::string::npos;
  }));
  EXPECT_EQ(checkpoints_after(5), 4u);
}

// A configuration that fails late: the live zone has been looked at by then.
TEST(FailedReload, ChangesNothingAndFailsNoRequest) {
  NginxServer server({.workers = 2});
  server.start();
  server.allow_log("bind() to");
  server.allow_log("still could not bind()");
  server.allow_log("unknown directive");
  LoadClients load(server.port(), {});
  load.start();
  const pid_t storage = server.storage_process();
  const std::vector<pid_t> workers = server.workers();
  const std::string conf = read_file(server.directory() + "/nginx.conf");
  const NginxServer* const itself = &server;
  const auto reload_broken = [&](const std::string& text, const std::string& complaint) {
    await_progress(load, 50);
    write_file(itself->directory() + "/nginx.conf", text);
    kill(itself->master(), SIGHUP);
    EXPECT_TRUE(
        poll_until([&] { return itself->error_log().find(complaint) != std::string::npos; }));
    await_progress(load, 50);
  };
  reload_broken("nonsense;\n", "unknown directive");
  std::string unbindable = conf;
  unbindable.replace(unbindable.find("    listen "), 0, "    listen 192.0.2.1:80;\n");
  reload_broken(unbindable, "bind() to 192.0.2.1:80 failed");
  EXPECT_EQ(server.storage_process(), storage);
  EXPECT_EQ(server.workers(), workers);
  load.stop();
  server.reload();
  HttpClient client(server.port());
  load.verify(client);
}

struct FileState {
  uintmax_t size;
  std::filesystem::file_time_type changed;
  bool operator==(const FileState&) const = default;
};
using Listing = std::map<std::string, FileState>;

Listing list(const std::string& directory) {
  Listing listing;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    listing[entry.path()] = {entry.file_size(), entry.last_write_time()};
  }
  listing[directory] = {0, std::filesystem::last_write_time(directory)};
  return listing;
}

// The last files that a store touches after a write: its idle frame, and space prepared ahead.
Listing await_rest(const std::string& directory) {
  Listing listing;
  EXPECT_TRUE(poll_until([&] {
    listing = list(directory);
    auto newest = std::filesystem::file_time_type::min();
    for (const auto& [name, state] : listing) newest = std::max(newest, state.changed);
    return std::filesystem::file_time_type::clock::now() - newest > std::chrono::seconds(1);
  }));
  return listing;
}

TEST(ConfigurationTest, TouchesNothingOfALiveStore) {
  NginxServer server({.store_lines = "checkpoint off;\n"});
  server.start();
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("value")));
  const std::string conf = read_file(server.directory() + "/nginx.conf");
  std::string bigger = conf;
  bigger.replace(bigger.find("memory 16m"), 10, "memory 32m");
  const Listing before = await_rest(server.data_directory());
  const std::string status = HttpClient(server.port()).get("/v1/status").body;
  for (const std::string& text : {conf, bigger}) {
    int exit_code = -1;
    const std::string output = check_configuration(server.directory(), text, &exit_code);
    EXPECT_EQ(exit_code, 0) << output;
  }
  EXPECT_EQ(list(server.data_directory()), before);
  EXPECT_EQ(HttpClient(server.port()).get("/v1/status").body, status);
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "value");
}

}  // namespace
}  // namespace small_db::testing
