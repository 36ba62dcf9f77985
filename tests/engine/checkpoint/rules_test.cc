// Files whose checksums are right, and which break one rule of the format each: every rule is
// checked by itself, and says so. (A changed byte is always caught by a checksum first.)
#include <gtest/gtest.h>

#include "engine/checkpoint/reader.h"
#include "tests/engine/checkpoint/crafted_checkpoint.h"
#include "tests/sim/sim_fs.h"

namespace small_db {
namespace {

using checkpoint_test::CraftedBlock;
using checkpoint_test::CraftedCheckpoint;

constexpr uint64_t kGeneration = 3;

CheckpointHeader header() {
  CheckpointHeader header;
  header.generation = kGeneration;
  header.uid[0] = std::byte{7};
  header.epoch = 2;
  header.start_revision = 100;
  return header;
}

CraftedBlock block_of(const std::string& key, uint32_t records) {
  CraftedBlock block;
  for (uint32_t i = 0; i < records; ++i) {
    const std::string name = key + std::to_string(i);
    block.add({RecordType::kPut, 50, 0, as_bytes(name), as_bytes("value")});
  }
  return block;
}

// A file of two blocks that can be changed, with the checksums over the change made right again.
class Crafted {
 public:
  Crafted() {
    CheckpointHeader written = header();
    std::string bytes(kCheckpointHeaderBytes, '\0');
    encode_checkpoint_header(written, reinterpret_cast<std::byte*>(bytes.data()));
    seed_ = written.seed;
    CraftedCheckpoint file(written);
    file.add(block_of("a", 2));
    second_ = kCheckpointHeaderBytes + kBlockHeaderBytes + block_of("a", 2).body.size();
    file.add(block_of("b", 3));
    file_ = file.finish();
    index_ = second_ + kBlockHeaderBytes + block_of("b", 3).body.size();
    footer_ = file_.size() - kCheckpointFooterBytes;
  }

  template <typename T>
  Crafted& set(size_t offset, T value) {
    store<T>(at(offset), value);
    return *this;
  }
  template <typename T>
  T get(size_t offset) {
    return load<T>(at(offset));
  }

  Crafted& seal_header() { return set(4092, crc32c(part(0, 4092))); }
  Crafted& seal_block(size_t offset) {
    const auto bytes = get<uint32_t>(offset + 28);
    set(offset + 32, crc32c(part(offset + kBlockHeaderBytes, bytes), seed_));
    return set(offset + 4, crc32c(part(offset + 8, kBlockHeaderBytes - 8), seed_));
  }
  Crafted& seal_index() {
    set(footer_ + 72, crc32c(part(index_, footer_ - index_), seed_));
    return seal_footer();
  }
  Crafted& seal_footer() { return set(footer_ + 124, crc32c(part(footer_, 124), seed_)); }

  // Offsets in the file: of the second block, the index, its second entry, and the footer.
  size_t second() const { return second_; }
  size_t index() const { return index_; }
  size_t second_entry() const { return index_ + kIndexEntryHeaderBytes + 2; }
  size_t footer() const { return footer_; }
  uint32_t seed() const { return seed_; }
  Bytes part(size_t offset, size_t bytes) const { return as_bytes(file_).subspan(offset, bytes); }
  std::string& file() { return file_; }

  // Reads it all; what is wrong, or "".
  std::string read() const {
    SimDisk disk;
    disk.set_contents("checkpoint.3", as_bytes(file_));
    const std::unique_ptr<Directory> directory = disk.mount();
    const Result<std::unique_ptr<CheckpointReader>> reader =
        CheckpointReader::open(*directory, kGeneration, nullptr);
    if (!reader.is_ok()) return reader.status().site();
    CheckpointBlock block;
    for (;;) {
      const Result<bool> more = reader.value()->next(block);
      if (!more.is_ok()) return more.status().site();
      if (!more.value()) return "";
    }
  }

 private:
  std::byte* at(size_t offset) { return reinterpret_cast<std::byte*>(file_.data()) + offset; }

  std::string file_;
  uint32_t seed_ = 0;
  size_t second_ = 0;
  size_t index_ = 0;
  size_t footer_ = 0;
};

TEST(CheckpointRules, AFileThatKeepsThemAllIsRead) {
  Crafted file;
  EXPECT_EQ(file.seal_header().seal_block(file.second()).seal_index().read(), "");
}

TEST(CheckpointRules, FileHeader) {
  EXPECT_EQ(Crafted().set<uint8_t>(0, 'X').seal_header().read(), "checkpoint header: magic");
  EXPECT_EQ(Crafted().set<uint32_t>(8, 2).seal_header().read(),
            "checkpoint header: format version");
  EXPECT_EQ(Crafted().set<uint32_t>(12, 8192).seal_header().read(),
            "checkpoint header: format version");
  EXPECT_EQ(Crafted().set<uint8_t>(80, 1).seal_header().read(), "checkpoint header: zeros");
  EXPECT_EQ(Crafted().set<uint8_t>(4091, 1).seal_header().read(), "checkpoint header: zeros");
  EXPECT_EQ(Crafted().set<uint64_t>(32, 4).seal_header().read(), "checkpoint header: generation");
}

TEST(CheckpointRules, LengthsOfTheFile) {
  Crafted file;
  file.file().resize(kCheckpointHeaderBytes - 1);
  EXPECT_EQ(file.read(), "checkpoint header: cut short");
  file = Crafted();
  file.file().resize(kCheckpointHeaderBytes + kCheckpointFooterBytes - 1);
  EXPECT_EQ(file.read(), "checkpoint footer: cut short");
}

TEST(CheckpointRules, PartsThatAreCutShort) {
  Crafted file;
  const auto site = [](const auto& result) { return std::string(result.status().site()); };
  EXPECT_EQ(site(decode_checkpoint_header(file.part(0, 4095))), "checkpoint header: cut short");
  EXPECT_EQ(site(decode_block_header(file.part(4096, 39), 4096, file.seed())),
            "checkpoint block: cut short");
  EXPECT_EQ(site(decode_index_entry(file.part(file.index(), 15))),
            "checkpoint index: entry cut short");
  EXPECT_EQ(site(decode_checkpoint_footer(file.part(file.footer(), 127), header(), 1)),
            "checkpoint footer: cut short");
}

TEST(CheckpointRules, Footer) {
  Crafted file;
  const size_t at = file.footer();
  EXPECT_EQ(Crafted().set<uint8_t>(at, 'X').seal_footer().read(), "checkpoint footer: magic");
  EXPECT_EQ(Crafted().set<uint8_t>(at + 88, 1).seal_footer().read(), "checkpoint footer: zeros");
  const std::string contradiction = "checkpoint footer: contradiction";
  const uint64_t bytes = file.file().size();
  EXPECT_EQ(Crafted().set<uint64_t>(at + 80, bytes + 1).seal_footer().read(), contradiction);
  EXPECT_EQ(Crafted().set<uint64_t>(at + 24, 99).seal_footer().read(), contradiction);
  EXPECT_EQ(Crafted().set<uint64_t>(at + 32, 99).seal_footer().read(), contradiction);
  EXPECT_EQ(Crafted().set<uint64_t>(at + 40, 1).seal_footer().read(), contradiction);
  // Index offset and length that make up the file's length, also by wrapping around.
  for (const uint64_t offset : {uint64_t{100}, bytes, uint64_t{0} - kCheckpointFooterBytes}) {
    EXPECT_EQ(Crafted()
                  .set<uint64_t>(at + 48, offset)
                  .set<uint64_t>(at + 56, bytes - kCheckpointFooterBytes - offset)
                  .seal_footer()
                  .read(),
              contradiction)
        << offset;
  }
}

TEST(CheckpointRules, Index) {
  Crafted file;
  const size_t at = file.index();
  const size_t second = file.second_entry();
  EXPECT_EQ(Crafted().set<uint8_t>(at + 16, 'X').read(), "checkpoint index: checksum");
  EXPECT_EQ(Crafted().set<uint16_t>(at + 12, 0).seal_index().read(),
            "checkpoint index: key length");
  EXPECT_EQ(Crafted().set<uint16_t>(second + 12, 3).seal_index().read(),
            "checkpoint index: key length");
  EXPECT_EQ(Crafted().set<uint16_t>(at + 14, 1).seal_index().read(), "checkpoint index: zeros");
  EXPECT_EQ(Crafted().set<uint64_t>(at, 4097).seal_index().read(), "checkpoint index: order");
  for (const uint64_t offset : {uint64_t{4096}, uint64_t{file.index()}}) {
    EXPECT_EQ(Crafted().set<uint64_t>(second, offset).seal_index().read(),
              "checkpoint index: order")
        << offset;
  }
  const std::string contradiction = "checkpoint index: contradiction";
  EXPECT_EQ(Crafted().set<uint32_t>(second + 8, 4).seal_index().read(), contradiction);
  EXPECT_EQ(Crafted().set<uint64_t>(file.footer() + 64, 3).seal_footer().read(), contradiction);
  // The last block would begin too close to the index to hold a record.
  EXPECT_EQ(Crafted().set<uint64_t>(second, file.index() - 20).seal_index().read(), contradiction);
  EXPECT_EQ(Crafted().set<uint8_t>(at + 16, 'X').seal_index().read(),
            "checkpoint index: first key of a block");
}

// An entry with a key of 257 bytes, all of which are there.
TEST(CheckpointRules, IndexKeysAreCut) {
  std::string entry(kIndexEntryHeaderBytes + 257, 'k');
  store<uint16_t>(reinterpret_cast<std::byte*>(entry.data()) + 12, 257);
  store<uint16_t>(reinterpret_cast<std::byte*>(entry.data()) + 14, 0);
  EXPECT_FALSE(decode_index_entry(as_bytes(entry)).is_ok());
}

TEST(CheckpointRules, Block) {
  Crafted file;
  const size_t at = file.second();
  const auto with = [&](size_t offset, auto value) {
    return Crafted().set(at + offset, value).seal_block(at).read();
  };
  EXPECT_EQ(with(0, uint8_t{'X'}), "checkpoint block: magic");
  EXPECT_EQ(with(8, uint64_t{4096}), "checkpoint block: offset");
  EXPECT_EQ(with(36, uint32_t{1}), "checkpoint block: zeros");
  EXPECT_EQ(with(24, uint32_t{0}), "checkpoint block: length");
  const std::string other = "checkpoint block: not that of the index";
  EXPECT_EQ(with(16, uint64_t{1}), other);
  EXPECT_EQ(with(24, uint32_t{2}), other);
  EXPECT_EQ(with(28, file.get<uint32_t>(at + 28) - 1), other);
}

TEST(CheckpointRules, Record) {
  Crafted file;
  const size_t at = file.second();
  file.set<uint32_t>(at + kBlockHeaderBytes, UINT32_MAX).seal_block(at);
  EXPECT_NE(file.read(), "");
}

// The index places the second block further behind the first than any block is long.
TEST(CheckpointRules, LengthOfABlock) {
  Crafted file;
  const uint64_t more = kLargeBlockBodyBytesMax;
  const size_t second = file.second_entry();
  file.set<uint64_t>(second, file.second() + more);
  const std::string index(file.file().substr(file.index(), file.footer() - file.index()));
  std::string footer = file.file().substr(file.footer());
  auto* bytes = reinterpret_cast<std::byte*>(footer.data());
  store<uint64_t>(bytes + 48, file.index() + more);
  store<uint32_t>(bytes + 72, crc32c(as_bytes(index), file.seed()));
  store<uint64_t>(bytes + 80, file.file().size() + more);
  store<uint32_t>(bytes + 124, crc32c(as_bytes(footer).first(124), file.seed()));
  std::string& contents = file.file();
  contents = contents.substr(0, file.index()) + std::string(more, '\0') + index + footer;
  EXPECT_EQ(file.read(), "checkpoint index: length of a block");
}

}  // namespace
}  // namespace small_db
