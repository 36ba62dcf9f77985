#include "engine/checkpoint/format.h"

#include <gtest/gtest.h>

#include "tests/engine/checkpoint/crafted_checkpoint.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::hex;
using log_test::uid_from;

CheckpointHeader reference_header() {
  CheckpointHeader header;
  header.cluster_id = uid_from(0x10);
  header.generation = 3;
  header.uid = uid_from(0xa0);
  header.epoch = 7;
  header.start_revision = 5;
  header.created_ms = 0x0123456789ab;
  return header;
}

std::string encoded_header(CheckpointHeader header) {
  std::string bytes(kCheckpointHeaderBytes, '?');
  encode_checkpoint_header(header, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

CheckpointFooter reference_footer() {
  CheckpointFooter footer;
  footer.entries = 2;
  footer.data_bytes = 9;
  footer.start_revision = 5;
  footer.end_revision = 6;
  footer.epoch = 7;
  footer.index_offset = 4200;
  footer.index_bytes = 20;
  footer.blocks = 1;
  footer.index_crc = 0x01020304;
  footer.content_crc = 0x05060708;
  footer.file_bytes = 4200 + 20 + 128;
  return footer;
}

std::string encoded_footer(const CheckpointFooter& footer, uint32_t seed) {
  std::string bytes(kCheckpointFooterBytes, '?');
  encode_checkpoint_footer(footer, seed, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

TEST(CheckpointFormat, FileHeaderHasItsGoldenBytes) {
  const std::string bytes = encoded_header(reference_header());
  EXPECT_EQ(hex(bytes.substr(0, 80)),
            "534d4442434b50310100000000100000101112131415161718191a1b1c1d1e1f0300000000000000"
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf07000000000000000500000000000000ab89674523010000");
  EXPECT_EQ(bytes.substr(80, 4012), std::string(4012, '\0'));
  EXPECT_EQ(hex(bytes.substr(4092)), "e2203a0c");
}

TEST(CheckpointFormat, FileHeaderReadsBackAsItWasWritten) {
  const auto header = decode_checkpoint_header(as_bytes(encoded_header(reference_header())));
  ASSERT_TRUE(header.is_ok());
  EXPECT_EQ(header.value().cluster_id, uid_from(0x10));
  EXPECT_EQ(header.value().generation, 3u);
  EXPECT_EQ(header.value().uid, uid_from(0xa0));
  EXPECT_EQ(header.value().epoch, 7u);
  EXPECT_EQ(header.value().start_revision, 5u);
  EXPECT_EQ(header.value().created_ms, 0x0123456789abu);
}

TEST(CheckpointFormat, EachByteOfTheFileHeaderMatters) {
  const std::string good = encoded_header(reference_header());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(decode_checkpoint_header(as_bytes(bad)).is_ok()) << at;
  }
  EXPECT_FALSE(decode_checkpoint_header(as_bytes(good).first(4095)).is_ok());
}

TEST(CheckpointFormat, AnotherVersionIsAnotherFormatAndNotDamage) {
  std::string bytes = encoded_header(reference_header());
  bytes[8] = 2;
  store(reinterpret_cast<std::byte*>(bytes.data()) + 4092, crc32c(as_bytes(bytes).first(4092)));
  EXPECT_EQ(decode_checkpoint_header(as_bytes(bytes)).status().code(), Code::kWrongFormat);
}

TEST(CheckpointFormat, TheSeedDependsOnClusterGenerationAndUid) {
  CheckpointHeader header = reference_header();
  encoded_header(header);
  std::string scratch(kCheckpointHeaderBytes, '\0');
  auto* to = reinterpret_cast<std::byte*>(scratch.data());
  encode_checkpoint_header(header, to);
  for (int field = 0; field < 3; ++field) {
    CheckpointHeader other = reference_header();
    if (field == 0) other.cluster_id = uid_from(1);
    if (field == 1) other.generation = 4;
    if (field == 2) other.uid = uid_from(1);
    encode_checkpoint_header(other, to);
    EXPECT_NE(other.seed, header.seed) << field;
  }
}

TEST(CheckpointFormat, BlockHeaderHasItsGoldenBytes) {
  BlockHeader header;
  header.offset = 4096;
  header.first_record = 2;
  header.records = 3;
  header.body_bytes = 100;
  header.body_crc = 0x01020304;
  std::string bytes(kBlockHeaderBytes, '?');
  encode_block_header(header, 0xb5a73022u, reinterpret_cast<std::byte*>(bytes.data()));
  EXPECT_EQ(hex(bytes),
            "534d444ba4a05b720010000000000000020000000000000003000000640000000403020100000000");
  EXPECT_TRUE(decode_block_header(as_bytes(bytes), 4096, 0xb5a73022u).is_ok());
  EXPECT_FALSE(decode_block_header(as_bytes(bytes), 8192, 0xb5a73022u).is_ok());
  EXPECT_FALSE(decode_block_header(as_bytes(bytes), 4096, 0xb5a73023u).is_ok());
  for (size_t at = 0; at < bytes.size(); ++at) {
    std::string bad = bytes;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(decode_block_header(as_bytes(bad), 4096, 0xb5a73022u).is_ok()) << at;
  }
}

TEST(CheckpointFormat, OnlyABlockWithOneRecordIsLargerThanOneMebibyte) {
  BlockHeader header;
  std::string bytes(kBlockHeaderBytes, '\0');
  const auto decodes = [&](uint32_t records, size_t body_bytes) {
    header.records = records;
    header.body_bytes = static_cast<uint32_t>(body_bytes);
    encode_block_header(header, 1, reinterpret_cast<std::byte*>(bytes.data()));
    return decode_block_header(as_bytes(bytes), 0, 1).is_ok();
  };
  EXPECT_TRUE(decodes(2, kBlockBodyBytesMax));
  EXPECT_FALSE(decodes(2, kBlockBodyBytesMax + 1));
  EXPECT_TRUE(decodes(1, kLargeBlockBodyBytesMax));
  EXPECT_FALSE(decodes(1, kLargeBlockBodyBytesMax + 1));
  EXPECT_FALSE(decodes(0, 100));
}

TEST(CheckpointFormat, IndexEntryHasItsGoldenBytes) {
  const IndexEntry entry{0x1234, 5, as_bytes("abc")};
  std::string bytes(entry.encoded_bytes(), '?');
  encode_index_entry(entry, reinterpret_cast<std::byte*>(bytes.data()));
  EXPECT_EQ(hex(bytes), "34120000000000000500000003000000616263");
  const auto decoded = decode_index_entry(as_bytes(bytes));
  ASSERT_TRUE(decoded.is_ok());
  EXPECT_EQ(decoded.value().offset, 0x1234u);
  EXPECT_EQ(decoded.value().records, 5u);
  EXPECT_EQ(as_text(decoded.value().key), "abc");
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(decode_index_entry(as_bytes(bytes).first(length)).is_ok()) << length;
  }
}

TEST(CheckpointFormat, FooterHasItsGoldenBytes) {
  const std::string bytes = encoded_footer(reference_footer(), 0xb5a73022u);
  EXPECT_EQ(hex(bytes.substr(0, 88)),
            "534d4442434b5045020000000000000009000000000000000500000000000000"
            "0600000000000000070000000000000068100000000000001400000000000000"
            "01000000000000000403020108070605fc10000000000000");
  EXPECT_EQ(bytes.substr(88, 36), std::string(36, '\0'));
  EXPECT_EQ(hex(bytes.substr(124)), "09f45a60");
}

TEST(CheckpointFormat, EachByteOfTheFooterMatters) {
  CheckpointHeader header = reference_header();
  header.seed = 0xb5a73022u;
  const std::string good = encoded_footer(reference_footer(), header.seed);
  ASSERT_TRUE(decode_checkpoint_footer(as_bytes(good), header, 4348).is_ok());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(decode_checkpoint_footer(as_bytes(bad), header, 4348).is_ok()) << at;
  }
}

TEST(CheckpointFormat, AFooterThatContradictsHeaderOrLengthIsRefused) {
  CheckpointHeader header = reference_header();
  const auto decodes = [&](CheckpointFooter footer, uint64_t file_bytes = 4348) {
    const std::string bytes = encoded_footer(footer, header.seed);
    return decode_checkpoint_footer(as_bytes(bytes), header, file_bytes).is_ok();
  };
  EXPECT_TRUE(decodes(reference_footer()));
  EXPECT_FALSE(decodes(reference_footer(), 4349));
  for (int field = 0; field < 6; ++field) {
    CheckpointFooter footer = reference_footer();
    if (field == 0) footer.start_revision = 4;
    if (field == 1) footer.end_revision = 4;
    if (field == 2) footer.epoch = 8;
    if (field == 3) footer.index_offset = 4095;
    if (field == 4) footer.index_bytes = 21;
    if (field == 5) footer.index_bytes = UINT64_MAX - 127;
    EXPECT_FALSE(decodes(footer)) << field;
  }
}

}  // namespace
}  // namespace small_db
