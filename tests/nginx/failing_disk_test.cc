// A disk that fails for a while, under a whole nginx: what was acknowledged stays, reads go on, and
// writes come back without anybody's help where that is safe.
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/nginx/nginx_server.h"
#include "tests/nginx/preload.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// Faults of the disk for the nginx that is started while this lives.
class DiskFaults {
 public:
  void set(const std::string& lines) { write_file(file(), lines); }
  void clear() { unlink(file().c_str()); }

 private:
  std::string file() const { return directory_.path() + "/faults"; }
  TempDirectory directory_;
  const Preload preload_{SMALL_DB_DISK_FAULTS_LIBRARY, "SMALL_DB_DISK_FAULTS", file()};
};

// nginx takes no variable over into its processes that is not named.
NginxOptions options() {
  return {.store_lines = "checkpoint off;\n", .main_lines = "env SMALL_DB_DISK_FAULTS;\n"};
}

nlohmann::json status_of(HttpClient& client) {
  const HttpResponse response = client.get("/v1/status");
  EXPECT_EQ(response.status, 200);
  return nlohmann::json::parse(response.body);
}

HttpResponse put(HttpClient& client, const std::string& key) {
  return client.put("/v1/kv/" + key, base64_envelope(key));
}

// The log's own IDLE frame may meet the fault first: the write is then refused.
void expect_failed_write(const HttpResponse& response) {
  EXPECT_EQ(response.status, 503);
  const bool unknown = response.body.find("problem:outcome-unknown") != std::string::npos;
  const bool refused = response.body.find("problem:read-only") != std::string::npos;
  EXPECT_TRUE(unknown || refused) << response.body;
}

TEST(FailingDisk, LogThatFailsOnceIsReplacedAndWritesGoOn) {
  for (const char* call : {"fdatasync", "pwrite"}) {
    DiskFaults faults;
    NginxServer server(options());
    server.start();
    HttpClient client(server.port());
    expect_ok(put(client, "kept"));
    faults.set(std::string(call) + " /logfile.0\n");
    expect_failed_write(put(client, "doubtful"));
    EXPECT_EQ(value_in(client.get("/v1/kv/kept")), "kept");
    // logfile.0 still fails; the store leaves it.
    ASSERT_TRUE(poll_until([&] {
      return read_file(server.data_directory() + "/version") == "1\n" &&
             client.get("/v1/health").status == 200;
    }));
    expect_ok(put(client, "after"));
    const nlohmann::json status = status_of(client);
    EXPECT_EQ(status["log"]["failures"], 1);
    EXPECT_EQ(status["generation"], 1);
    EXPECT_EQ(status["checkpoint"]["last"]["generation"], 1);
    server.kill_everything();
    faults.clear();
    server.start();
    HttpClient again(server.port());
    EXPECT_EQ(value_in(again.get("/v1/kv/kept")), "kept");
    EXPECT_EQ(value_in(again.get("/v1/kv/after")), "after");
    EXPECT_EQ(again.get("/v1/kv/doubtful").status, 404);
  }
}

TEST(FailingDisk, StoreIsReadOnlyUntilTheDiskIsWellAndAnOperatorAsksForACheckpoint) {
  DiskFaults faults;
  NginxServer server(options());
  server.start();
  HttpClient client(server.port());
  expect_ok(put(client, "kept"));
  faults.set("fdatasync " + server.data_directory() + "\n");
  expect_failed_write(put(client, "doubtful"));
  ASSERT_TRUE(poll_until([&] {
    return server.error_log().find("and a new generation neither") != std::string::npos;
  }));
  expect_problem(put(client, "refused"), 503, "read-only", "POST .../checkpoint");
  EXPECT_EQ(value_in(client.get("/v1/kv/kept")), "kept");
  const HttpResponse health = client.get("/v1/health");
  EXPECT_EQ(health.status, 503);
  EXPECT_NE(health.body.find(R"("state":"read-only")"), std::string::npos) << health.body;
  EXPECT_EQ(status_of(client)["state"], "read-only");
  const HttpRequest checkpoint = {.method = "POST", .target = "/v1/checkpoint"};
  EXPECT_EQ(client.send(checkpoint).status, 500);

  faults.clear();
  expect_ok(client.send(checkpoint));
  expect_ok(client.get("/v1/health"));
  expect_ok(put(client, "after"));
  server.kill_everything();
  server.start();
  HttpClient again(server.port());
  EXPECT_EQ(value_in(again.get("/v1/kv/kept")), "kept");
  EXPECT_EQ(value_in(again.get("/v1/kv/after")), "after");
  EXPECT_EQ(again.get("/v1/kv/refused").status, 404);
}

}  // namespace
}  // namespace small_db::testing
