// A store whose disk is full.
#include <gtest/gtest.h>

#include <filesystem>
#include <system_error>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/small_disk.h"

namespace small_db::testing {
namespace {

constexpr uintmax_t kPreparedAhead = 16 << 20;

class FullDisk : public ::testing::Test {
 protected:
  void SetUp() override {
    if (!disk_.is_mounted()) GTEST_SKIP() << "only root can mount a small disk";
  }
  SmallDisk disk_;
};

std::string key_of(int number) { return "/v1/kv/key" + std::to_string(number); }

TEST_F(FullDisk, RefusesPutsLosesNothingAndResumesByItself) {
  NginxServer server({.memory = "128m", .data_directory = disk_.path() + "/store"});
  server.start();
  HttpClient client(server.port());
  const std::string value(100'000, 'v');
  expect_ok(client.put("/v1/kv/victim", base64_envelope("x")));
  int stored = 0;
  HttpResponse response;
  for (; stored < 2000; stored++) {
    response = client.put(key_of(stored), base64_envelope(value));
    if (response.status != 200) break;
  }
  ASSERT_GT(stored, 20);
  expect_problem(response, 507, "no-disk-space", "");
  EXPECT_EQ(client.get(key_of(stored)).status, 404);
  expect_problem(client.send({.method = "POST", .target = "/v1/checkpoint", .body = ""}), 507,
                 "no-disk-space", "");
  // Everything else goes on.
  EXPECT_EQ(client.get("/v1/health").body, R"({"ok":true,"disk_full":true})");
  EXPECT_NE(client.get("/v1/status").body.find(R"("disk":{"full":true})"), std::string::npos);
  expect_ok(client.del("/v1/kv/victim"));
  EXPECT_EQ(client.get("/v1/kv/victim").status, 404);
  EXPECT_TRUE(value_in(client.get(key_of(0))) == value);
  EXPECT_NE(server.error_log().find("disk is full"), std::string::npos);

  ASSERT_TRUE(disk_.grow());
  EXPECT_TRUE(
      poll_until([&] { return client.put("/v1/kv/again", base64_envelope(value)).status == 200; }));
  expect_ok(client.get("/v1/health"));
  server.kill_everything();
  server.start();
  HttpClient after(server.port());
  for (int i = 0; i < stored; i++) {
    ASSERT_TRUE(value_in(after.get(key_of(i))) == value) << "key " << i;
  }
  EXPECT_EQ(after.get("/v1/kv/victim").status, 404);
  EXPECT_TRUE(value_in(after.get("/v1/kv/again")) == value);
}

// Each log is prepared 16 MiB ahead: two of those have no room on this disk.
TEST_F(FullDisk, SealedLogKeepsNoSpaceThatTheNextOneNeeds) {
  NginxServer server({.memory = "128m", .data_directory = disk_.path() + "/store"});
  server.start();
  HttpClient client(server.port());
  for (int generation = 0; generation < 4; generation++) {
    const std::string log = disk_.path() + "/store/logfile." + std::to_string(generation);
    ASSERT_TRUE(poll_until([&] {
      std::error_code missing;
      return std::filesystem::file_size(log, missing) > kPreparedAhead && !missing;
    })) << log
        << server.error_log();
    expect_ok(client.put(key_of(generation), base64_envelope("v")));
    expect_ok(client.send({.method = "POST", .target = "/v1/checkpoint", .body = ""}));
  }
  EXPECT_EQ(server.error_log().find("disk is full"), std::string::npos);
}

}  // namespace
}  // namespace small_db::testing
