// Checkpoints as an operator sees them: when they are made, what they leave in the directory, and
// that nobody who reads or writes meanwhile notices.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <functional>
#include <set>
#include <thread>

#include "tests/nginx/load_clients.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

using Names = std::set<std::string>;

constexpr const char* kOff = "checkpoint off;\n";

HttpRequest checkpoint_request() { return {.method = "POST", .target = "/v1/checkpoint"}; }

HttpResponse post_checkpoint(const NginxServer& server) {
  return HttpClient(server.port()).send(checkpoint_request());
}

// The generation that a start begins with; 0 when there is no checkpoint yet.
uint64_t version_of(const NginxServer& server) {
  const std::string text = read_file(server.data_directory() + "/version");
  return std::strtoull(text.c_str(), nullptr, 10);
}

// Names of the checkpoints and logs.
Names generations_in(const NginxServer& server) {
  Names names;
  for (const auto& entry : std::filesystem::directory_iterator(server.data_directory())) {
    const std::string name = entry.path().filename();
    if (name.rfind("checkpoint.", 0) == 0 || name.rfind("logfile.", 0) == 0) names.insert(name);
  }
  return names;
}

void put_number(HttpClient& client, int number) {
  expect_ok(client.put("/v1/kv/n" + std::to_string(number),
                       base64_envelope("value " + std::to_string(number))));
}

void expect_numbers(HttpClient& client, int from, int to) {
  for (int i = from; i < to; i++) {
    EXPECT_EQ(value_in(client.get("/v1/kv/n" + std::to_string(i))), "value " + std::to_string(i));
  }
}

bool logged(const NginxServer& server, const std::string& text) {
  return server.error_log().find(text) != std::string::npos;
}

TEST(Checkpoint, IsInForceWhenAPostIsAnswered) {
  NginxServer server({.store_lines = kOff});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  EXPECT_EQ(version_of(server), 0u);
  expect_ok(client.send(checkpoint_request()));
  EXPECT_EQ(version_of(server), 1u);
  EXPECT_EQ(generations_in(server), (Names{"logfile.0", "checkpoint.1", "logfile.1"}));
  put_number(client, 1);
  expect_ok(client.send(checkpoint_request()));
  EXPECT_EQ(version_of(server), 2u);
  EXPECT_EQ(generations_in(server),
            (Names{"checkpoint.1", "logfile.1", "checkpoint.2", "logfile.2"}));
  put_number(client, 2);
  server.kill_everything();
  server.start();
  HttpClient again(server.port());
  expect_numbers(again, 0, 3);
}

TEST(Checkpoint, KeepsAsManyGenerationsAsConfigured) {
  for (const int kept : {0, 3}) {
    NginxServer server(
        {.store_lines = std::string(kOff) + "keep_generations " + std::to_string(kept) + ";\n"});
    server.start();
    HttpClient client(server.port());
    for (int i = 0; i < 6; i++) {
      put_number(client, i);
      expect_ok(client.send(checkpoint_request()));
    }
    Names expected;
    for (int generation = 6 - kept; generation <= 6; generation++) {
      expected.insert("checkpoint." + std::to_string(generation));
      expected.insert("logfile." + std::to_string(generation));
    }
    EXPECT_EQ(generations_in(server), expected);
    server.kill_everything();
    server.start();
    HttpClient again(server.port());
    expect_numbers(again, 0, 6);
  }
}

TEST(Checkpoint, TakesAndIgnoresABody) {
  NginxServer server({.store_lines = kOff});
  server.start();
  HttpClient client(server.port());
  HttpRequest request = checkpoint_request();
  for (const std::string& body : {std::string(), std::string("{}"), std::string(100'000, 'x')}) {
    for (const bool chunked : {false, true}) {
      request.body = body;
      request.chunked = chunked;
      expect_ok(client.send(request));
      put_number(client, 0);
    }
  }
  request.version = HttpVersion::k2PriorKnowledge;
  expect_ok(HttpClient(server.http2_port()).send(request));
  request.chunked = false;
  request.version = HttpVersion::k1_0;
  expect_ok(HttpClient(server.port()).send(request));
}

TEST(Checkpoint, IsNotMadeBySubrequests) {
  NginxServer server(
      {.store_lines = kOff, .server_lines = "location /mirrored { mirror /v1/checkpoint; }\n"});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  client.send({.method = "POST", .target = "/mirrored"});
  EXPECT_EQ(version_of(server), 0u);
  put_number(client, 1);
  expect_ok(client.send(checkpoint_request()));
  EXPECT_EQ(version_of(server), 1u);
}

TEST(Checkpoint, IsSharedByThoseWhoAskAtOnce) {
  NginxServer server({.workers = 2, .memory = "64m", .store_lines = kOff});
  server.start();
  {
    HttpClient client(server.port());
    for (int i = 0; i < 16; i++) {
      expect_ok(client.put("/v1/kv/big" + std::to_string(i),
                           base64_envelope(std::string(1'000'000, 'b'))));
    }
  }
  constexpr int kClients = 16;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; i++) {
    threads.emplace_back([&] { expect_ok(post_checkpoint(server)); });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_GE(version_of(server), 1u);
  EXPECT_LE(version_of(server), kClients / 2);
}

TEST(Checkpoint, IsMadeWhenTheLogHasGrown) {
  NginxServer server({.store_lines = "checkpoint interval=0 log_size=1m;\n"});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  for (int i = 0; i < 30; i++) {
    expect_ok(client.put("/v1/kv/big", base64_envelope(std::string(100'000, 'b'))));
  }
  EXPECT_TRUE(poll_until([&] { return version_of(server) >= 1; }));
  server.kill_everything();
  server.start();
  HttpClient again(server.port());
  expect_numbers(again, 0, 1);
  EXPECT_EQ(value_in(again.get("/v1/kv/big")).size(), 100'000u);
}

uint64_t bytes_in(const std::string& directory) {
  uint64_t bytes = 0;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::error_code gone;  // removed since it was listed
    const uint64_t size = entry.file_size(gone);
    if (!gone) bytes += size;
  }
  return bytes;
}

// 120 MB are written. Two logs stay, of 4 MB and what came while a checkpoint was made, each with
// 16 MiB prepared ahead, and two small checkpoints.
TEST(Checkpoint, KeepsTheDiskBoundedWhileFewKeysAreOverwritten) {
  constexpr uint64_t kBound = 100 << 20;
  NginxServer server({.store_lines = "checkpoint interval=0 log_size=4m;\n"});
  server.start();
  HttpClient client(server.port());
  uint64_t most = 0;
  for (int i = 0; i < 1200; i++) {
    const std::string value(100'000, static_cast<char>('a' + i % 26));
    expect_ok(client.put("/v1/kv/key" + std::to_string(i % 5), base64_envelope(value)));
    most = std::max(most, bytes_in(server.data_directory()));
  }
  EXPECT_LT(most, kBound);
  EXPECT_TRUE(poll_until([&] { return bytes_in(server.data_directory()) < kBound; }));
  EXPECT_GE(version_of(server), 5u);
}

TEST(Checkpoint, IsMadeAfterSoManyUpdates) {
  NginxServer server({.store_lines = "checkpoint interval=0 log_size=0 updates=50;\n"});
  server.start();
  HttpClient client(server.port());
  for (int i = 0; i < 49; i++) put_number(client, i);
  EXPECT_EQ(version_of(server), 0u);
  put_number(client, 49);
  EXPECT_TRUE(poll_until([&] { return version_of(server) == 1; }));
}

// The second store shows that the time has passed; what it needs the first would have needed, too.
TEST(Checkpoint, IsMadeAtIntervalsWhenSomethingHasChanged) {
  const TempDirectory other;
  const std::string data = other.path() + "/data";
  const std::string lines = "checkpoint interval=1s log_size=0;\n";
  NginxServer server(
      {.store_lines = lines,
       .http_lines = "small_db_store other { dir " + data + "; memory 8m; " + lines + " }\n",
       .server_lines = "location /other/ { small_db other; }\n"});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  ASSERT_TRUE(poll_until([&] { return version_of(server) == 1; }));
  for (int i = 0; i < 3; i++) {
    const std::string before = read_file(data + "/version");
    expect_ok(client.put("/other/kv/k", base64_envelope("value")));
    ASSERT_TRUE(poll_until([&] { return read_file(data + "/version") != before; }));
  }
  EXPECT_EQ(version_of(server), 1u);
  put_number(client, 1);
  EXPECT_TRUE(poll_until([&] { return version_of(server) == 2; }));
}

TEST(Checkpoint, TheDirectiveIsReadAnewByAReload) {
  NginxServer server({.store_lines = kOff});
  server.start();
  put_number(*std::make_unique<HttpClient>(server.port()), 0);
  server.reload({.store_lines = "checkpoint updates=1;\n"});
  HttpClient client(server.port());
  EXPECT_TRUE(poll_until([&] {
    put_number(client, 1);
    return version_of(server) >= 1;
  }));
}

TEST(Checkpoint, FailsNoRequestUnderLoadAndLosesNothing) {
  NginxServer server({.workers = 2, .store_lines = "checkpoint interval=0 log_size=1m;\n"});
  server.start();
  LoadClients load(server.port(), {.writers = 8, .readers = 4});
  load.start();
  for (int i = 0; i < 5; i++) {
    const uint64_t target = load.acknowledged() + 300;
    EXPECT_TRUE(poll_until([&] { return load.acknowledged() >= target; }));
    expect_ok(post_checkpoint(server));
  }
  load.stop();
  HttpClient client(server.port());
  load.verify(client);
  EXPECT_GE(version_of(server), 5u);
  server.kill_everything();
  server.start();
  load.verify(client);
}

TEST(Checkpoint, KillingEverythingWhileOneIsMadeLosesNothing) {
  NginxServer server({.workers = 2, .store_lines = "checkpoint updates=40;\n"});
  for (int round = 0; round < 4; round++) {
    server.start();
    const uint64_t version = version_of(server);
    LoadClients load(server.port(),
                     {.failures_allowed = true, .key_prefix = "round" + std::to_string(round)});
    load.start();
    const uint64_t target = load.acknowledged() + 300;
    EXPECT_TRUE(
        poll_until([&] { return load.acknowledged() >= target && version_of(server) > version; }));
    server.kill_everything();
    load.stop();
    server.start();
    HttpClient client(server.port());
    load.verify(client);
    server.stop();
  }
}

// Asks for a checkpoint, and replaces the storage process when it has begun with it.
void replace_storage_while_one_waits(NginxServer& server, const std::function<void()>& replace) {
  ASSERT_TRUE(poll_until([&] { return server.storage_process() > 0; }));
  const std::string log =
      server.data_directory() + "/logfile." + std::to_string(version_of(server) + 1);
  HttpResponse response;
  std::thread asker([&] { response = post_checkpoint(server); });
  EXPECT_TRUE(poll_until([&] { return std::filesystem::exists(log); }));
  replace();
  asker.join();
  if (response.status == 200) {
    EXPECT_TRUE(std::filesystem::exists(log));
  } else {
    expect_problem(response, 503, "outcome-unknown", "ask again");
  }
  EXPECT_TRUE(poll_until([&] { return post_checkpoint(server).status == 200; }));
}

// A new storage process knows nothing of who waited at the old one.
TEST(Checkpoint, APostIsAnsweredWhateverBecomesOfTheStorageProcess) {
  NginxServer server({.memory = "64m", .store_lines = kOff});
  server.start();
  server.allow_log("exited on signal 9");
  {
    HttpClient client(server.port());
    for (int i = 0; i < 16; i++) {
      expect_ok(client.put("/v1/kv/big" + std::to_string(i),
                           base64_envelope(std::string(1'000'000, 'b'))));
    }
  }
  for (int i = 0; i < 2; i++) {
    replace_storage_while_one_waits(server, [&] { kill(server.storage_process(), SIGKILL); });
    replace_storage_while_one_waits(server, [&] { server.reload(); });
  }
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/big15")).size(), 1'000'000u);
}

TEST(Checkpoint, OneThatFailsChangesNothingAndSaysWhereToLook) {
  NginxServer server({.store_lines = kOff});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  const Names before = generations_in(server);
  namespace fs = std::filesystem;
  constexpr fs::perms kWrite = fs::perms::owner_write;
  fs::permissions(server.data_directory(), kWrite, fs::perm_options::remove);
  expect_problem(client.send(checkpoint_request()), 500, "checkpoint-failed", "error log");
  EXPECT_TRUE(logged(server, "failed, the one before stays in force"));
  put_number(client, 1);
  fs::permissions(server.data_directory(), kWrite, fs::perm_options::add);
  EXPECT_EQ(generations_in(server), before);
  expect_ok(client.send(checkpoint_request()));
  EXPECT_EQ(version_of(server), 1u);
  server.kill_everything();
  server.start();
  HttpClient again(server.port());
  expect_numbers(again, 0, 2);
}

TEST(Checkpoint, AStartReadsItAndTheLogAfterIt) {
  NginxServer server({.workers = 2, .memory = "64m", .store_lines = kOff});
  server.start();
  constexpr int kClients = 8;
  constexpr int kKeys = 50'000;
  std::vector<std::thread> threads;
  for (int i = 0; i < kClients; i++) {
    threads.emplace_back([&server, i] {
      HttpClient client(server.port());
      for (int key = i; key < kKeys; key += kClients) put_number(client, key);
    });
  }
  for (std::thread& thread : threads) thread.join();
  HttpClient client(server.port());
  expect_ok(client.send(checkpoint_request()));
  expect_ok(client.put("/v1/kv/n0", base64_envelope("changed")));
  expect_ok(client.del("/v1/kv/n1"));
  put_number(client, kKeys);
  server.kill_everything();
  server.start();
  EXPECT_TRUE(logged(server, std::to_string(kKeys) + " keys"));
  HttpClient again(server.port());
  EXPECT_EQ(value_in(again.get("/v1/kv/n0")), "changed");
  EXPECT_EQ(again.get("/v1/kv/n1").status, 404);
  expect_numbers(again, 2, 500);
  expect_numbers(again, kKeys - 500, kKeys + 1);
}

TEST(Checkpoint, IsNotMadeAgainForWhatAPostHasSaved) {
  const TempDirectory other;
  const std::string data = other.path() + "/data";
  const std::string lines = "checkpoint interval=1s log_size=0;\n";
  NginxServer server(
      {.store_lines = lines,
       .http_lines = "small_db_store other { dir " + data + "; memory 8m; " + lines + " }\n",
       .server_lines = "location /other/ { small_db other; }\n"});
  server.start();
  HttpClient client(server.port());
  put_number(client, 0);
  expect_ok(client.send(checkpoint_request()));
  const uint64_t saved = version_of(server);
  for (int i = 0; i < 2; i++) {
    const std::string before = read_file(data + "/version");
    expect_ok(client.put("/other/kv/k", base64_envelope("value")));
    ASSERT_TRUE(poll_until([&] { return read_file(data + "/version") != before; }));
  }
  EXPECT_EQ(version_of(server), saved);
}

}  // namespace
}  // namespace small_db::testing
