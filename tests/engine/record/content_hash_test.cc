#include "engine/record/content_hash.h"

#include <gtest/gtest.h>

#include <vector>

namespace small_db {
namespace {

std::string hex(const Hash128& hash) {
  ContentHash sum;
  sum.add(hash);
  return sum.text();
}

// key 00 01 … 0f, message 00 01 …, in pieces of `piece` bytes.
std::string sip(size_t bytes, size_t piece) {
  std::vector<std::byte> key(16);
  for (size_t i = 0; i < key.size(); ++i) key[i] = std::byte(i);
  std::vector<std::byte> message(bytes);
  for (size_t i = 0; i < bytes; ++i) message[i] = std::byte(i);
  SipHash128 hash(key);
  for (size_t at = 0; at < bytes; at += piece) {
    hash.add(Bytes(message).subspan(at, std::min(piece, bytes - at)));
  }
  return hex(hash.finish());
}

Hash128 record(std::string_view key, std::string_view value, uint64_t expires_at_ms = 0) {
  return ContentHash::of_record(as_bytes(key), expires_at_ms,
                                [&](auto&& take) { take(as_bytes(value)); });
}

TEST(SipHash128, IsThatOfItsAuthors) {
  for (const size_t piece : {1, 3, 8, 64}) {
    EXPECT_EQ(sip(0, piece), "a3817f04ba25a8e66df67214c7550293");
    EXPECT_EQ(sip(1, piece), "da87c1d86b99af44347659119b22fc45");
    EXPECT_EQ(sip(8, piece), "3b62a9ba6258f5610f83e264f31497b4");
    EXPECT_EQ(sip(63, piece), "5150d1772f50834a503e069a973fbd7c");
  }
}

TEST(ContentHash, IsZeroForAnEmptyContent) {
  EXPECT_EQ(ContentHash().text(), std::string(32, '0'));
}

TEST(ContentHash, DoesNotDependOnTheOrder) {
  ContentHash one;
  ContentHash other;
  for (int i = 0; i < 100; ++i) one.add(record(std::to_string(i), "value"));
  for (int i = 99; i >= 0; --i) other.add(record(std::to_string(i), "value"));
  EXPECT_EQ(one.value(), other.value());
  other.subtract(record("7", "value"));
  EXPECT_NE(one.value(), other.value());
  other.add(record("7", "value"));
  EXPECT_EQ(one.value(), other.value());
}

TEST(ContentHash, DependsOnKeyValueExpiryAndWhereTheKeyEnds) {
  const Hash128 hash = record("key", "value");
  EXPECT_NE(hash, record("kez", "value"));
  EXPECT_NE(hash, record("key", "valuf"));
  EXPECT_NE(hash, record("key", "value", 1));
  EXPECT_NE(hash, record("keyv", "alue"));
  EXPECT_NE(record("key", ""), record("key", std::string_view("\0", 1)));
}

TEST(ContentHash, CarriesIntoTheUpperHalf) {
  ContentHash sum;
  sum.add({UINT64_MAX, 0});
  sum.add({1, 0});
  EXPECT_EQ(sum.value(), (Hash128{0, 1}));
  sum.subtract({1, 0});
  EXPECT_EQ(sum.value(), (Hash128{UINT64_MAX, 0}));
}

}  // namespace
}  // namespace small_db
