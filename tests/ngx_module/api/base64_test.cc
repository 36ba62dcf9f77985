#include "ngx_module/api/base64.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace small_db {
namespace {

std::string encode(const std::vector<std::string>& pieces) {
  size_t bytes = 0;
  for (const std::string& piece : pieces) bytes += piece.size();
  std::string text(base64_encoded_bytes(bytes) + 1, '#');
  Base64Encoder encoder(text.data());
  for (const std::string& piece : pieces) encoder.add(as_bytes(piece));
  EXPECT_EQ(encoder.finish(), text.data() + text.size() - 1);
  EXPECT_EQ(text.back(), '#');
  text.pop_back();
  return text;
}

std::string decode(std::string_view text) {
  std::string bytes(base64_decoded_bytes(text), '\0');
  EXPECT_FALSE(base64_decode(text, reinterpret_cast<std::byte*>(bytes.data()))) << text;
  return bytes;
}

std::string every_byte(size_t count) {
  std::string bytes(count, '\0');
  for (size_t i = 0; i < count; i++) bytes[i] = static_cast<char>(i * 167 + (i >> 8));
  return bytes;
}

TEST(Base64, AgreesWithTheVectorsOfRfc4648) {
  const std::pair<const char*, const char*> vectors[] = {{"", ""},
                                                         {"f", "Zg=="},
                                                         {"fo", "Zm8="},
                                                         {"foo", "Zm9v"},
                                                         {"foob", "Zm9vYg=="},
                                                         {"fooba", "Zm9vYmE="},
                                                         {"foobar", "Zm9vYmFy"}};
  for (const auto& [bytes, text] : vectors) {
    EXPECT_EQ(encode({bytes}), text);
    EXPECT_EQ(decode(text), bytes);
  }
}

TEST(Base64, UsesPlusAndSlash) {
  EXPECT_EQ(encode({"\xfb\xef\xbe\xff\xff\xff"}), "++++////");
  EXPECT_EQ(decode("++++////"), "\xfb\xef\xbe\xff\xff\xff");
}

TEST(Base64, RoundTripsEveryLength) {
  for (size_t length = 0; length < 600; length++) {
    const std::string bytes = every_byte(length);
    EXPECT_EQ(decode(encode({bytes})), bytes);
  }
}

TEST(Base64, EncodesPiecesAsOneValue) {
  const std::string whole = every_byte(64);
  const std::string expected = encode({whole});
  for (size_t first = 0; first <= 12; first++) {
    for (size_t second = 0; second <= 12; second++) {
      EXPECT_EQ(encode({whole.substr(0, first), whole.substr(first, second), "",
                        whole.substr(first + second)}),
                expected)
          << first << " " << second;
    }
  }
  std::vector<std::string> single_bytes;
  for (const char byte : whole) single_bytes.emplace_back(1, byte);
  EXPECT_EQ(encode(single_bytes), expected);
}

TEST(Base64, DecodesInPlace) {
  const std::string bytes = every_byte(1000);
  std::string text = encode({bytes});
  ASSERT_FALSE(base64_decode(text, reinterpret_cast<std::byte*>(text.data())));
  EXPECT_EQ(text.substr(0, bytes.size()), bytes);
}

struct Malformed {
  std::string text;
  size_t position;
  const char* what;
};

constexpr const char* kAlphabetError = "a character outside of the base64 alphabet";
constexpr const char* kEarlyPadding = "padding before the end of the base64 text";
constexpr const char* kNoPadding = "the base64 text lacks its padding";
constexpr const char* kWithinByte = "the base64 text ends within a byte";
constexpr const char* kNeedlessPadding = "padding where the base64 text needs none";
constexpr const char* kUnusedBits = "unused bits of the last base64 character are not zero";

TEST(Base64, NamesTheFirstFaultAndItsPosition) {
  const Malformed cases[] = {
      {"A", 1, kWithinByte},
      {"AA", 2, kNoPadding},
      {"AAA", 3, kNoPadding},
      {"AA=", 3, kNoPadding},
      {"AAAAA", 5, kWithinByte},
      {"AAAAAA", 6, kNoPadding},
      {"Zg", 2, kNoPadding},
      {"=", 0, kNeedlessPadding},
      {"====", 0, kEarlyPadding},
      {"A===", 1, kEarlyPadding},
      {"AA=A", 2, kEarlyPadding},
      {"AA==AAAA", 2, kEarlyPadding},
      {"AAAA=", 4, kNeedlessPadding},
      {"AAAA==", 4, kNeedlessPadding},
      {"AAAA====", 4, kEarlyPadding},
      {"Zg==\n", 2, kEarlyPadding},
      {"Zm9v\n", 4, kAlphabetError},
      {" Zg==", 0, kAlphabetError},
      {"Zm 9v", 2, kAlphabetError},
      {"Zm9vYmFyZm9v-mFy", 12, kAlphabetError},
      {"____", 0, kAlphabetError},
      {"AAA_", 3, kAlphabetError},
      {"AAAAAAA\xff", 7, kAlphabetError},
      {std::string("AAA\0AAAA", 8), 3, kAlphabetError},
      {"Zh==", 1, kUnusedBits},
      {"Zm9=", 2, kUnusedBits},
      {"AAAAZm9=", 6, kUnusedBits},
      {"AAAAAB==", 5, kUnusedBits},
  };
  for (const Malformed& malformed : cases) {
    std::string out(malformed.text.size() + 4, '\0');
    const auto error = base64_decode(malformed.text, reinterpret_cast<std::byte*>(out.data()));
    ASSERT_TRUE(error) << malformed.text;
    EXPECT_EQ(error->position, malformed.position) << malformed.text;
    EXPECT_STREQ(error->what, malformed.what) << malformed.text;
  }
}

TEST(Base64, RefusesEveryByteOutsideOfTheAlphabetAtEveryPlace) {
  const std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  for (int byte = 0; byte < 256; byte++) {
    const char character = static_cast<char>(byte);
    if (character == '=' || alphabet.find(character) != std::string_view::npos) continue;
    for (size_t at = 0; at < 64; at++) {
      std::string text(64, 'A');
      text[at] = character;
      const auto error = base64_decode(text, reinterpret_cast<std::byte*>(text.data()));
      ASSERT_TRUE(error);
      EXPECT_EQ(error->position, at) << byte;
    }
  }
}

TEST(Base64, DecodesEachCharacterAtEveryPlace) {
  const std::string_view alphabet =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string text(alphabet);
  for (size_t rotation = 0; rotation < text.size(); rotation++) {
    EXPECT_EQ(encode({decode(text)}), text);
    std::rotate(text.begin(), text.begin() + 1, text.end());
  }
}

TEST(Base64, EachValueHasOneEncodingOnly) {
  // Of the 64 characters that may stand before "==", 4 leave the unused bits zero; before "=", 16.
  int two = 0;
  int one = 0;
  for (int byte = 0; byte < 128; byte++) {
    std::string first = std::string("A") + static_cast<char>(byte) + "==";
    std::string second = std::string("AA") + static_cast<char>(byte) + "=";
    two += !base64_decode(first, reinterpret_cast<std::byte*>(first.data()));
    one += !base64_decode(second, reinterpret_cast<std::byte*>(second.data()));
  }
  EXPECT_EQ(two, 4);
  // "AA==" is what the character '=' gives in the second form.
  EXPECT_EQ(one, 16 + 1);
}

TEST(Base64Url, HasAnAlphabetForAddresses) {
  const std::string bytes("\xfb\xff\0\x01", 4);
  EXPECT_EQ(base64url_encode(as_bytes(bytes)), "-_8AAQ");
  EXPECT_EQ(base64url_decode("-_8AAQ"), bytes);
  for (size_t length = 0; length < 7; length++) {
    const std::string text(length, '\xfe');
    EXPECT_EQ(base64url_decode(base64url_encode(as_bytes(text))), text);
  }
  for (const char* text : {"-_8AAQ==", "+/8AAQ", "A", "-_8AAR", "a b=", "AAAAA", "*"}) {
    EXPECT_FALSE(base64url_decode(text)) << text;
  }
}

}  // namespace
}  // namespace small_db
