#include "ngx_module/api/accept.h"

#include <gtest/gtest.h>

#include <vector>

namespace small_db {
namespace {

bool prefers_bytes(const std::vector<std::string_view>& fields) {
  Accept accept;
  for (const std::string_view field : fields) accept.add(field);
  return accept.prefers_bytes();
}

TEST(Accept, WantsBytesOnlyWhenToldSo) {
  EXPECT_FALSE(prefers_bytes({}));
  for (const char* field :
       {"", "*/*", "application/*", "application/json", "text/html", "text/html, */*;q=0.8",
        "application/json, application/octet-stream", "application/octet-stream;q=0",
        "application/octet-stream;q=0.5, application/json;q=0.5",
        "application/octet-stream;q=0.4, */*;q=0.5", "octet-stream", "application/octet-streamx",
        "application/octet-stream;q=2", "application/octet-stream;q=0.1234",
        "application/octet-stream;q=", "application/octet-stream;q=1.001",
        "text/x;a=\",application/octet-stream,\""}) {
    EXPECT_FALSE(prefers_bytes({field})) << field;
  }
  for (const char* field :
       {"application/octet-stream", "Application/Octet-Stream", "application/octet-stream;q=0.001",
        " application/octet-stream ; q=1.000", "application/octet-stream, */*;q=0.9",
        "application/json;q=0.2,application/octet-stream;Q=0.21",
        "application/json;q=0, application/*", "application/json;q=0, */*;q=0.1",
        "application/octet-stream;a=\"x;q=0\"", "text/html,,application/octet-stream",
        "application/octet-stream;q=0.1;x, application/octet-stream;q=0.6, */*;q=0.5"}) {
    EXPECT_TRUE(prefers_bytes({field})) << field;
  }
}

TEST(Accept, ReadsAllFields) {
  EXPECT_TRUE(prefers_bytes({"text/html", "application/octet-stream"}));
  EXPECT_FALSE(prefers_bytes({"application/octet-stream;q=0.5", "application/json"}));
  EXPECT_TRUE(prefers_bytes({"application/json;q=0", "*/*"}));
  EXPECT_TRUE(prefers_bytes({"*/*", "application/json;q=0"}));
  EXPECT_TRUE(prefers_bytes({"*/*;q=0.1", "application/json;q=0.5", "*/*"}));
  EXPECT_FALSE(prefers_bytes({"application/octet-stream;q=0.5", "*/*"}));
}

}  // namespace
}  // namespace small_db
