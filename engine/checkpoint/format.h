// A checkpoint on disk: checkpoint.G, the state that logfile.G goes on from. The one description of
// the format; the writer, the reader, the tool and the tests all include this file.
//
// A file is a header of 4096 bytes, then blocks without a gap, then an index of the blocks, then a
// footer of 128 bytes, which is the end of the file. All fields are little-endian.
//
// FILE HEADER
//   offset  bytes  field
//        0      8  magic           "SMDBCKP1"
//        8      4  format version  1
//       12      4  header bytes    4096
//       16     16  cluster id      the same in all files of the store
//       32      8  generation      G of the file's name
//       40     16  uid             random, made for this file
//       56      8  epoch           of the owner that made the file
//       64      8  start revision  of the state whose walk the file began with
//       72      8  created         Unix time in milliseconds
//       80   4012  zero
//     4092      4  CRC32C of bytes 0 to 4091, seed 0
//
// SEED. Every CRC below is a CRC32C that starts from the file's seed: the CRC32C of bytes 0 to 55
// of the file header (magic, version, cluster id, generation, uid). A block of another file never
// passes.
//
// BLOCK: header, then the body: records as engine/record/record.h has them, each with its own
// revision. At most 1 MiB; but a record that is longer than that has a block for itself.
//   offset  bytes  field
//        0      4  magic           "SMDK"
//        4      4  header CRC      of bytes 8 to 39
//        8      8  file offset     where this block starts
//       16      8  first record    how many records the blocks before it hold
//       24      4  records         at least 1
//       28      4  body bytes
//       32      4  body CRC
//       36      4  zero
//
// INDEX: an entry for each block, in order.
//   offset  bytes  field
//        0      8  file offset
//        8      4  records
//       12      2  key bytes       n, at least 1
//       14      2  zero
//       16      n  key             of the block's first record, cut to 256 bytes
//
// FOOTER
//   offset  bytes  field
//        0      8  magic           "SMDBCKPE"
//        8      8  entries         records of all blocks
//       16      8  data bytes      of their keys and values
//       24      8  start revision  that of the header
//       32      8  end revision    of the state whose walk the file ends with
//       40      8  epoch           that of the header
//       48      8  index offset    where the blocks end
//       56      8  index bytes
//       64      8  blocks
//       72      4  index CRC
//       76      4  content CRC     of the blocks' header CRCs, 4 bytes each, in order
//       80      8  file bytes      with this footer
//       88     36  zero
//      124      4  CRC of bytes 0 to 123
//
// RULES OF VALIDITY
//  1. A file gets its name checkpoint.G only when all of it is durable and was read back.
//  2. A file header is valid if magic, CRC, format version, zeros and generation (that of the
//     file's name) are right.
//  3. A footer is valid if magic, CRC and zeros are right, it repeats the header's start revision
//     and epoch, start revision <= end revision, and its offsets and lengths make up the file's
//     exact length: header, blocks, index, footer.
//  4. The index is valid if it has its CRC, its entries fill its bytes, and their offsets ascend
//     within the blocks' bytes, from the first on; entries = the sum of their records.
//  5. A block is valid if magic, both CRCs, its own offset and its zeros are right, offset, records
//     and first key are those of the index, and it ends where the next one starts.
//  6. Records are puts. Their keys ascend, without one twice, over the whole file; no revision is
//     above the end revision.
//  7. A file that breaks any rule is damaged, as a whole.
//
// TWO REVISIONS. A walk of one pinned state has start = end. A walk that changed to a newer state
// holds the older one up to some key, and the newer one behind it: the log is to be replayed from
// the start revision on (records are absolute, so that doing it twice is doing it once), and the
// state is one that was committed only when the log has reached the end revision. That revision was
// durable: a log that does not reach it has lost an acknowledged write.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/base/status.h"
#include "engine/record/record.h"
#include "engine/wal/format.h"

namespace small_db {

inline constexpr char kCheckpointMagic[9] = "SMDBCKP1";
inline constexpr char kCheckpointEndMagic[9] = "SMDBCKPE";
inline constexpr uint32_t kCheckpointFormatVersion = 1;
inline constexpr size_t kCheckpointHeaderBytes = 4096;
inline constexpr uint32_t kBlockMagic = 0x4b444d53;  // "SMDK"
inline constexpr size_t kBlockHeaderBytes = 40;
inline constexpr size_t kIndexEntryHeaderBytes = 16;
inline constexpr size_t kIndexKeyBytesMax = 256;
inline constexpr size_t kCheckpointFooterBytes = 128;

// Of a block with more than one record.
inline constexpr size_t kBlockBodyBytesMax = kMiB - kBlockHeaderBytes;
// Of a block with one.
inline constexpr size_t kLargeBlockBodyBytesMax =
    kRecordHeaderBytes + kRecordExpiryBytes + kKeyBytesMax + kValueBytesMax;
static_assert(kLargeBlockBodyBytesMax <= UINT32_MAX);
static_assert(kIndexKeyBytesMax <= UINT16_MAX);

struct CheckpointHeader {
  Uid cluster_id{};
  uint64_t generation = 0;
  Uid uid{};
  uint64_t epoch = 0;
  uint64_t start_revision = 0;
  uint64_t created_ms = 0;
  // Not a field: what follows from them, set by encode and decode.
  uint32_t seed = 0;  // of every other CRC in the file
};

struct BlockHeader {
  uint32_t crc = 0;  // set by encode and decode
  uint64_t offset = 0;
  uint64_t first_record = 0;
  uint32_t records = 0;
  uint32_t body_bytes = 0;
  uint32_t body_crc = 0;
};

struct IndexEntry {
  uint64_t offset = 0;
  uint32_t records = 0;
  Bytes key;  // as it stands in the index: cut

  size_t encoded_bytes() const noexcept { return kIndexEntryHeaderBytes + key.size(); }
};

struct CheckpointFooter {
  uint64_t entries = 0;
  uint64_t data_bytes = 0;
  uint64_t start_revision = 0;
  uint64_t end_revision = 0;
  uint64_t epoch = 0;
  uint64_t index_offset = 0;
  uint64_t index_bytes = 0;
  uint64_t blocks = 0;
  uint32_t index_crc = 0;
  uint32_t content_crc = 0;
  uint64_t file_bytes = 0;
};

// REQUIRES: room for kCheckpointHeaderBytes. Sets header.seed.
void encode_checkpoint_header(CheckpointHeader& header, std::byte* to) noexcept;
// Rule 2, but for the generation.
// Errors: kCorruption (too short, magic, CRC, zeros), kWrongFormat (another format version).
Result<CheckpointHeader> decode_checkpoint_header(Bytes from) noexcept;

// REQUIRES: room for kBlockHeaderBytes. Sets header.crc.
void encode_block_header(BlockHeader& header, uint32_t seed, std::byte* to) noexcept;
// The header at `from`, which stands at `offset` of the file. Errors: kCorruption.
Result<BlockHeader> decode_block_header(Bytes from, uint64_t offset, uint32_t seed) noexcept;

// REQUIRES: room for entry.encoded_bytes().
void encode_index_entry(const IndexEntry& entry, std::byte* to) noexcept;
// The entry at the start of `from`; its key points into that. Errors: kCorruption.
Result<IndexEntry> decode_index_entry(Bytes from) noexcept;

// The part of a block's first key that stands in the index.
inline Bytes index_key(Bytes key) noexcept {
  return key.first(key.size() < kIndexKeyBytesMax ? key.size() : kIndexKeyBytesMax);
}

// REQUIRES: room for kCheckpointFooterBytes.
void encode_checkpoint_footer(const CheckpointFooter& footer, uint32_t seed,
                              std::byte* to) noexcept;
// Rule 3, for the file with that header and length. Errors: kCorruption.
Result<CheckpointFooter> decode_checkpoint_footer(Bytes from, const CheckpointHeader& header,
                                                  uint64_t file_bytes) noexcept;

std::string checkpoint_file_name(uint64_t generation);  // checkpoint.G

}  // namespace small_db
