#include "engine/checkpoint/format.h"

#include <algorithm>

#include "engine/base/crc32c.h"

namespace small_db {

namespace {

constexpr size_t kHeaderFieldsEnd = 80;
constexpr size_t kHeaderCrcOffset = kCheckpointHeaderBytes - 4;
constexpr size_t kSeedEnd = 56;
constexpr size_t kBlockCrcBegin = 8;
constexpr size_t kFooterFieldsEnd = 88;
constexpr size_t kFooterCrcOffset = kCheckpointFooterBytes - 4;

bool is_zero(Bytes bytes) noexcept {
  return std::all_of(bytes.begin(), bytes.end(), [](std::byte b) { return b == std::byte{0}; });
}

Status corrupt(const char* site) noexcept { return Status(Code::kCorruption, site); }

// The rest of rule 3. Sums are of numbers below 2^63, so that none overflows.
bool fits(const CheckpointFooter& footer, const CheckpointHeader& header,
          uint64_t file_bytes) noexcept {
  return footer.start_revision == header.start_revision && footer.epoch == header.epoch &&
         footer.start_revision <= footer.end_revision && footer.file_bytes == file_bytes &&
         footer.index_offset >= kCheckpointHeaderBytes && footer.index_offset <= file_bytes &&
         footer.index_bytes <= file_bytes &&
         footer.index_offset + footer.index_bytes + kCheckpointFooterBytes == file_bytes;
}

}  // namespace

void encode_checkpoint_header(CheckpointHeader& header, std::byte* to) noexcept {
  std::memset(to, 0, kCheckpointHeaderBytes);
  std::memcpy(to, kCheckpointMagic, 8);
  store<uint32_t>(to + 8, kCheckpointFormatVersion);
  store<uint32_t>(to + 12, kCheckpointHeaderBytes);
  copy_bytes(to + 16, header.cluster_id);
  store<uint64_t>(to + 32, header.generation);
  copy_bytes(to + 40, header.uid);
  store<uint64_t>(to + 56, header.epoch);
  store<uint64_t>(to + 64, header.start_revision);
  store<uint64_t>(to + 72, header.created_ms);
  store<uint32_t>(to + kHeaderCrcOffset, crc32c(Bytes(to, kHeaderCrcOffset)));
  header.seed = crc32c(Bytes(to, kSeedEnd));
}

Result<CheckpointHeader> decode_checkpoint_header(Bytes from) noexcept {
  if (from.size() < kCheckpointHeaderBytes) return corrupt("checkpoint header: cut short");
  const std::byte* at = from.data();
  if (std::memcmp(at, kCheckpointMagic, 8) != 0) return corrupt("checkpoint header: magic");
  if (load<uint32_t>(at + kHeaderCrcOffset) != crc32c(from.first(kHeaderCrcOffset))) {
    return corrupt("checkpoint header: checksum");
  }
  if (load<uint32_t>(at + 8) != kCheckpointFormatVersion ||
      load<uint32_t>(at + 12) != kCheckpointHeaderBytes) {
    return Status(Code::kWrongFormat, "checkpoint header: format version");
  }
  if (!is_zero(from.subspan(kHeaderFieldsEnd, kHeaderCrcOffset - kHeaderFieldsEnd))) {
    return corrupt("checkpoint header: zeros");
  }
  CheckpointHeader header;
  std::memcpy(header.cluster_id.data(), at + 16, sizeof(Uid));
  header.generation = load<uint64_t>(at + 32);
  std::memcpy(header.uid.data(), at + 40, sizeof(Uid));
  header.epoch = load<uint64_t>(at + 56);
  header.start_revision = load<uint64_t>(at + 64);
  header.created_ms = load<uint64_t>(at + 72);
  header.seed = crc32c(from.first(kSeedEnd));
  return header;
}

void encode_block_header(BlockHeader& header, uint32_t seed, std::byte* to) noexcept {
  store<uint32_t>(to, kBlockMagic);
  store<uint64_t>(to + 8, header.offset);
  store<uint64_t>(to + 16, header.first_record);
  store<uint32_t>(to + 24, header.records);
  store<uint32_t>(to + 28, header.body_bytes);
  store<uint32_t>(to + 32, header.body_crc);
  store<uint32_t>(to + 36, 0);
  header.crc = crc32c(Bytes(to + kBlockCrcBegin, kBlockHeaderBytes - kBlockCrcBegin), seed);
  store<uint32_t>(to + 4, header.crc);
}

Result<BlockHeader> decode_block_header(Bytes from, uint64_t offset, uint32_t seed) noexcept {
  if (from.size() < kBlockHeaderBytes) return corrupt("checkpoint block: cut short");
  const std::byte* at = from.data();
  if (load<uint32_t>(at) != kBlockMagic) return corrupt("checkpoint block: magic");
  BlockHeader header;
  header.crc = load<uint32_t>(at + 4);
  if (header.crc !=
      crc32c(from.subspan(kBlockCrcBegin, kBlockHeaderBytes - kBlockCrcBegin), seed)) {
    return corrupt("checkpoint block: checksum of the header");
  }
  header.offset = load<uint64_t>(at + 8);
  header.first_record = load<uint64_t>(at + 16);
  header.records = load<uint32_t>(at + 24);
  header.body_bytes = load<uint32_t>(at + 28);
  header.body_crc = load<uint32_t>(at + 32);
  if (header.offset != offset) return corrupt("checkpoint block: offset");
  if (load<uint32_t>(at + 36) != 0) return corrupt("checkpoint block: zeros");
  const size_t body_max = header.records == 1 ? kLargeBlockBodyBytesMax : kBlockBodyBytesMax;
  if (header.records == 0 || header.body_bytes > body_max) {
    return corrupt("checkpoint block: length");
  }
  return header;
}

void encode_index_entry(const IndexEntry& entry, std::byte* to) noexcept {
  SMALL_DB_ASSERT(!entry.key.empty() && entry.key.size() <= kIndexKeyBytesMax);
  store<uint64_t>(to, entry.offset);
  store<uint32_t>(to + 8, entry.records);
  store<uint16_t>(to + 12, static_cast<uint16_t>(entry.key.size()));
  store<uint16_t>(to + 14, 0);
  copy_bytes(to + kIndexEntryHeaderBytes, entry.key);
}

Result<IndexEntry> decode_index_entry(Bytes from) noexcept {
  if (from.size() < kIndexEntryHeaderBytes) return corrupt("checkpoint index: entry cut short");
  const std::byte* at = from.data();
  const size_t key_bytes = load<uint16_t>(at + 12);
  if (key_bytes == 0 || key_bytes > kIndexKeyBytesMax ||
      from.size() - kIndexEntryHeaderBytes < key_bytes) {
    return corrupt("checkpoint index: key length");
  }
  if (load<uint16_t>(at + 14) != 0) return corrupt("checkpoint index: zeros");
  return IndexEntry{load<uint64_t>(at), load<uint32_t>(at + 8),
                    from.subspan(kIndexEntryHeaderBytes, key_bytes)};
}

void encode_checkpoint_footer(const CheckpointFooter& footer, uint32_t seed,
                              std::byte* to) noexcept {
  std::memset(to, 0, kCheckpointFooterBytes);
  std::memcpy(to, kCheckpointEndMagic, 8);
  store<uint64_t>(to + 8, footer.entries);
  store<uint64_t>(to + 16, footer.data_bytes);
  store<uint64_t>(to + 24, footer.start_revision);
  store<uint64_t>(to + 32, footer.end_revision);
  store<uint64_t>(to + 40, footer.epoch);
  store<uint64_t>(to + 48, footer.index_offset);
  store<uint64_t>(to + 56, footer.index_bytes);
  store<uint64_t>(to + 64, footer.blocks);
  store<uint32_t>(to + 72, footer.index_crc);
  store<uint32_t>(to + 76, footer.content_crc);
  store<uint64_t>(to + 80, footer.file_bytes);
  store<uint32_t>(to + kFooterCrcOffset, crc32c(Bytes(to, kFooterCrcOffset), seed));
}

Result<CheckpointFooter> decode_checkpoint_footer(Bytes from, const CheckpointHeader& header,
                                                  uint64_t file_bytes) noexcept {
  if (from.size() < kCheckpointFooterBytes) return corrupt("checkpoint footer: cut short");
  const std::byte* at = from.data();
  if (std::memcmp(at, kCheckpointEndMagic, 8) != 0) return corrupt("checkpoint footer: magic");
  if (load<uint32_t>(at + kFooterCrcOffset) != crc32c(from.first(kFooterCrcOffset), header.seed)) {
    return corrupt("checkpoint footer: checksum");
  }
  if (!is_zero(from.subspan(kFooterFieldsEnd, kFooterCrcOffset - kFooterFieldsEnd))) {
    return corrupt("checkpoint footer: zeros");
  }
  CheckpointFooter footer;
  footer.entries = load<uint64_t>(at + 8);
  footer.data_bytes = load<uint64_t>(at + 16);
  footer.start_revision = load<uint64_t>(at + 24);
  footer.end_revision = load<uint64_t>(at + 32);
  footer.epoch = load<uint64_t>(at + 40);
  footer.index_offset = load<uint64_t>(at + 48);
  footer.index_bytes = load<uint64_t>(at + 56);
  footer.blocks = load<uint64_t>(at + 64);
  footer.index_crc = load<uint32_t>(at + 72);
  footer.content_crc = load<uint32_t>(at + 76);
  footer.file_bytes = load<uint64_t>(at + 80);
  if (!fits(footer, header, file_bytes)) return corrupt("checkpoint footer: contradiction");
  return footer;
}

std::string checkpoint_file_name(uint64_t generation) {
  return "checkpoint." + std::to_string(generation);
}

}  // namespace small_db
