// The store's memory lies in huge pages where the kernel has them, in every process that has it
// mapped.
#include <gtest/gtest.h>

#include "tests/engine/platform/shared_mapping.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

constexpr int kValues = 48;
constexpr size_t kValueBytes = kMiB;
constexpr size_t kHugeBytesMin = 40 * kMiB;

std::string value_of(int number) { return std::string(kValueBytes, static_cast<char>(number)); }

std::string path_of(int number) { return "/v1/kv/large-" + std::to_string(number); }

void expect_all_values(const NginxServer& server) {
  HttpClient client(server.port());
  for (int i = 0; i < kValues; ++i) EXPECT_TRUE(value_in(client.get(path_of(i))) == value_of(i));
}

TEST(HugePages, AreWhatAStoreGrowsIntoAndIsLoadedInto) {
  if (!kernel_makes_huge_pages()) GTEST_SKIP() << "no huge pages for shared memory here";
  NginxOptions options;
  options.memory = "128m";
  NginxServer server(options);
  server.start();
  HttpClient client(server.port());
  for (int i = 0; i < kValues; ++i) {
    expect_ok(
        client.send({.method = "PUT", .target = path_of(i), .body = base64_envelope(value_of(i))}));
  }
  const auto is_huge = [&] {
    return huge_page_bytes_of(server.storage_process()) >= kHugeBytesMin;
  };
  EXPECT_TRUE(poll_until(is_huge)) << huge_page_bytes_of(server.storage_process());
  expect_all_values(server);
  EXPECT_GE(huge_page_bytes_of(server.workers().front()), kHugeBytesMin);

  server.reload();
  expect_all_values(server);

  server.stop();
  server.start();  // from the log
  EXPECT_TRUE(poll_until(is_huge)) << huge_page_bytes_of(server.storage_process());
  expect_all_values(server);

  HttpClient caller(server.port());
  expect_ok(caller.send({.method = "POST", .target = "/v1/checkpoint", .body = ""}));
  server.stop();
  server.start();  // from the checkpoint
  EXPECT_TRUE(poll_until(is_huge)) << huge_page_bytes_of(server.storage_process());
  expect_all_values(server);
}

}  // namespace
}  // namespace small_db::testing
