#include "engine/table/stored_record.h"

#include <array>

#include "engine/table/record_writer.h"
#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

class StoredRecordTest : public ::testing::Test {
 protected:
  StoredRecordTest() { arena_.clear(); }

  std::string hex(BlockRef block, size_t bytes) const {
    std::string text;
    for (const std::byte byte : ArenaView(memory_).at(block).first(bytes)) {
      char digits[3];
      snprintf(digits, sizeof(digits), "%02x", static_cast<unsigned>(byte));
      text += digits;
    }
    return text;
  }

  BlockRef make(const std::string& key, const std::string& value, uint64_t expires_at_ms = 0) {
    RecordView view = put_view(key, value, 0x0102030405060708);
    view.expires_at_ms = expires_at_ms;
    const BlockRef record = writer_.allocate(view, static_cast<uint32_t>(value.size())).value();
    writer_.fill(record, 0, view.value);
    return record;
  }

  alignas(16) static inline std::array<std::byte, kMiB> bytes_{};
  MutableBytes memory_{bytes_};
  ArenaView view_{memory_};
  Arena arena_{memory_};
  RecordWriter writer_{arena_, view_};
};

TEST_F(StoredRecordTest, KeepsAShortValueBehindTheKey) {
  const BlockRef record = make("key", "value");
  EXPECT_EQ(hex(record, 24),
            "0807060504030201"  // revision
            "05000000"          // value bytes
            "0300"              // key bytes
            "01"                // put
            "00"                // flags
            "6b6579"
            "76616c7565");
  EXPECT_FALSE(record.has_extents());
  EXPECT_EQ(record.bytes(), 32U);
}

TEST_F(StoredRecordTest, KeepsTheExpiryBeforeTheKey) {
  const BlockRef record = make("k", "v", 0x1122334455667788);
  EXPECT_EQ(hex(record, 26), "0807060504030201010000000100010111223344556677886b76");
  EXPECT_EQ(read_stored_record(view_, record).value().expires_at_ms, 0x1122334455667788U);
}

TEST_F(StoredRecordTest, ExpiryAndKeyAreAKeyThatOrdersByTime) {
  const std::string time = "\x11\x22\x33\x44\x55\x66\x77\x88";
  EXPECT_EQ(as_text(stored_expiry_key(view_, make("key", "v", 0x1122334455667788))), time + "key");
  EXPECT_EQ(as_text(expiry_key(0x1122334455667788)), time);
  EXPECT_TRUE(stored_expiry_key(view_, make("key", "v")).empty());
  EXPECT_TRUE(stored_expiry_key(view_, BlockRef()).empty());
  const BlockRef in_extents = make("key", std::string(40000, 'v'), 0x1122334455667788);
  EXPECT_EQ(as_text(stored_expiry_key(view_, in_extents)), time + "key");
}

TEST_F(StoredRecordTest, KeepsALongValueInExtents) {
  const std::string value(40000, 'x');
  const BlockRef record = make("key", value);
  ASSERT_TRUE(record.has_extents());
  // An extent of 2048 granules at granule 1, and one of 452 behind it.
  EXPECT_EQ(hex(record, 35),
            "0807060504030201409c000003000180"
            "6b6579"
            "0100000000080000"
            "01080000c4010000");
  EXPECT_EQ(value_text(read_stored_record(view_, record).value().value), value);
}

TEST_F(StoredRecordTest, GoesOverToExtentsAboveTheInlineLimit) {
  const size_t inline_value = kInlineRecordBytesMax - kRecordHeaderBytes - 1;
  EXPECT_FALSE(make("k", std::string(inline_value, 'v')).has_extents());
  EXPECT_TRUE(make("k", std::string(inline_value + 1, 'v')).has_extents());
}

TEST_F(StoredRecordTest, HasRoomForAHashBehindALongValue) {
  const std::string key(kKeptHashValueBytesMin / 64, 'k');
  const size_t prefix_bytes = kRecordHeaderBytes + key.size();
  const BlockRef without = make(key, std::string(kKeptHashValueBytesMin - 1, 'v'));
  EXPECT_EQ(without.bytes(), prefix_bytes + kKeptHashValueBytesMin);
  EXPECT_TRUE(kept_hash(view_, without, read_stored_record(view_, without).value()).empty());
  for (const size_t value_bytes : {kKeptHashValueBytesMin, size_t{40000}}) {
    const BlockRef with = make(key, std::string(value_bytes, 'v'));
    const Bytes kept = kept_hash(view_, with, read_stored_record(view_, with).value());
    EXPECT_EQ(kept.data() + kHash128Bytes, view_.at(with).data() + with.bytes());
    EXPECT_EQ(load<Hash128>(kept.data()), Hash128()) << "not computed";
  }
}

TEST_F(StoredRecordTest, RefusesALongValueWithoutRoomForItsHash) {
  // One byte longer, the value would still fit, and have a hash.
  const BlockRef record = make(std::string(16, 'k'), std::string(kKeptHashValueBytesMin - 1, 'v'));
  std::byte* const value_bytes = view_.at(record).data() + 8;
  store(value_bytes, static_cast<uint32_t>(kKeptHashValueBytesMin));
  EXPECT_EQ(read_stored_record(view_, record).status().code(), Code::kCorruption);
  // A key that leaves eight bytes.
  const BlockRef in_extents = make("k", std::string(40000, 'v'));
  std::byte* const key_bytes = view_.at(in_extents).data() + 12;
  store(key_bytes, static_cast<uint16_t>(in_extents.bytes() - kRecordHeaderBytes - 8));
  EXPECT_EQ(read_stored_record(view_, in_extents).status().code(), Code::kCorruption);
}

TEST_F(StoredRecordTest, TakesTheLongestKeyWithoutAValue) {
  const std::string key(kKeyBytesMax, 'k');
  const BlockRef record = make(key, "");
  EXPECT_FALSE(record.has_extents());
  EXPECT_EQ(as_text(read_stored_record(view_, record).value().key), key);
}

TEST_F(StoredRecordTest, FillsInPiecesAcrossExtents) {
  std::string value(100001, '\0');
  std::mt19937_64 random(1);
  for (char& byte : value) byte = static_cast<char>(random());
  const RecordView view = put_view("k", "", 1);
  const BlockRef record = writer_.allocate(view, static_cast<uint32_t>(value.size())).value();
  for (size_t at = 0; at < value.size(); at += 7919) {
    writer_.fill(record, static_cast<uint32_t>(at),
                 as_bytes(value).subspan(at, std::min<size_t>(7919, value.size() - at)));
  }
  EXPECT_EQ(value_text(read_stored_record(view_, record).value().value), value);
}

TEST_F(StoredRecordTest, UsesSmallPiecesWhenTheArenaIsInPieces) {
  std::vector<BlockRef> blocks;
  while (true) {
    const BlockRef block = arena_.allocate(4096);
    if (block.is_null()) break;
    blocks.push_back(block);
  }
  for (size_t i = 0; i < blocks.size(); i += 2) arena_.free(blocks[i]);
  const uint64_t used = arena_.used_bytes();
  const std::string value(20000, 's');  // would be inline
  const BlockRef record = make("k", value);
  EXPECT_TRUE(record.has_extents());
  EXPECT_EQ(value_text(read_stored_record(view_, record).value().value), value);
  writer_.free(record);
  EXPECT_EQ(arena_.used_bytes(), used);
  EXPECT_TRUE(arena_.check().is_ok());
}

TEST_F(StoredRecordTest, TakesNothingWhenThereIsNoRoomForAll) {
  const RecordView view = put_view("k", "", 1);
  EXPECT_EQ(writer_.allocate(view, 2 * kMiB).status().code(), Code::kNoMemory);
  EXPECT_EQ(writer_.allocate(view, kMiB - 32).status().code(), Code::kNoMemory);
  EXPECT_EQ(arena_.used_bytes(), 0U);
}

TEST_F(StoredRecordTest, RefusesKeysAndValuesOutOfRange) {
  const std::string long_key(kKeyBytesMax + 1, 'k');
  EXPECT_EQ(writer_.allocate(put_view("", "", 1), 0).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(writer_.allocate(put_view(long_key, "", 1), 0).status().code(), Code::kTooLarge);
  EXPECT_EQ(writer_.allocate(put_view("k", "", 1), kValueBytesMax + 1).status().code(),
            Code::kTooLarge);
  RecordView view = put_view("k", "", 1);
  view.type = RecordType::kDelete;
  EXPECT_EQ(writer_.allocate(view, 0).status().code(), Code::kInvalidArgument);
}

TEST_F(StoredRecordTest, NoFlippedBitOfARecordMakesAReaderLeaveTheArena) {
  for (const size_t value_bytes : {20, 2000, 40000}) {
    const BlockRef record = make("some key", std::string(value_bytes, 'v'));
    const MutableBytes block = view_.at(record);
    for (size_t bit = 0; bit < std::min<size_t>(block.size(), 64) * 8; ++bit) {
      block[bit / 8] ^= std::byte(1 << bit % 8);
      const Result<StoredRecord> read = read_stored_record(view_, record);
      if (read.is_ok()) {
        size_t bytes = 0;
        const Status status =
            read.value().value.for_each_piece([&](Bytes piece) { bytes += piece.size(); });
        EXPECT_TRUE(!status.is_ok() || bytes == read.value().value.bytes());
        EXPECT_LE(kept_hash(view_, record, read.value()).size(), block.size());
      } else {
        EXPECT_EQ(read.status().code(), Code::kCorruption);
      }
      block[bit / 8] ^= std::byte(1 << bit % 8);
    }
    writer_.free(record);
  }
}

}  // namespace
}  // namespace small_db
