#include "engine/record/record.h"

#include <gtest/gtest.h>

#include <functional>
#include <random>
#include <string>
#include <vector>

namespace small_db {
namespace {

std::string encode(const RecordView& record) {
  std::string bytes(record_bytes(record), '?');
  const size_t written = encode_record(record, reinterpret_cast<std::byte*>(bytes.data()));
  EXPECT_EQ(written, bytes.size());
  return bytes;
}

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

RecordView put(std::string_view key, std::string_view value) {
  RecordView record;
  record.revision = 0x1122334455667788;
  record.key = as_bytes(key);
  record.value = as_bytes(value);
  return record;
}

RecordView expiring_put(std::string_view key, std::string_view value) {
  RecordView record = put(key, value);
  record.expires_at_ms = 0x0102030405060708;
  return record;
}

RecordView removal(std::string_view key) {
  RecordView record = put(key, "");
  record.type = RecordType::kDelete;
  return record;
}

void expect_same(const RecordView& left, const RecordView& right) {
  EXPECT_EQ(left.type, right.type);
  EXPECT_EQ(left.revision, right.revision);
  EXPECT_EQ(left.expires_at_ms, right.expires_at_ms);
  EXPECT_EQ(as_text(left.key), as_text(right.key));
  EXPECT_EQ(as_text(left.value), as_text(right.value));
}

TEST(Record, PutHasTheseBytes) {
  EXPECT_EQ(hex(encode(put("key", "value"))),
            "8877665544332211"  // revision
            "05000000"          // value_bytes
            "0300"              // key_bytes
            "01"                // type
            "00"                // flags
            "6b6579"
            "76616c7565");
}

TEST(Record, ExpiringPutHasTheseBytes) {
  EXPECT_EQ(hex(encode(expiring_put("k", ""))),
            "8877665544332211"
            "00000000"
            "0100"
            "01"
            "01"
            "0807060504030201"  // expires_at_ms
            "6b");
}

TEST(Record, DeleteHasTheseBytes) {
  EXPECT_EQ(hex(encode(removal("key"))),
            "8877665544332211"
            "00000000"
            "0300"
            "02"
            "00"
            "6b6579");
}

TEST(Record, PrefixStatesALengthWhoseBytesAreElsewhere) {
  const std::string whole = encode(expiring_put("key", "value"));
  std::string prefix(record_prefix_bytes(3, true), '?');
  EXPECT_EQ(
      encode_record_prefix(expiring_put("key", ""), 5, reinterpret_cast<std::byte*>(prefix.data())),
      prefix.size());
  EXPECT_EQ(prefix, whole.substr(0, whole.size() - 5));

  const Result<DecodedPrefix> decoded = decode_record_prefix(as_bytes(prefix));
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(decoded.value().value_bytes, 5u);
  EXPECT_EQ(decoded.value().bytes, prefix.size());
  expect_same(decoded.value().view, expiring_put("key", ""));
}

TEST(Record, DecodesOnlyItsOwnBytes) {
  const std::string first = encode(put("key", "value"));
  const std::string both = first + encode(removal("other"));
  const Result<DecodedRecord> decoded = decode_record(as_bytes(both));
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(decoded.value().bytes, first.size());
  expect_same(decoded.value().view, put("key", "value"));
}

TEST(Record, EveryTruncationIsCorruption) {
  for (const RecordView& record : {put("key", "value"), expiring_put("k", "v"), removal("key")}) {
    const std::string bytes = encode(record);
    for (size_t length = 0; length < bytes.size(); ++length) {
      // In memory of exactly that length, so that a sanitizer sees a read beyond it.
      const std::vector<std::byte> cut(as_bytes(bytes).begin(),
                                       as_bytes(bytes).begin() + static_cast<long>(length));
      EXPECT_EQ(decode_record(cut).status().code(), Code::kCorruption) << length;
    }
  }
}

TEST(Record, EveryTruncatedPrefixIsCorruption) {
  const std::string bytes = encode(expiring_put("key", "value"));
  for (size_t length = 0; length < bytes.size(); ++length) {
    const Result<DecodedPrefix> decoded = decode_record_prefix(as_bytes(bytes).first(length));
    EXPECT_EQ(decoded.is_ok(), length >= bytes.size() - 5) << length;
  }
}

struct Damage {
  const char* name;
  std::function<void(std::string&)> inflict;
};

template <typename T>
std::function<void(std::string&)> set(size_t offset, T value) {
  return [=](std::string& bytes) {
    store<T>(reinterpret_cast<std::byte*>(bytes.data()) + offset, value);
  };
}

TEST(Record, EveryInvalidFieldIsCorruption) {
  const std::vector<Damage> damages = {
      {"type zero", set<uint8_t>(14, 0)},
      {"type unknown", set<uint8_t>(14, 3)},
      {"flag that only the table has", set<uint8_t>(15, 0x81)},
      {"key of nothing", set<uint16_t>(12, 0)},
      {"key above the limit", set<uint16_t>(12, kKeyBytesMax + 1)},
      {"value above the limit", set<uint32_t>(8, kValueBytesMax + 1)},
      {"value of everything", set<uint32_t>(8, UINT32_MAX)},
      {"expiry of zero", set<uint64_t>(16, 0)},
      {"delete with value and expiry", set<uint8_t>(14, 2)},
      {"delete with expiry",
       [](std::string& bytes) {
         set<uint8_t>(14, 2)(bytes);
         set<uint32_t>(8, 0)(bytes);
       }},
      {"delete with value",
       [](std::string& bytes) {
         set<uint8_t>(14, 2)(bytes);
         set<uint8_t>(15, 0)(bytes);
       }},
  };
  // Enough bytes behind it that no damaged length reaches the end.
  const std::string sound = encode(expiring_put("key", "value")) + std::string(100000, '\0');
  ASSERT_TRUE(decode_record(as_bytes(sound)).is_ok());
  for (const Damage& damage : damages) {
    std::string bytes = sound;
    damage.inflict(bytes);
    EXPECT_EQ(decode_record(as_bytes(bytes)).status().code(), Code::kCorruption) << damage.name;
    EXPECT_EQ(decode_record_prefix(as_bytes(bytes)).status().code(), Code::kCorruption)
        << damage.name;
  }
  for (unsigned flag = 1; flag < 8; ++flag) {
    std::string bytes = sound;
    set<uint8_t>(15, static_cast<uint8_t>(1u | 1u << flag))(bytes);
    EXPECT_EQ(decode_record(as_bytes(bytes)).status().code(), Code::kCorruption) << flag;
  }
}

TEST(Record, LargestKeyAndValueGoThrough) {
  const std::string key(kKeyBytesMax, 'k');
  const std::string value(kValueBytesMax, 'v');
  const std::string bytes = encode(put(key, value));
  const Result<DecodedRecord> decoded = decode_record(as_bytes(bytes));
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(decoded.value().bytes, bytes.size());
  EXPECT_EQ(decoded.value().view.key.size(), kKeyBytesMax);
  EXPECT_EQ(decoded.value().view.value.size(), kValueBytesMax);
}

TEST(Record, RandomRecordsGoThrough) {
  std::mt19937_64 random(1);
  for (int round = 0; round < 2000; ++round) {
    std::string key(1 + random() % 300, '\0');
    std::string value(random() % 3000, '\0');
    for (char& byte : key) byte = static_cast<char>(random());
    for (char& byte : value) byte = static_cast<char>(random());
    RecordView record = random() % 4 == 0 ? removal(key) : put(key, value);
    record.revision = random();
    if (record.type == RecordType::kPut && random() % 2 == 0)
      record.expires_at_ms = 1 + random() % 99;
    const std::string bytes = encode(record);
    const Result<DecodedRecord> decoded = decode_record(as_bytes(bytes));
    ASSERT_TRUE(decoded.is_ok());
    EXPECT_EQ(decoded.value().bytes, bytes.size());
    expect_same(decoded.value().view, record);
    // A view of the input, not a copy.
    EXPECT_EQ(decoded.value().view.key.data() + key.size() + record.value.size(),
              as_bytes(bytes).data() + bytes.size());
  }
}

TEST(RecordDeathTest, EncodingWhatNoDecoderTakesStopsTheProgram) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(encode(put("", "value")), "assertion failed");
  RecordView record = removal("key");
  record.value = as_bytes("value");
  EXPECT_DEATH(encode(record), "assertion failed");
}

}  // namespace
}  // namespace small_db
