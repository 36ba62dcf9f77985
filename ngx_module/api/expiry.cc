#include "ngx_module/api/expiry.h"

#include <algorithm>
#include <charconv>
#include <optional>

namespace small_db {
namespace {

constexpr int64_t kMsPerSecond = 1000;
constexpr int64_t kSecondsPerMinute = 60;
constexpr int64_t kSecondsPerHour = 60 * kSecondsPerMinute;
constexpr int64_t kSecondsPerDay = 24 * kSecondsPerHour;
constexpr int64_t kSecondsMax = static_cast<int64_t>(kExpiryMsMax) / kMsPerSecond;

constexpr const char* kNoTtl =
    "must be a whole number of seconds, or one with a unit: 90s, 15m, 24h, 7d";
constexpr const char* kNoTime =
    "must be a time such as 2031-01-31T12:00:00Z (RFC 3339), or Unix time in whole seconds";
constexpr const char* kNotPositive = "must be more than zero";
constexpr const char* kPassed = "must lie in the future";
constexpr const char* kTooLate = "must end before the year 10000";

ParsedExpiry refused(const char* why_not) noexcept { return {0, why_not}; }

// The whole text as a decimal number; one that does not fit is the largest (or smallest) there is.
std::optional<int64_t> parse_number(std::string_view text) noexcept {
  const bool is_negative = !text.empty() && text.front() == '-';
  const std::string_view digits = text.substr(is_negative ? 1 : 0);
  if (digits.empty()) return std::nullopt;
  for (const char digit : digits) {
    if (digit < '0' || digit > '9') return std::nullopt;
  }
  int64_t number = 0;
  const auto parsed = std::from_chars(text.data(), text.data() + text.size(), number);
  if (parsed.ec == std::errc::result_out_of_range) return is_negative ? INT64_MIN : INT64_MAX;
  return number;
}

int64_t seconds_of_unit(char unit) noexcept {
  switch (unit) {
    case 's':
      return 1;
    case 'm':
      return kSecondsPerMinute;
    case 'h':
      return kSecondsPerHour;
    case 'd':
      return kSecondsPerDay;
    default:
      return 0;
  }
}

// Days from 1970-01-01 to a day of the proleptic Gregorian calendar. Years are counted from March,
// so that the leap day is a year's last.
int64_t days_of_date(int64_t year, int64_t month, int64_t day) noexcept {
  if (month <= 2) year--;
  const int64_t month_from_march = (month + 9) % 12;
  const int64_t day_of_year = (153 * month_from_march + 2) / 5 + day - 1;
  constexpr int64_t kDaysFromYear0March1To1970 = 719'468;
  return 365 * year + year / 4 - year / 100 + year / 400 + day_of_year - kDaysFromYear0March1To1970;
}

struct Date {
  int64_t year;
  int64_t month;
  int64_t day;
};

// The inverse, for days from 1970 on.
Date date_of_days(int64_t days) noexcept {
  int64_t year = 1970 + days / 366;
  while (days_of_date(year + 1, 1, 1) <= days) year++;
  int64_t month = 12;
  while (days_of_date(year, month, 1) > days) month--;
  return {year, month, days - days_of_date(year, month, 1) + 1};
}

bool is_date(const Date& date) noexcept {
  if (date.month < 1 || date.month > 12 || date.day < 1) return false;
  const bool is_december = date.month == 12;
  const int64_t next =
      is_december ? days_of_date(date.year + 1, 1, 1) : days_of_date(date.year, date.month + 1, 1);
  return date.day <= next - days_of_date(date.year, date.month, 1);
}

// Reads an RFC 3339 timestamp piece by piece; after the first piece that does not fit, nothing
// does.
class TimeReader {
 public:
  explicit TimeReader(std::string_view text) noexcept : rest_(text) {}

  bool is_whole() const noexcept { return ok_ && rest_.empty(); }
  void refuse() noexcept { ok_ = false; }

  int64_t number(size_t digits) noexcept {
    int64_t number = 0;
    for (size_t i = 0; i < digits; i++) number = number * 10 + digit();
    return number;
  }

  // Takes one character of `set`, and returns it.
  char one_of(std::string_view set) noexcept {
    if (rest_.empty() || set.find(rest_.front()) == std::string_view::npos) {
      refuse();
      return 0;
    }
    const char taken = rest_.front();
    rest_.remove_prefix(1);
    return taken;
  }

  // ".25" as 250; 0 when there is no fraction. What is less than a millisecond is cut off.
  int64_t fraction_ms() noexcept {
    if (rest_.empty() || rest_.front() != '.') return 0;
    rest_.remove_prefix(1);
    int64_t milliseconds = 100 * digit();
    for (int64_t unit = 10; is_digit_next(); unit /= 10) milliseconds += unit * digit();
    return milliseconds;
  }

 private:
  bool is_digit_next() const noexcept {
    return ok_ && !rest_.empty() && rest_.front() >= '0' && rest_.front() <= '9';
  }
  int64_t digit() noexcept { return is_digit_next() ? one_of("0123456789") - '0' : fail(); }
  int64_t fail() noexcept {
    refuse();
    return 0;
  }

  std::string_view rest_;
  bool ok_ = true;
};

// Seconds east of Greenwich.
int64_t read_offset(TimeReader* reader) noexcept {
  const char sign = reader->one_of("Zz+-");
  if (sign != '+' && sign != '-') return 0;
  const int64_t hours = reader->number(2);
  reader->one_of(":");
  const int64_t minutes = reader->number(2);
  if (hours > 23 || minutes > 59) reader->refuse();
  const int64_t seconds = hours * kSecondsPerHour + minutes * kSecondsPerMinute;
  return sign == '-' ? -seconds : seconds;
}

// Unix time in milliseconds; it may lie before 1970 or behind 9999.
std::optional<int64_t> parse_timestamp(std::string_view text) noexcept {
  TimeReader reader(text);
  Date date{};
  date.year = reader.number(4);
  reader.one_of("-");
  date.month = reader.number(2);
  reader.one_of("-");
  date.day = reader.number(2);
  reader.one_of("Tt ");
  const int64_t hour = reader.number(2);
  reader.one_of(":");
  const int64_t minute = reader.number(2);
  reader.one_of(":");
  const int64_t second = reader.number(2);  // 60: a leap second
  const int64_t milliseconds = reader.fraction_ms();
  const int64_t offset = read_offset(&reader);
  if (!reader.is_whole() || !is_date(date) || hour > 23 || minute > 59 || second > 60) {
    return std::nullopt;
  }
  const int64_t seconds = days_of_date(date.year, date.month, date.day) * kSecondsPerDay +
                          hour * kSecondsPerHour + minute * kSecondsPerMinute + second - offset;
  return seconds * kMsPerSecond + milliseconds;
}

ParsedExpiry checked(int64_t expires_at_ms, uint64_t now_ms) noexcept {
  if (expires_at_ms <= 0 || static_cast<uint64_t>(expires_at_ms) <= now_ms) return refused(kPassed);
  if (static_cast<uint64_t>(expires_at_ms) > kExpiryMsMax) return refused(kTooLate);
  return {static_cast<uint64_t>(expires_at_ms), nullptr};
}

char* write_digits(int64_t number, size_t digits, char* to) noexcept {
  for (size_t i = digits; i > 0; i--, number /= 10)
    to[i - 1] = static_cast<char>('0' + number % 10);
  return to + digits;
}

}  // namespace

ParsedExpiry expiry_after(int64_t seconds, uint64_t now_ms) noexcept {
  if (seconds <= 0) return refused(kNotPositive);
  if (seconds > kSecondsMax || now_ms > kExpiryMsMax) return refused(kTooLate);
  return checked(static_cast<int64_t>(now_ms) + seconds * kMsPerSecond, now_ms);
}

ParsedExpiry expiry_at(int64_t unix_seconds, uint64_t now_ms) noexcept {
  if (unix_seconds <= 0) return refused(kPassed);
  if (unix_seconds > kSecondsMax) return refused(kTooLate);
  return checked(unix_seconds * kMsPerSecond, now_ms);
}

ParsedExpiry parse_ttl(std::string_view text, uint64_t now_ms) noexcept {
  int64_t unit = text.empty() ? 0 : seconds_of_unit(text.back());
  if (unit != 0) text.remove_suffix(1);
  if (unit == 0) unit = 1;
  const std::optional<int64_t> number = parse_number(text);
  if (!number) return refused(kNoTtl);
  return expiry_after(std::clamp(*number, int64_t{-1}, kSecondsMax + 1) * unit, now_ms);
}

ParsedExpiry parse_expires_at(std::string_view text, uint64_t now_ms) noexcept {
  if (const std::optional<int64_t> seconds = parse_number(text)) return expiry_at(*seconds, now_ms);
  const std::optional<int64_t> milliseconds = parse_timestamp(text);
  return milliseconds ? checked(*milliseconds, now_ms) : refused(kNoTime);
}

ExpiryText::ExpiryText(uint64_t expires_at_ms) noexcept {
  const auto ms = static_cast<int64_t>(std::min(expires_at_ms, kExpiryMsMax));
  const int64_t seconds = ms / kMsPerSecond;
  const Date date = date_of_days(seconds / kSecondsPerDay);
  const int64_t of_day = seconds % kSecondsPerDay;
  char* to = write_digits(date.year, 4, text_.data());
  *to++ = '-';
  to = write_digits(date.month, 2, to);
  *to++ = '-';
  to = write_digits(date.day, 2, to);
  *to++ = 'T';
  to = write_digits(of_day / kSecondsPerHour, 2, to);
  *to++ = ':';
  to = write_digits(of_day % kSecondsPerHour / kSecondsPerMinute, 2, to);
  *to++ = ':';
  to = write_digits(of_day % kSecondsPerMinute, 2, to);
  if (ms % kMsPerSecond != 0) {
    *to++ = '.';
    to = write_digits(ms % kMsPerSecond, 3, to);
  }
  *to++ = 'Z';
  length_ = static_cast<size_t>(to - text_.data());
}

}  // namespace small_db
