// That records hashed in lanes have the hashes that content_hash.h defines, whatever is hashed
// beside them, in every version that this processor can run.
#include "engine/record/content_hash_lanes.h"

#include <gtest/gtest.h>
#include <sys/mman.h>

#include <array>
#include <random>
#include <string>
#include <vector>

#include "engine/base/assert.h"
#include "engine/record/content_sum.h"

namespace small_db {
namespace {

Hash128 defined_hash(const RecordInLane& record) {
  const Bytes key = record.key_and_value.first(record.key_bytes);
  const Bytes value = record.key_and_value.subspan(record.key_bytes);
  return ContentHash::of_record(key, record.expires_at_ms, [&](const auto& take) { take(value); });
}

// Bytes of no pattern, and behind them a page that can't be read.
class LanesTest : public ::testing::Test {
 protected:
  LanesTest() {
    void* memory = mmap(nullptr, kBytes + kGuardBytes, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SMALL_DB_ASSERT(memory != MAP_FAILED);
    bytes_ = {static_cast<std::byte*>(memory), kBytes};
    for (std::byte& byte : bytes_) byte = std::byte(random_());
    SMALL_DB_ASSERT(mprotect(bytes_.data() + kBytes, kGuardBytes, PROT_NONE) == 0);
  }
  ~LanesTest() override { munmap(bytes_.data(), kBytes + kGuardBytes); }

  // A record of `bytes` bytes that end `before_end` bytes before those that can't be read.
  RecordInLane record(size_t bytes, size_t before_end) {
    RecordInLane record;
    record.key_and_value = bytes_.subspan(kBytes - before_end - bytes, bytes);
    record.key_bytes = static_cast<uint32_t>(1 + random_() % bytes);
    record.expires_at_ms = random_() % 2 == 0 ? 0 : random_();
    return record;
  }

  static void expect_defined_hashes(const std::vector<RecordInLane>& records) {
    std::vector<Hash128> expected;
    for (const RecordInLane& record : records) expected.push_back(defined_hash(record));
    for (const LaneVersion& version : lane_versions()) {
      std::vector<Hash128> hashes(records.size());
      version.hash(records, hashes.data());
      ASSERT_EQ(hashes, expected) << version.name << ", " << records.size() << " records, "
                                  << records.front().key_and_value.size() << " bytes";
    }
    std::vector<Hash128> hashes(records.size());
    hash_in_lanes(records, hashes.data());
    ASSERT_EQ(hashes, expected);
  }

  static constexpr size_t kBytes = 64 * 1024;
  static constexpr size_t kGuardBytes = 4096;

  std::mt19937_64 random_{1};
  MutableBytes bytes_;
};

TEST_F(LanesTest, HashRecordsOfOneLength) {
  for (size_t bytes = kLaneBytesMin; bytes <= 600; ++bytes) {
    for (size_t count = 1; count <= kHashLanes; ++count) {
      std::vector<RecordInLane> records;
      for (size_t i = 0; i < count; ++i) records.push_back(record(bytes, i * 601));
      ASSERT_NO_FATAL_FAILURE(expect_defined_hashes(records));
    }
  }
}

TEST_F(LanesTest, HashRecordsOfDifferentLengths) {
  for (int round = 0; round < 20000; ++round) {
    std::vector<RecordInLane> records;
    const size_t count = 1 + random_() % kHashLanes;
    const size_t longest = round % 10 == 0 ? 4200 : 4 + random_() % 597;
    for (size_t i = 0; i < count; ++i) {
      const size_t bytes = kLaneBytesMin + random_() % (longest - kLaneBytesMin + 1);
      records.push_back(record(bytes, random_() % 5000));
    }
    ASSERT_NO_FATAL_FAILURE(expect_defined_hashes(records));
  }
}

// Each length beside each number of words that the others may be shorter or longer by.
TEST_F(LanesTest, HashALongRecordBesideShortOnes) {
  for (size_t bytes = kLaneBytesMin; bytes <= 100; ++bytes) {
    for (size_t other = kLaneBytesMin; other <= 100; other += 3) {
      for (size_t shorter = 1; shorter < kHashLanes; ++shorter) {
        std::vector<RecordInLane> records(kHashLanes);
        for (size_t i = 0; i < kHashLanes; ++i) records[i] = record(i < shorter ? other : bytes, i);
        ASSERT_NO_FATAL_FAILURE(expect_defined_hashes(records));
      }
    }
  }
}

TEST_F(LanesTest, ReadNoByteBehindTheRecords) {
  for (size_t bytes = kLaneBytesMin; bytes <= 600; ++bytes) {
    ASSERT_NO_FATAL_FAILURE(
        expect_defined_hashes(std::vector<RecordInLane>(kHashLanes, record(bytes, 0))));
    std::vector<RecordInLane> records;
    for (size_t i = 0; i < kHashLanes; ++i) records.push_back(record(bytes + i * 9, 0));
    ASSERT_NO_FATAL_FAILURE(expect_defined_hashes(records));
  }
}

TEST_F(LanesTest, HashTheWholeExpiry) {
  for (int bit = 0; bit < 64; ++bit) {
    std::vector<RecordInLane> records(5, record(40, 0));
    records[2].expires_at_ms = uint64_t{1} << bit;
    ASSERT_NO_FATAL_FAILURE(expect_defined_hashes(records));
  }
}

TEST(Lanes, AreAlwaysThere) {
  ASSERT_FALSE(lane_versions().empty());
  EXPECT_STREQ(lane_versions().back().name, "one by one");
}

// Adds and subtracts in any order, from one byte on, and settles now and then.
TEST_F(LanesTest, AContentIsThatOfItsRecords) {
  ContentSum sum;
  ContentHash expected;
  for (int i = 0; i < 20000; ++i) {
    const RecordInLane next = record(1 + random_() % 40, random_() % 1000);
    if (random_() % 2 == 0) {
      sum.add(next);
      expected.add(defined_hash(next));
    } else {
      sum.subtract(next);
      expected.subtract(defined_hash(next));
    }
    if (random_() % 7 == 0) sum.settle();
    ASSERT_EQ(sum.value(), expected.value());
  }
  EXPECT_EQ(sum.settled(), expected.value());
  EXPECT_TRUE(sum.is_settled());
}

TEST_F(LanesTest, AContentThatIsSettledNeedsItsRecordsNoMore) {
  ContentSum sum;
  ContentHash expected;
  for (size_t i = 0; i < 5; ++i) {
    const RecordInLane next = record(100, 200 * i);
    sum.add(next);
    expected.add(defined_hash(next));
  }
  EXPECT_FALSE(sum.is_settled());
  EXPECT_EQ(sum.value(), expected.value());
  EXPECT_FALSE(sum.is_settled());
  sum.settle();
  for (std::byte& byte : bytes_) byte = std::byte{0};
  EXPECT_EQ(sum.value(), expected.value());
}

TEST_F(LanesTest, AContentThatIsResetForgetsWhatWasNoted) {
  ContentSum sum;
  sum.add(record(100, 0));
  sum.reset({1, 2});
  EXPECT_TRUE(sum.is_settled());
  EXPECT_EQ(sum.value(), (Hash128{1, 2}));
  EXPECT_EQ(sum.settled(), (Hash128{1, 2}));
}

}  // namespace
}  // namespace small_db
