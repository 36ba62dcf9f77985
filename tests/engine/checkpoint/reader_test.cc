#include "engine/checkpoint/reader.h"

#include "tests/engine/checkpoint/checkpoint_fixture.h"

namespace small_db {
namespace {

using checkpoint_test::CheckpointTest;
using checkpoint_test::CraftedBlock;
using checkpoint_test::CraftedCheckpoint;
using checkpoint_test::kGeneration;
using checkpoint_test::kName;
using checkpoint_test::read_all;
using checkpoint_test::Records;
using checkpoint_test::records_of;

class CheckpointReaderTest : public CheckpointTest {
 protected:
  static CheckpointHeader header() {
    CheckpointHeader header;
    header.generation = kGeneration;
    header.start_revision = 9;
    return header;
  }

  // What reading a file gives; every error must name a place within it.
  Result<Records> read(const std::string& file) {
    disk_.set_contents(kName, as_bytes(file));
    const auto reader = CheckpointReader::open(*directory_, kGeneration, &damage_offset_);
    if (!reader.is_ok()) {
      EXPECT_LE(damage_offset_, file.size());
      return reader.status();
    }
    Result<Records> records = read_all(*reader.value());
    damage_offset_ = reader.value()->damage_offset();
    EXPECT_LE(damage_offset_, file.size());
    return records;
  }

  std::string read_site(const std::string& file) {
    const Result<Records> records = read(file);
    EXPECT_TRUE(records.is_ok() || records.status().code() == Code::kCorruption);
    return records.status().site();
  }

  std::string reference_file() {
    put_some();
    EXPECT_TRUE(write(*directory_, small_blocks()).is_ok());
    return disk_.contents(kName);
  }

  static std::string one_block(const std::vector<RecordView>& records) {
    CraftedCheckpoint file(header());
    CraftedBlock block;
    for (const RecordView& record : records) block.add(record);
    file.add(block);
    return file.finish();
  }

  uint64_t damage_offset_ = 0;
};

TEST_F(CheckpointReaderTest, EveryChangedByteIsNoticed) {
  const std::string good = reference_file();
  ASSERT_LT(good.size(), 6000u);
  for (size_t at = 0; at < good.size(); ++at) {
    for (const int flip : {0x01, 0x80, 0xff}) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ flip);
      const Result<Records> records = read(bad);
      ASSERT_EQ(records.status().code(), Code::kCorruption) << at;
    }
  }
}

TEST_F(CheckpointReaderTest, EveryOtherLengthIsNoticed) {
  const std::string good = reference_file();
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    ASSERT_EQ(read(good.substr(0, bytes)).status().code(), Code::kCorruption) << bytes;
  }
  EXPECT_EQ(read(good + '\0').status().code(), Code::kCorruption);
  EXPECT_EQ(read(good + good).status().code(), Code::kCorruption);
}

TEST_F(CheckpointReaderTest, SaysWhereTheDamageIs) {
  const std::string good = reference_file();
  const uint64_t second = load<uint64_t>(reinterpret_cast<const std::byte*>(good.data()) +
                                         good.size() - kCheckpointFooterBytes + 48);
  const auto* index = reinterpret_cast<const std::byte*>(good.data()) + second;
  const IndexEntry first = decode_index_entry({index, good.size() - second}).value();
  const uint64_t offset = load<uint64_t>(index + first.encoded_bytes());
  std::string bad = good;
  bad[offset + kBlockHeaderBytes + 20] ^= 1;
  EXPECT_EQ(read_site(bad), "checkpoint block: checksum");
  EXPECT_EQ(damage_offset_, offset);
}

TEST_F(CheckpointReaderTest, AMissingFileIsNotFound) {
  EXPECT_EQ(CheckpointReader::open(*directory_, 4, nullptr).status().code(), Code::kNotFound);
}

TEST_F(CheckpointReaderTest, AFileUnderTheNameOfAnotherGenerationIsRefused) {
  disk_.set_contents("checkpoint.4", as_bytes(reference_file()));
  EXPECT_EQ(CheckpointReader::open(*directory_, 4, nullptr).status().code(), Code::kCorruption);
}

// The very same records at the same offsets, but of a file with another uid.
TEST_F(CheckpointReaderTest, ABlockOfAnotherFileIsRefused) {
  const auto file_with = [](int uid) {
    CheckpointHeader own = header();
    own.uid = log_test::uid_from(uid);
    CraftedCheckpoint file(own);
    CraftedBlock block;
    block.add(put_view("key", "value", 1));
    file.add(block);
    return file.finish();
  };
  const std::string other = file_with(2);
  std::string file = file_with(1);
  ASSERT_TRUE(read(file).is_ok());
  file.replace(kCheckpointHeaderBytes, kBlockHeaderBytes + 24,
               other.substr(kCheckpointHeaderBytes, kBlockHeaderBytes + 24));
  EXPECT_EQ(read_site(file), "checkpoint block: checksum of the header");
}

TEST_F(CheckpointReaderTest, KeysThatDoNotAscendAreCorruption) {
  EXPECT_EQ(read_site(one_block({put_view("a", "1", 1), put_view("b", "2", 2)})), "");
  EXPECT_EQ(read_site(one_block({put_view("b", "1", 1), put_view("a", "2", 2)})),
            "checkpoint record: order");
  EXPECT_EQ(read_site(one_block({put_view("a", "1", 1), put_view("a", "2", 2)})),
            "checkpoint record: order");
  for (const char* second : {"b", "a", "c"}) {
    CraftedCheckpoint file(header());
    for (const char* key : {"b", second}) {
      CraftedBlock block;
      block.add(put_view(key, "value", 1));
      file.add(block);
    }
    EXPECT_EQ(read_site(file.finish()), *second == 'c' ? "" : "checkpoint record: order");
  }
}

TEST_F(CheckpointReaderTest, ADeleteIsCorruption) {
  RecordView record = put_view("a", "", 1);
  record.type = RecordType::kDelete;
  EXPECT_EQ(read_site(one_block({record})), "checkpoint record: type");
}

TEST_F(CheckpointReaderTest, ARevisionBeyondTheEndIsCorruption) {
  EXPECT_EQ(read_site(one_block({put_view("a", "1", 9)})), "");
  EXPECT_EQ(read_site(one_block({put_view("a", "1", 10)})), "checkpoint record: revision");
}

TEST_F(CheckpointReaderTest, BytesBehindTheLastRecordOfABlockAreCorruption) {
  CraftedCheckpoint file(header());
  CraftedBlock block;
  block.add(put_view("a", "1", 1));
  block.body += '\0';
  file.add(block);
  EXPECT_EQ(read_site(file.finish()), "checkpoint: block's length");
}

TEST_F(CheckpointReaderTest, AnIndexThatIsNotThatOfTheBlocksIsCorruption) {
  CraftedBlock block;
  block.add(put_view("a", "1", 1));
  {
    CraftedCheckpoint file(header());
    CraftedBlock other = block;
    other.first_key = "b";
    file.add(other);
    EXPECT_EQ(read_site(file.finish()), "checkpoint index: first key of a block");
  }
  {
    CraftedCheckpoint file(header());
    CraftedBlock unlisted = block;
    unlisted.first_key.clear();
    file.add(unlisted);
    EXPECT_EQ(read_site(file.finish()), "checkpoint index: contradiction");
  }
}

TEST_F(CheckpointReaderTest, TotalsThatAreNotThoseOfTheBlocksAreCorruption) {
  for (int field = 0; field < 4; ++field) {
    CraftedCheckpoint file(header());
    CraftedBlock block;
    block.add(put_view("a", "1", 1));
    file.add(block);
    if (field == 0) ++file.footer.entries;
    if (field == 1) ++file.footer.data_bytes;
    if (field == 2) ++file.footer.blocks;
    if (field == 3) ++file.footer.content_crc;
    EXPECT_NE(read_site(file.finish()), "") << field;
  }
}

TEST_F(CheckpointReaderTest, AnErrorOfAnyCallIsReported) {
  const std::string good = reference_file();
  SimDisk reference;
  reference.set_contents(kName, as_bytes(good));
  ASSERT_TRUE(read_all(*reference.mount()).is_ok());
  for (uint64_t call = 0; call < reference.operations(); ++call) {
    SimDisk disk;
    disk.set_contents(kName, as_bytes(good));
    disk.fail_at(call, SimFault::kIoError);
    EXPECT_EQ(read_all(*disk.mount()).status().code(), Code::kIoError) << call;
  }
}

}  // namespace
}  // namespace small_db
