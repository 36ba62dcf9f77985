#include "ngx_module/api/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>

namespace small_db {
namespace {

std::string escaped(std::string_view text) {
  std::string out(json_escaped_bytes(text), '#');
  EXPECT_EQ(write_json_escaped(text, out.data()), out.data() + out.size());
  return out;
}

TEST(JsonText, EscapesWhatMustBeEscapedAndNothingElse) {
  EXPECT_EQ(escaped(""), "");
  EXPECT_EQ(escaped("plain / text \x7f"), "plain / text \x7f");
  EXPECT_EQ(escaped("\"\\"), R"(\"\\)");
  EXPECT_EQ(escaped("\b\f\n\r\t"), R"(\b\f\n\r\t)");
  EXPECT_EQ(escaped(std::string_view("\0\x01\x1f", 3)), R"(\u0000\u0001\u001f)");
  EXPECT_EQ(escaped("\xc3\xa4\xf0\x9f\x98\x80"), "\xc3\xa4\xf0\x9f\x98\x80");
}

TEST(JsonText, IsReadBackByAParser) {
  for (int first = 0; first < 128; first++) {
    for (int second = 0; second < 128; second++) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      ASSERT_EQ(nlohmann::json::parse("\"" + escaped(text) + "\"").get<std::string>(), text);
    }
  }
}

}  // namespace
}  // namespace small_db
