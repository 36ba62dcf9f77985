#include "engine/record/write_set.h"

#include <gtest/gtest.h>

#include <string>

#include "engine/record/counter.h"

namespace small_db {
namespace {

std::string hex(Bytes bytes) {
  std::string text;
  for (const std::byte byte : bytes) {
    char digits[3];
    std::snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned>(byte));
    text += digits;
  }
  return text;
}

// Reads the whole set; how many guards and operations it has.
Status read_all(Bytes bytes) {
  WriteSetReader reader(bytes);
  SMALL_DB_RETURN_IF_ERROR(reader.begin());
  for (uint32_t i = 0; i < reader.guards(); ++i) {
    const Result<GuardView> guard = reader.next_guard();
    if (!guard.is_ok()) return guard.status();
  }
  for (uint32_t i = 0; i < reader.operations(); ++i) {
    const Result<OperationView> operation = reader.next_operation();
    if (!operation.is_ok()) return operation.status();
  }
  return reader.end();
}

WriteSetBuilder set_of_everything() {
  const uint64_t revisions[] = {7, 8};
  WriteSetBuilder set;
  set.guard(GuardKind::kRevisionIn, as_bytes("k"), revisions);
  set.guard(GuardKind::kAbsent, as_bytes("new"));
  set.put(as_bytes("k"), as_bytes("v"), 9);
  set.erase(as_bytes("old"));
  set.erase_range(as_bytes("a"), as_bytes("bb"));
  set.add(as_bytes("n"), -2, 5, 6);
  set.set_expiry(as_bytes("t"), 3);
  set.replace_range(as_bytes("p"), {});
  return set;
}

TEST(WriteSet, HasTheDocumentedBytes) {
  EXPECT_EQ(hex(set_of_everything().bytes()),
            "0200000006000000"
            "030001000200000007000000000000000800000000000000"
            "6b"
            "02000300000000006e6577"
            "010000001a000000"
            "0000000000000000010000000100010109000000000000006b76"
            "0100000013000000"
            "000000000000000000000000030002006f6c64"
            "0200000007000000"
            "01000200616262"
            "0400000019000000"
            "feffffffffffffff050000000000000006000000000000006e"
            "0500000009000000"
            "030000000000000074"
            "0300000005000000"
            "0100000070");
}

TEST(WriteSet, IsReadAsItWasBuilt) {
  const WriteSetBuilder set = set_of_everything();
  WriteSetReader reader(set.bytes());
  ASSERT_TRUE(reader.begin().is_ok());
  ASSERT_EQ(reader.guards(), 2u);
  ASSERT_EQ(reader.operations(), 6u);
  const GuardView guard = reader.next_guard().value();
  EXPECT_EQ(guard.kind, GuardKind::kRevisionIn);
  EXPECT_EQ(as_text(guard.key), "k");
  EXPECT_TRUE(guard.holds(8));
  EXPECT_FALSE(guard.holds(9));
  EXPECT_EQ(reader.next_guard().value().kind, GuardKind::kAbsent);
  const OperationView put = reader.next_operation().value();
  EXPECT_EQ(put.record.type, RecordType::kPut);
  EXPECT_EQ(as_text(put.record.value), "v");
  EXPECT_EQ(put.record.expires_at_ms, 9u);
  EXPECT_EQ(reader.next_operation().value().record.type, RecordType::kDelete);
  const OperationView range = reader.next_operation().value();
  EXPECT_EQ(as_text(range.start), "a");
  EXPECT_EQ(as_text(range.end), "bb");
  const OperationView add = reader.next_operation().value();
  EXPECT_EQ(add.delta, -2);
  EXPECT_EQ(add.initial, 5);
  EXPECT_EQ(add.record.expires_at_ms, 6u);
  EXPECT_EQ(as_text(add.record.key), "n");
  EXPECT_EQ(reader.next_operation().value().record.expires_at_ms, 3u);
  EXPECT_TRUE(reader.next_operation().value().end.empty());
  EXPECT_TRUE(reader.end().is_ok());
}

TEST(WriteSet, NoPartOfOneIsTakenForOne) {
  const WriteSetBuilder set = set_of_everything();
  for (size_t bytes = 0; bytes < set.bytes().size(); ++bytes) {
    EXPECT_EQ(read_all(set.bytes().first(bytes)).code(), Code::kInvalidArgument) << bytes;
  }
  std::vector<std::byte> longer(set.bytes().begin(), set.bytes().end());
  longer.push_back(std::byte{0});
  EXPECT_EQ(read_all(longer).code(), Code::kInvalidArgument);
}

TEST(WriteSet, KindsThatDoNotExistAreRefused) {
  const WriteSetBuilder set = set_of_everything();
  const size_t guard_at = 8;
  const size_t operation_at = 8 + 25 + 11;
  for (const size_t at : {guard_at, operation_at}) {
    for (const uint8_t kind : {0, 6, 255}) {
      std::vector<std::byte> bytes(set.bytes().begin(), set.bytes().end());
      bytes[at] = std::byte{kind};
      EXPECT_EQ(read_all(bytes).code(), Code::kInvalidArgument) << at << " " << int{kind};
    }
  }
}

TEST(WriteSet, AnEmptyOneIsNone) {
  EXPECT_EQ(read_all(WriteSetBuilder().bytes()).code(), Code::kInvalidArgument);
}

TEST(WriteSet, GuardsHoldByRevision) {
  const std::array<uint64_t, 1> five = {5};
  const Bytes listed(reinterpret_cast<const std::byte*>(five.data()), 8);
  struct {
    GuardKind kind;
    bool absent, five, six;
  } const rows[] = {{GuardKind::kPresent, false, true, true},
                    {GuardKind::kAbsent, true, false, false},
                    {GuardKind::kRevisionIn, false, true, false},
                    {GuardKind::kRevisionNotIn, true, false, true}};
  for (const auto& row : rows) {
    const GuardView guard{row.kind, as_bytes("k"), listed};
    EXPECT_EQ(guard.holds(0), row.absent);
    EXPECT_EQ(guard.holds(5), row.five);
    EXPECT_EQ(guard.holds(6), row.six);
  }
}

TEST(WriteSet, OneRecordIsNoRange) {
  const auto is_one = [](const WriteSetBuilder& set) {
    WriteSetReader reader(set.bytes());
    return reader.begin().is_ok() && reader.is_one_record();
  };
  WriteSetBuilder set;
  set.put(as_bytes("k"), as_bytes("v"), 0);
  EXPECT_TRUE(is_one(set));
  set.erase(as_bytes("l"));
  EXPECT_FALSE(is_one(set));
  set.clear();
  set.erase_range(as_bytes("k"), {});
  EXPECT_FALSE(is_one(set));
  set.clear();
  set.replace_range(as_bytes("k"), {});
  EXPECT_FALSE(is_one(set));
}

TEST(WriteSet, PrefixEndsBeforeTheNextOne) {
  const auto end = [](std::string_view prefix) {
    const std::vector<std::byte> bytes = end_of_prefix(as_bytes(prefix));
    return std::string(as_text(bytes));
  };
  EXPECT_EQ(end("a/"), "a0");
  EXPECT_EQ(end("a\xff"), "b");
  EXPECT_EQ(end("\xff\xff"), "");
  EXPECT_EQ(end(""), "");
}

TEST(Counter, IsDecimalTextOf64Bits) {
  const auto parse = [](std::string_view text) { return parse_counter(as_bytes(text)); };
  EXPECT_EQ(parse("0"), 0);
  EXPECT_EQ(parse("-12"), -12);
  EXPECT_EQ(parse("9223372036854775807"), INT64_MAX);
  EXPECT_EQ(parse("-9223372036854775808"), INT64_MIN);
  for (const char* text : {"", "-", "+1", " 1", "1 ", "1\n", "0x1", "1.0", "9223372036854775808",
                           "-9223372036854775809", "000000000000000000001"}) {
    EXPECT_EQ(parse(text), std::nullopt) << text;
  }
  EXPECT_EQ(CounterText(INT64_MIN).text(), "-9223372036854775808");
  EXPECT_EQ(CounterText(0).text(), "0");
}

}  // namespace
}  // namespace small_db
