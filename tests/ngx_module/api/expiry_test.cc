#include "ngx_module/api/expiry.h"

#include <gtest/gtest.h>

#include <ctime>
#include <string>

namespace small_db {
namespace {

constexpr uint64_t kNow = 1'700'000'000'123;

std::string ttl_fault(std::string_view text) {
  const ParsedExpiry parsed = parse_ttl(text, kNow);
  return parsed.is_ok() ? "taken" : parsed.why_not;
}

std::string time_fault(std::string_view text) {
  const ParsedExpiry parsed = parse_expires_at(text, kNow);
  return parsed.is_ok() ? "taken" : parsed.why_not;
}

TEST(Ttl, TakesSecondsAndUnits) {
  const std::pair<const char*, uint64_t> cases[] = {
      {"1", 1},       {"90", 90},      {"90s", 90}, {"15m", 900},
      {"24h", 86400}, {"7d", 604'800}, {"007", 7},  {"251702300799", 251'702'300'799},
  };
  for (const auto& [text, seconds] : cases) {
    const ParsedExpiry parsed = parse_ttl(text, kNow);
    EXPECT_TRUE(parsed.is_ok()) << text;
    EXPECT_EQ(parsed.expires_at_ms, kNow + seconds * 1000) << text;
  }
}

TEST(Ttl, SaysWhatIsWrong) {
  for (const char* text :
       {"", "s", "x", "1w", "1.5", "1 s", " 1", "+1", "--1", "1ms", "0x1", "1S"}) {
    EXPECT_NE(ttl_fault(text).find("whole number of seconds"), std::string::npos) << text;
  }
  for (const char* text : {"0", "-1", "0d", "-0", "-99999999999999999999"}) {
    EXPECT_EQ(ttl_fault(text), "must be more than zero") << text;
  }
  for (const char* text : {"251702300800", "9223372036854775807", "99999999999999999999",
                           "9223372036854775807d", "106751991167301d", "3000000000d"}) {
    EXPECT_EQ(ttl_fault(text), "must end before the year 10000") << text;
  }
}

TEST(ExpiresAt, TakesUnixTimeAndTimestamps) {
  const std::pair<const char*, uint64_t> cases[] = {
      {"1700000001", 1'700'000'001'000},
      {"253402300799", 253'402'300'799'000},
      {"2031-01-31T12:00:00Z", 1'927'627'200'000},
      {"2031-01-31t12:00:00z", 1'927'627'200'000},
      {"2031-01-31 12:00:00Z", 1'927'627'200'000},
      {"2031-01-31T14:30:00+02:30", 1'927'627'200'000},
      {"2031-01-31T00:00:00-12:00", 1'927'627'200'000},
      {"2031-01-31T12:00:00.25Z", 1'927'627'200'250},
      {"2031-01-31T12:00:00.1239999999999999999999999Z", 1'927'627'200'123},
      {"2031-01-31T11:59:60Z", 1'927'627'200'000},
      {"2032-02-29T00:00:00Z", 1'961'625'600'000},
      {"9999-12-31T23:59:59.999Z", kExpiryMsMax},
  };
  for (const auto& [text, ms] : cases) {
    const ParsedExpiry parsed = parse_expires_at(text, kNow);
    EXPECT_TRUE(parsed.is_ok()) << text << ": " << parsed.why_not;
    EXPECT_EQ(parsed.expires_at_ms, ms) << text;
  }
}

TEST(ExpiresAt, SaysWhatIsWrong) {
  for (const char* text : {"",
                           "tomorrow",
                           "2031-01-31",
                           "2031-01-31T12:00:00",
                           "2031-01-31T12:00Z",
                           "2031-1-31T12:00:00Z",
                           "2031-02-29T12:00:00Z",
                           "2031-13-01T12:00:00Z",
                           "2031-00-01T12:00:00Z",
                           "2031-01-00T12:00:00Z",
                           "2031-01-32T12:00:00Z",
                           "2031-01-31T24:00:00Z",
                           "2031-01-31T12:60:00Z",
                           "2031-01-31T12:00:61Z",
                           "2031-01-31T12:00:00.Z",
                           "2031-01-31T12:00:00+24:00",
                           "2031-01-31T12:00:00+0200",
                           "2031-01-31T12:00:00ZZ",
                           "31-01-31T12:00:00Z",
                           "1700000001.5",
                           "+1700000001"}) {
    EXPECT_NE(time_fault(text).find("RFC 3339"), std::string::npos) << text;
  }
  for (const char* text : {"0", "-1", "1700000000", "2023-11-14T22:13:20.123Z",
                           "1969-12-31T23:59:59Z", "0000-01-01T00:00:00Z"}) {
    EXPECT_EQ(time_fault(text), "must lie in the future") << text;
  }
  for (const char* text : {"253402300800", "99999999999999999999", "9999-12-31T23:59:59-00:01"}) {
    EXPECT_EQ(time_fault(text), "must end before the year 10000") << text;
  }
}

TEST(ExpiryText, IsWhatTheCLibrarySays) {
  for (uint64_t seconds = 0; seconds < 253'402'300'800; seconds += 86'400 * 13 + 3601) {
    const auto time = static_cast<time_t>(seconds);
    tm parts{};
    gmtime_r(&time, &parts);
    char expected[32];
    strftime(expected, sizeof(expected), "%Y-%m-%dT%H:%M:%SZ", &parts);
    ASSERT_EQ(ExpiryText(seconds * 1000).text(), expected);
  }
}

TEST(ExpiryText, ParsesBackToTheSameMillisecond) {
  for (uint64_t ms = kNow + 1; ms < kExpiryMsMax; ms += 86'400'000ull * 331 + 3'601'017) {
    EXPECT_EQ(parse_expires_at(ExpiryText(ms).text(), kNow).expires_at_ms, ms);
  }
  EXPECT_EQ(ExpiryText(1'927'627'200'050).text(), "2031-01-31T12:00:00.050Z");
  EXPECT_EQ(ExpiryText(UINT64_MAX).text(), "9999-12-31T23:59:59.999Z");
}

}  // namespace
}  // namespace small_db
