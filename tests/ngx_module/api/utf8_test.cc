#include "ngx_module/api/utf8.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

std::string encode(uint32_t code) {
  std::string text;
  if (code < 0x80) return std::string(1, static_cast<char>(code));
  if (code >= 0x10000) {
    text += static_cast<char>(0xf0 | code >> 18);
    text += static_cast<char>(0x80 | (code >> 12 & 63));
  } else if (code >= 0x800) {
    text += static_cast<char>(0xe0 | code >> 12);
  }
  if (code >= 0x800) {
    text += static_cast<char>(0x80 | (code >> 6 & 63));
  } else {
    text += static_cast<char>(0xc0 | code >> 6);
  }
  return text + static_cast<char>(0x80 | (code & 63));
}

TEST(Utf8, TakesEveryScalarValueAndNoSurrogate) {
  for (uint32_t code = 0; code < 0x110000; code++) {
    const std::string text = encode(code);
    const bool surrogate = code >= 0xd800 && code < 0xe000;
    ASSERT_EQ(is_utf8(as_bytes(text)), !surrogate) << code;
  }
  EXPECT_FALSE(is_utf8(as_bytes(encode(0x110000))));
}

TEST(Utf8, NamesTheStartOfTheFirstBadSequence) {
  const std::pair<std::string, size_t> cases[] = {
      {"\x80", 0},              // a continuation alone
      {"abc\xff", 3},           //
      {"\xc0\x80", 0},          // overlong NUL
      {"\xc1\xbf", 0},          // overlong
      {"ab\xe0\x80\xaf", 2},    // overlong slash
      {"\xe0\x9f\xbf", 0},      // overlong
      {"\xf0\x80\x80\xaf", 0},  // overlong slash
      {"\xf0\x8f\xbf\xbf", 0},  // overlong
      {"\xed\xa0\x80", 0},      // surrogate
      {"\xf4\x90\x80\x80", 0},  // above U+10FFFF
      {"\xf5\x80\x80\x80", 0},  //
      {"\xc3", 0},              // cut short
      {"\xe2\x82", 0},          //
      {"\xf0\x9f\x98", 0},      //
      {"\xc3\xa4\xe2\x82", 2},  //
      {"\xe2\x28\xa1", 0},      // a continuation that is none
      {"\xe2\x82\x28", 0},      //
      {"\xf0\x9f\x98\x28", 0},  //
      {"12345678\xc3\xa4"
       "12345678\xc3",
       18},                // beyond the words of 8 bytes
      {"1234567\x80", 7},  // within the first word
  };
  for (const auto& [text, position] : cases) {
    EXPECT_EQ(utf8_valid_prefix(as_bytes(text)), position) << text;
  }
}

TEST(Utf8, TakesNothingAndNul) {
  EXPECT_TRUE(is_utf8({}));
  EXPECT_TRUE(is_utf8(as_bytes(std::string_view("\0", 1))));
}

}  // namespace
}  // namespace small_db
