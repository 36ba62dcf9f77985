#include "ngx_module/api/put_envelope.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace small_db {
namespace {

constexpr size_t kLimit = 1 << 20;
constexpr uint64_t kNow = 1'700'000'000'000;

std::optional<Problem> parse(std::string_view body, size_t limit, std::string* value) {
  PutEnvelope envelope;
  auto problem = parse_put_envelope(body, limit, kNow, &envelope);
  EXPECT_TRUE(problem || !envelope.expiry.is_given) << body;
  *value = envelope.value;
  return problem;
}

std::string value_of(std::string_view body, size_t limit = kLimit) {
  std::string value = "unset";
  const auto problem = parse(body, limit, &value);
  EXPECT_FALSE(problem) << body << ": " << (problem ? problem->detail : "");
  return value;
}

std::string detail_of(std::string_view body, size_t limit = kLimit) {
  std::string value;
  const auto problem = parse(body, limit, &value);
  if (!problem) return "accepted";
  EXPECT_EQ(problem->status, 400) << body;
  EXPECT_STREQ(problem->type, "urn:small-db:problem:invalid-body");
  return problem->detail;
}

std::string at(size_t byte, const std::string& cause) {
  return "at byte " + std::to_string(byte) + " of the body: " + cause;
}

TEST(PutEnvelope, DecodesBase64WhichIsTheDefault) {
  EXPECT_EQ(value_of(R"({"value":"aGVsbG8="})"), "hello");
  EXPECT_EQ(value_of(R"({"value":"aGVsbG8=","encoding":"base64"})"), "hello");
  EXPECT_EQ(value_of(R"({"encoding":"base64","value":"aGVsbG8="})"), "hello");
  EXPECT_EQ(value_of(R"({"value":""})"), "");
  EXPECT_EQ(value_of(R"({"value":"AAD/"})"), std::string("\0\0\xff", 3));
}

TEST(PutEnvelope, TakesWhiteSpaceWhereJsonDoes) {
  EXPECT_EQ(value_of(R"({"value": "aGVsbG8="})"), "hello");
  EXPECT_EQ(value_of("\r\n{ \t\"value\" :\n\"aGVsbG8=\" } \n"), "hello");
  EXPECT_EQ(detail_of("{\"value\":\"aGVsbG8=\"}\v"), at(20, "invalid literal"));
  EXPECT_EQ(detail_of("{\"value\":\"aGVs bG8=\"}"),
            at(14, "a character outside of the base64 alphabet"));
}

TEST(PutEnvelope, FindsTheOnlyValueWithoutAParser) {
  EXPECT_EQ(only_value(R"({"value":"aGVsbG8="})"), "aGVsbG8=");
  EXPECT_EQ(only_value("\r\n{ \t\"value\" :\n\"aGVsbG8=\" } \n"), "aGVsbG8=");
  EXPECT_EQ(only_value(R"({"value":""})"), "");
  for (const char* body : {"", " ", "{", "{}", R"({"value")", R"({"value":")", R"({"value":"})",
                           R"({"value":"")", R"({"value":"QQ=="]})", R"(["value":"QQ=="})",
                           R"({"valve":"QQ=="})", R"({"value":7})", R"({"value" "QQ=="})",
                           R"({"value":"QQ=="}x)", R"({"value":'QQ=='})", R"(x{"value":"QQ=="})",
                           "{\"value\":\"QQ==\"}\v", R"({"encoding":"text","value":"QQ=="})"}) {
    EXPECT_EQ(only_value(body), std::nullopt) << body;
  }
  // No base64: the parser's.
  EXPECT_EQ(only_value(R"({"value":"QQ==","encoding":"base64"})"), R"(QQ==","encoding":"base64)");
}

// The parser reads these.
TEST(PutEnvelope, ReadsEscapesWithinBase64) {
  EXPECT_EQ(value_of(R"({"value":"aGVsbG8\u003d"})"), "hello");
  EXPECT_EQ(value_of(R"({"value":"AAD\/"})"), std::string("\0\0\xff", 3));
  EXPECT_EQ(value_of(R"({"\u0076alue":"aGVsbG8="})"), "hello");
}

TEST(PutEnvelope, TakesTextUnderEveryNameOfUtf8) {
  for (const char* name : {"utf-8", "UTF-8", "Utf8", "plain", "PLAIN", "text", "teXt"}) {
    const std::string body = std::string(R"({"value":"hello","encoding":")") + name + "\"}";
    EXPECT_EQ(value_of(body), "hello");
  }
  EXPECT_EQ(value_of(R"({"value":"aGVsbG8=","encoding":"BASE64"})"), "hello");
}

TEST(PutEnvelope, DecodesEscapes) {
  EXPECT_EQ(value_of(R"({"value":"\"\\\/\b\f\n\r\tAä","encoding":"text"})"),
            "\"\\/\b\f\n\r\tA\xc3\xa4");
  EXPECT_EQ(value_of("{\"value\":\"\\u0000\\ud83d\\ude00\",\"encoding\":\"text\"}"),
            std::string("\0\xf0\x9f\x98\x80", 5));
  EXPECT_EQ(value_of(R"({"value":"\/\/\/\/"})"), "\xff\xff\xff");
  EXPECT_EQ(value_of("{\"val\\u0075e\":\"\\u0041AAA\",\"encoding\":\"bas\\u0065\\u0036\\u0034\"}"),
            std::string(3, '\0'));
}

TEST(PutEnvelope, TakesWhiteSpaceBetweenTokens) {
  EXPECT_EQ(value_of(" \r\n\t{ \"value\" : \"QQ==\" , \"encoding\" : \"base64\" } \n"), "A");
}

TEST(PutEnvelope, SaysWhatIsWrongAndWhere) {
  const std::string object = "the body must be a JSON object";
  const std::string value_type = "the member 'value' must be a string";
  const std::string encoding_type = "the member 'encoding' must be a string";
  const std::pair<std::string, std::string> cases[] = {
      // Not an object.
      {"[]", at(0, object)},
      {" [1]", at(1, object)},
      {"\"text\"", at(0, object)},
      {"  \"a\\\"b\"", at(2, object)},
      {"null", at(0, object)},
      {" true", at(1, object)},
      {"5", at(0, object)},
      {" -12.5e3 ", at(1, object)},
      {"18446744073709551616", at(0, object)},
      // Members.
      {"{}", at(1, "the member 'value' is missing")},
      {R"({"encoding":"base64"})", at(20, "the member 'value' is missing")},
      {R"({"value":"","extra":1})", at(12, "unknown member 'extra'")},
      {R"({"Value":""})", at(1, "unknown member 'Value'")},
      {R"({"":""})", at(1, "unknown member ''")},
      {"{\"a\\u0000\\n\":1}", at(1, "unknown member 'a\\x00\\x0a'")},
      {R"({"value":"","value":""})", at(12, "a second member 'value'")},
      {R"({"value":"","valu\u0065":""})", at(12, "a second member 'value'")},
      {R"({"encoding":"text","encoding":"text","value":""})", at(19, "a second member 'encoding'")},
      // Types.
      {R"({"value":null})", at(9, value_type)},
      {R"({"value":true})", at(9, value_type)},
      {R"({"value": false})", at(10, value_type)},
      {R"({"value":5})", at(9, value_type)},
      {R"({"value":-5 })", at(9, value_type)},
      {R"({"value":1e999})", at(9, value_type)},
      {R"({"value": 1.5e10,"encoding":""})", at(10, value_type)},
      {R"({"value":{}})", at(9, value_type)},
      {R"({"value":[]})", at(9, value_type)},
      {R"({"value":"","encoding":null})", at(23, encoding_type)},
      {R"({"value":"","encoding":7})", at(23, encoding_type)},
      {R"({"value":"","encoding":{"a":1}})", at(23, encoding_type)},
      // Encodings.
      {R"({"value":"","encoding":"UTF-8 "})",
       at(23, "unknown encoding 'UTF-8 ': it must be base64 or utf-8")},
      {R"({"value":"","encoding":""})", at(23, "unknown encoding '': it must be base64 or utf-8")},
      {R"({"encoding":"hex","value":""})",
       at(12, "unknown encoding 'hex': it must be base64 or utf-8")},
  };
  for (const auto& [body, detail] : cases) EXPECT_EQ(detail_of(body), detail) << body;
}

TEST(PutEnvelope, SaysWhereTheSyntaxBreaks) {
  const std::pair<std::string, std::string> cases[] = {
      {"", at(0, "unexpected end of input; expected '[', '{', or a literal")},
      {"   ", at(3, "unexpected end of input; expected '[', '{', or a literal")},
      {"{", at(1, "unexpected end of input; expected string literal")},
      {R"({"value")", at(8, "unexpected end of input; expected ':'")},
      {R"({"value" 5})", at(9, "unexpected number literal; expected ':'")},
      {R"({"value" "abc"})", at(9, "unexpected string literal; expected ':'")},
      {R"({"value":})", at(9, "unexpected '}'; expected '[', '{', or a literal")},
      {R"({"value":""})"
       "x",
       at(12, "invalid literal")},
      {R"({"value":""} {})", at(13, "unexpected '{'; expected end of input")},
      {R"({"value":""} null)", at(13, "unexpected null literal; expected end of input")},
      {R"({"value":"" "encoding":""})", at(12, "unexpected string literal; expected '}'")},
      {R"({"value":"",})", at(12, "unexpected '}'; expected string literal")},
      {R"({,"value":""})", at(1, "unexpected ','; expected string literal")},
      {R"({'value':""})", at(1, "invalid literal")},
      {R"({value:""})", at(1, "invalid literal")},
      {R"({"value":"abc)", at(13, "invalid string: missing closing quote")},
      {R"({"value":"\x"})", at(11, "invalid string: forbidden character after backslash")},
      {"{\"value\":\"a\nb\"}",
       at(11, "invalid string: control character U+000A (LF) must be escaped to \\u000A or \\n")},
      {R"({"value":tru})", at(12, "invalid literal")},
      {R"(/* comment */{"value":""})", at(0, "invalid literal")},
  };
  for (const auto& [body, detail] : cases) EXPECT_EQ(detail_of(body), detail) << body;
}

TEST(PutEnvelope, RefusesInvalidUtf8AndLoneSurrogates) {
  const std::string ill_formed = "invalid string: ill-formed UTF-8 byte";
  const std::string low_missing =
      "invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF";
  const std::string high_missing =
      "invalid string: surrogate U+DC00..U+DFFF must follow U+D800..U+DBFF";
  const std::pair<std::string, std::string> cases[] = {
      {"{\"value\":\"\xff\"}", at(10, ill_formed)},
      {"{\"value\":\"\xc0\x80\"}", at(10, ill_formed)},
      {"{\"value\":\"ab\xe0\x80\xaf\"}", at(13, ill_formed)},
      {"{\"value\":\"\xed\xa0\x80\"}", at(11, ill_formed)},
      {"{\"value\":\"\xf4\x90\x80\x80\"}", at(11, ill_formed)},
      {"{\"value\":\"\xc3\"}", at(11, ill_formed)},
      {"{\"val\xfe\":\"\"}", at(5, ill_formed)},
      {"{\"value\":\"\\ud800\"}", at(16, low_missing)},
      {"{\"value\":\"\\ud800x\"}", at(16, low_missing)},
      {"{\"value\":\"\\ud800\\n\"}", at(17, low_missing)},
      {"{\"value\":\"\\ud800\\u0041\"}", at(21, low_missing)},
      {"{\"value\":\"\\udc00\"}", at(15, high_missing)},
      {"\xff", at(0, "invalid literal")},
  };
  for (const auto& [body, detail] : cases) EXPECT_EQ(detail_of(body), detail) << body;
}

TEST(PutEnvelope, RefusesAByteOrderMark) {
  EXPECT_EQ(detail_of("\xef\xbb\xbf{\"value\":\"\"}"),
            at(0, "a byte-order mark, which JSON does not allow"));
}

TEST(PutEnvelope, SaysWhereBase64IsWrong) {
  const std::string alphabet = "a character outside of the base64 alphabet";
  const std::string padding = "the base64 text lacks its padding";
  const std::pair<std::string, std::string> cases[] = {
      {R"({"value":"Zg"})", at(12, padding)},
      {R"({"value":"Z"})", at(11, "the base64 text ends within a byte")},
      {R"({"value":"Zg= "})", at(12, "padding before the end of the base64 text")},
      {R"({"value":"Zm 9"})", at(12, alphabet)},
      {R"({"value":"Zm9v\n"})", at(14, alphabet)},
      {R"({"value":"AA_-"})", at(12, alphabet)},
      {R"({"value":"Zh=="})", at(11, "unused bits of the last base64 character are not zero")},
      // Behind escapes, the position is still one of the body.
      {R"({"value":"\/\/\/\/***"})", at(18, alphabet)},
      {"{\"value\":\"\\u0041\\u0041\\u0041\\u0041!AAA\"}", at(34, alphabet)},
      {"{\"value\":\"AAAA\\ud83d\\ude00\"}", at(14, alphabet)},
      {"{\"value\":\"AAA\xc3\xa4\"}", at(13, alphabet)},
      {R"({ "value" : "A\"AA", "encoding":"base64"})", at(14, alphabet)},
      {R"({"encoding":"base64", "value":"Zg"})", at(33, padding)},
      {R"({"value":"\/\/","encoding":"base64"})", at(14, padding)},
  };
  for (const auto& [body, detail] : cases) EXPECT_EQ(detail_of(body), detail) << body;
}

TEST(PutEnvelope, StopsNestingAtOnce) {
  for (const char* unit : {"[", "{\"value\":", "{\"value\":["}) {
    std::string body;
    for (int i = 0; i < 100'000; i++) body += unit;
    EXPECT_NE(detail_of(body), "accepted");
  }
  EXPECT_EQ(detail_of("{\"value\":" + std::string(100'000, '[')),
            at(9, "the member 'value' must be a string"));
  EXPECT_EQ(detail_of("{\"x\":" + std::string(100'000, '[')), at(1, "unknown member 'x'"));
}

TEST(PutEnvelope, NamesTheLimitBeforeItDecodes) {
  std::string value;
  const auto expect_too_large = [&](std::string_view body, size_t limit, const char* detail) {
    const auto problem = parse(body, limit, &value);
    ASSERT_TRUE(problem) << body;
    EXPECT_EQ(problem->status, 413);
    EXPECT_EQ(problem->detail, detail);
  };
  EXPECT_EQ(value_of(R"({"value":"aGVsbG8="})", 5), "hello");
  expect_too_large(R"({"value":"aGVsbG8="})", 4,
                   "the value has 5 bytes, the limit max_value_size is 4");
  EXPECT_EQ(value_of(R"({"value":"hello","encoding":"text"})", 5), "hello");
  expect_too_large(R"({"value":"hello","encoding":"text"})", 4,
                   "the value has 5 bytes, the limit max_value_size is 4");
  expect_too_large(R"({"value":"****????"})", 1,
                   "the value has 6 bytes, the limit max_value_size is 1");
  EXPECT_EQ(value_of(R"({"value":""})", 0), "");
}

TEST(PutEnvelope, KeepsADetailShortWhateverTheBody) {
  EXPECT_LT(detail_of("{\"" + std::string(100'000, 'x') + "\":1}").size(), 400u);
  EXPECT_LT(detail_of("{\"value\":" + std::string(100'000, '1') + "}").size(), 400u);
  EXPECT_LT(detail_of("{\"value\":\"" + std::string(100'000, 'x') + "\n\"}").size(), 400u);
}

TEST(PutEnvelope, BoundsTheBodyOfEveryValueWithinTheLimit) {
  std::string body = R"({"encoding":"utf-8","value":")";
  for (int i = 0; i < 1000; i++) body += "\\u0001";
  body += "\"}";
  EXPECT_EQ(value_of(body, 1000), std::string(1000, '\x01'));
  EXPECT_LE(body.size(), put_envelope_bytes_max(1000));
}

TEST(PutEnvelope, RefusesEveryTruncation) {
  const std::string body = "{\"value\":\"\\u0041\\/==\",\"encoding\":\"base64\"}";
  for (size_t length = 0; length < body.size(); length++) {
    EXPECT_NE(detail_of(body.substr(0, length)), "accepted") << length;
  }
}

uint64_t expiry_of(std::string_view body) {
  PutEnvelope envelope;
  const auto problem = parse_put_envelope(body, kLimit, kNow, &envelope);
  EXPECT_FALSE(problem) << body << ": " << (problem ? problem->detail : "");
  EXPECT_TRUE(envelope.expiry.is_given);
  return envelope.expiry.expires_at_ms;
}

TEST(PutEnvelope, TakesTimesAsNumbersAndAsTexts) {
  EXPECT_EQ(expiry_of(R"({"value":"","ttl":90})"), kNow + 90'000);
  EXPECT_EQ(expiry_of(R"({"ttl":"90","value":""})"), kNow + 90'000);
  EXPECT_EQ(expiry_of(R"({"value":"","ttl":"15m"})"), kNow + 900'000);
  EXPECT_EQ(expiry_of(R"({"value":"","expires_at":1700000001})"), kNow + 1000);
  EXPECT_EQ(expiry_of(R"({"value":"","expires_at":"2023-11-14T22:13:21Z"})"), kNow + 1000);
}

TEST(PutEnvelope, SaysWhatIsWrongWithATime) {
  const std::string type = "must be a whole number of seconds or a string";
  const std::pair<std::string, std::string> cases[] = {
      {R"({"value":"","ttl":null})", at(18, "the member 'ttl' " + type)},
      {R"({"value":"","ttl":1.5})", at(18, "the member 'ttl' " + type)},
      {R"({"value":"","ttl":9223372036854775808})", at(18, "the member 'ttl' " + type)},
      {R"({"value":"","expires_at":[]})", at(25, "the member 'expires_at' " + type)},
      {R"({"value":"","ttl":0})", at(18, "'ttl' must be more than zero")},
      {R"({"value":"","ttl": -5})", at(19, "'ttl' must be more than zero")},
      {R"({"value":"","ttl":9223372036854775807})", at(18, "'ttl' must end before the year 10000")},
      {R"({"value":"","ttl":"5w"})",
       at(18, "'ttl' must be a whole number of seconds, or one with a unit: 90s, 15m, 24h, 7d")},
      {R"({"value":"","expires_at":1700000000})", at(25, "'expires_at' must lie in the future")},
      {R"({"value":"","ttl":5,"expires_at":1800000000})",
       at(33, "give either 'ttl' or 'expires_at', not both")},
      {R"({"expires_at":1800000000,"value":"","ttl":5})",
       at(42, "give either 'ttl' or 'expires_at', not both")},
  };
  for (const auto& [body, detail] : cases) EXPECT_EQ(detail_of(body), detail) << body;
}

TEST(Patch, SetsOrClearsTheTime) {
  Expiry expiry;
  EXPECT_FALSE(parse_patch(R"({"ttl":60})", kNow, &expiry));
  EXPECT_EQ(expiry.expires_at_ms, kNow + 60'000);
  for (const char* body : {R"({"ttl":null})", R"({"expires_at":null})"}) {
    EXPECT_FALSE(parse_patch(body, kNow, &expiry)) << body;
    EXPECT_TRUE(expiry.is_given);
    EXPECT_EQ(expiry.expires_at_ms, 0u);
  }
}

TEST(Patch, TakesNothingElse) {
  const std::pair<std::string, std::string> cases[] = {
      {"{}", at(1, "the member 'ttl' or 'expires_at' is missing")},
      {R"({"value":""})", at(1, "unknown member 'value'")},
      {R"({"ttl":true})",
       at(7, "the member 'ttl' must be a whole number of seconds, a string or null")},
      {R"({"ttl":null,"expires_at":null})", at(25, "give either 'ttl' or 'expires_at', not both")},
      {R"({"ttl":5)", at(8, "unexpected end of input; expected '}'")},
  };
  for (const auto& [body, detail] : cases) {
    Expiry expiry;
    const auto problem = parse_patch(body, kNow, &expiry);
    ASSERT_TRUE(problem) << body;
    EXPECT_EQ(problem->status, 400);
    EXPECT_EQ(problem->detail, detail) << body;
  }
}

}  // namespace
}  // namespace small_db
