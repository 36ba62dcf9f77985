// A hundred reloads, clients at work: nginx is as large afterwards as before.
#include <gtest/gtest.h>

#include <cstdio>

#include "tests/chaos/clients.h"
#include "tests/chaos/footprint.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// Every fourth changes `memory`, so that the region is a new one.
NginxOptions options_of(int reload) {
  NginxOptions options;
  options.workers = 2;
  options.memory = reload / 4 % 2 == 0 ? "16m" : "24m";
  options.http_lines = "keepalive_timeout 5s;\n";
  return options;
}

TEST(Reloads, AHundredLeaveNothingBehind) {
  NginxServer server(options_of(0));
  server.start();
  // The first ones fill caches of the C library and of nginx.
  for (int i = 0; i < 10; i++) server.reload(options_of(i));
  Footprint before;
  ASSERT_TRUE(await_rest(server, 2, &before)) << describe(before);
  for (int i = 0; i <= 100; i++) {
    server.reload(options_of(i));
    HttpClient client(server.port());
    ASSERT_TRUE(poll_until(
        [&] { return client.put("/v1/kv/k", base64_envelope(std::to_string(i))).status == 200; }));
  }
  Footprint after;
  ASSERT_TRUE(await_rest(server, 2, &after)) << describe(after);
  std::printf("%s\n%s\n", describe(before).c_str(), describe(after).c_str());
  EXPECT_EQ(find_leak(before, after), "");
  EXPECT_EQ(after.region.slots, before.region.slots);
  EXPECT_EQ(value_in(HttpClient(server.port()).get("/v1/kv/k")), "100");
}

}  // namespace
}  // namespace small_db::testing
