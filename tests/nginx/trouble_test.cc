// A store that is full, refused, or left by its clients: what it answers, and that nothing else on
// the same nginx notices.
#include <gtest/gtest.h>
#include <signal.h>

#include <filesystem>
#include <fstream>
#include <memory>
#include <vector>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// Flips a bit of the first occurrence of `text` in any file of the directory. The file's name.
std::string damage(const std::string& directory, const std::string& text) {
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    std::string bytes = read_file(entry.path());
    const size_t at = bytes.find(text);
    if (at == std::string::npos) continue;
    std::fstream file(entry.path(), std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(static_cast<std::streamoff>(at));
    file.put(static_cast<char>(text[0] ^ 1));
    EXPECT_TRUE(file.flush());
    return entry.path().filename();
  }
  ADD_FAILURE() << "no file in " << directory << " holds " << text;
  return "";
}

TEST(FullMemory, RefusesPutsAndLetsDeletesMakeRoom) {
  NginxServer server({.memory = "5m"});
  server.start();
  HttpClient client(server.port());
  const std::string value(20'000, 'v');
  int stored = 0;
  HttpResponse response;
  for (; stored < 1000; stored++) {
    response = client.put("/v1/kv/" + std::to_string(stored), base64_envelope(value));
    if (response.status != 200) break;
  }
  ASSERT_GT(stored, 10);
  expect_problem(response, 507, "no-memory", "in use");
  EXPECT_NE(response.body.find("memory"), std::string::npos);
  EXPECT_EQ(client.get("/v1/kv/" + std::to_string(stored)).status, 404);
  for (int i = 0; i < stored; i++) {
    EXPECT_TRUE(value_in(client.get("/v1/kv/" + std::to_string(i))) == value);
  }
  expect_ok(client.get("/v1/health"));
  for (int i = 0; i < stored; i += 2) expect_ok(client.del("/v1/kv/" + std::to_string(i)));
  EXPECT_TRUE(
      poll_until([&] { return client.put("/v1/kv/again", base64_envelope(value)).status == 200; }));
  for (int i = 1; i < stored; i += 2) {
    EXPECT_TRUE(value_in(client.get("/v1/kv/" + std::to_string(i))) == value);
  }
}

TEST(FullMemory, RefusesAValueThatNeverFits) {
  NginxServer server({.memory = "8m", .store_lines = "max_value_size 64m;\n"});
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/small", base64_envelope("x")));
  expect_problem(client.put("/v1/kv/big", base64_envelope(std::string(20'000'000, 'b'))), 507,
                 "no-memory", "in use");
  EXPECT_EQ(value_in(client.get("/v1/kv/small")), "x");
  expect_ok(client.put("/v1/kv/small", base64_envelope("y")));
}

TEST(FullMemory, TheSameKeysCanBeWrittenForEver) {
  NginxServer server({.memory = "5m"});
  server.start();
  HttpClient client(server.port());
  // Twenty times the memory.
  for (int i = 0; i < 1000; i++) {
    const HttpResponse response =
        client.put("/v1/kv/" + std::to_string(i % 10),
                   base64_envelope(std::string(100'000, static_cast<char>('a' + i % 26))));
    ASSERT_EQ(response.status, 200) << i << response.body;
  }
}

TEST(Refusal, OfADamagedLogNamesTheCauseAndLeavesTheWebSiteAlone) {
  NginxServer server;
  server.start();
  {
    HttpClient client(server.port());
    for (int i = 0; i < 20; i++) {
      expect_ok(client.put("/v1/kv/" + std::to_string(i),
                           base64_envelope("acknowledged value " + std::to_string(i))));
    }
  }
  server.stop();
  const std::string file = damage(server.data_directory(), "acknowledged value 7");
  const std::string damaged = read_file(server.data_directory() + "/" + file);
  server.start(Until::kListening);
  HttpClient client(server.port());
  ASSERT_TRUE(poll_until([&] {
    return client.get("/v1/health").body.find("\"state\":\"refused\"") != std::string::npos;
  })) << client.get("/v1/health").body;
  const HttpResponse health = client.get("/v1/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_EQ(health.header("Retry-After"), "1");
  EXPECT_NE(health.body.find(file), std::string::npos) << health.body;
  expect_problem(client.get("/v1/kv/1"), 503, "unavailable", file);
  expect_problem(client.put("/v1/kv/1", base64_envelope("x")), 503, "unavailable", file);
  expect_problem(client.del("/v1/kv/1"), 503, "unavailable", file);
  expect_problem(client.get("/v1/role"), 503, "unavailable", file);
  EXPECT_EQ(client.send({"HEAD", "/v1/role"}).status, 503);
  EXPECT_EQ(client.get("/static").body, "static\n");
  EXPECT_NE(server.error_log().find(file), std::string::npos);
  server.allow_log(file);
  // Nothing was repaired, lost or made anew behind the operator's back.
  EXPECT_TRUE(read_file(server.data_directory() + "/" + file) == damaged);
  EXPECT_EQ(server.storage_process() > 0, true);
}

TEST(Refusal, IsTakenBackWhenTheFilesAreWholeAgain) {
  NginxServer server;
  server.start();
  expect_ok(HttpClient(server.port()).put("/v1/kv/k", base64_envelope("acknowledged value")));
  expect_ok(HttpClient(server.port()).put("/v1/kv/l", base64_envelope("another")));
  server.stop();
  const std::string file = damage(server.data_directory(), "acknowledged value");
  server.start(Until::kListening);
  server.allow_log(file);
  EXPECT_TRUE(poll_until([&] {
    return HttpClient(server.port()).get("/v1/health").body.find("refused") != std::string::npos;
  }));
  server.stop();
  damage(server.data_directory(), "`cknowledged value");
  server.start();
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "acknowledged value");
}

// The storage process is stopped: nothing is written, and writes pile up until there are too many.
TEST(Overload, IsAnsweredAtOnceAndPassesBy) {
  constexpr int kClients = 1300;
  NginxServer server({.connections = 4096, .memory = "5m"});
  server.start();
  const pid_t storage = server.storage_process();
  ASSERT_GT(storage, 0);
  ASSERT_TRUE(freeze(storage));
  std::vector<std::unique_ptr<RawConnection>> clients;
  for (int i = 0; i < kClients; i++) {
    clients.push_back(std::make_unique<RawConnection>(server.port()));
    ASSERT_TRUE(clients.back()->send(
        "PUT /v1/kv/" + std::to_string(i) +
        " HTTP/1.1\r\nHost: h\r\nContent-Length: 16\r\nConnection: close\r\n\r\n" +
        R"({"value":"YQ=="})"));
  }
  // Those who came last do not wait; nor does anybody who reads.
  const std::string refused = clients.back()->receive_all();
  EXPECT_EQ(raw_status(refused), 503) << refused;
  EXPECT_NE(refused.find("Retry-After: 1"), std::string::npos) << refused;
  EXPECT_NE(refused.find("overloaded"), std::string::npos) << refused;
  EXPECT_EQ(HttpClient(server.port()).get("/v1/kv/0").status, 404);

  ASSERT_EQ(kill(storage, SIGCONT), 0);
  int written = 0;
  for (int i = 0; i + 1 < kClients; i++) {
    const int status = raw_status(clients[static_cast<size_t>(i)]->receive_all());
    EXPECT_TRUE(status == 200 || status == 503) << i << ": " << status;
    if (status == 200) written++;
  }
  EXPECT_GT(written, 100);
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/after", base64_envelope("x")));
  int stored = 0;
  for (int i = 0; i < kClients; i++) {
    if (client.get("/v1/kv/" + std::to_string(i)).status == 200) stored++;
  }
  EXPECT_EQ(stored, written);
}

TEST(Clients, ThatLeaveWhileTheyWaitHarmNobody) {
  NginxServer server({.workers = 2});
  server.start();
  for (int i = 0; i < 300; i++) {
    const std::string body = base64_envelope(std::string(static_cast<size_t>(i) * 100, 'x'));
    RawConnection connection(server.port());
    connection.send("PUT /v1/kv/left-" + std::to_string(i) +
                    " HTTP/1.1\r\nHost: h\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body);
    connection.close();
  }
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/after", base64_envelope("x")));
  EXPECT_EQ(value_in(client.get("/v1/kv/after")), "x");
  // What they sent is stored whole or not at all.
  for (int i = 0; i < 300; i++) {
    const HttpResponse response = client.get("/v1/kv/left-" + std::to_string(i));
    if (response.status == 404) continue;
    EXPECT_EQ(value_in(response).size(), static_cast<size_t>(i) * 100);
  }
}

TEST(Clients, ThatReadSlowlyHoldNothingUp) {
  NginxServer server({.memory = "16m"});
  server.start();
  HttpClient client(server.port());
  expect_ok(client.put("/v1/kv/big", base64_envelope(std::string(1'000'000, 'b'))));
  std::vector<std::unique_ptr<RawConnection>> readers;
  for (int i = 0; i < 100; i++) {
    readers.push_back(std::make_unique<RawConnection>(server.port()));
    readers.back()->send("GET /v1/kv/big HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n");
  }
  // Their values are replaced many times over: memory comes back although nobody has read.
  for (int i = 0; i < 100; i++) {
    expect_ok(client.put("/v1/kv/big",
                         base64_envelope(std::string(1'000'000, static_cast<char>('a' + i % 26)))));
  }
  for (const auto& reader : readers) {
    const std::string answer = reader->receive_all();
    EXPECT_EQ(raw_status(answer), 200);
    EXPECT_EQ(answer.substr(answer.size() - 2), "\"}");
  }
}

}  // namespace
}  // namespace small_db::testing
