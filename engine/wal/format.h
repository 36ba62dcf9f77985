// The log on disk: logfile.N. The one description of the format; the writer, the reader, recovery,
// the tool and the tests all include this file.
//
// A file is a header of 4096 bytes, then frames. A frame is one group commit, and the unit of
// atomicity. Space behind the last frame is zero. All fields are little-endian.
//
// FILE HEADER
//   offset  bytes  field
//        0      8  magic           "SMDBLOG1"
//        8      4  format version  1
//       12      4  header bytes    4096
//       16     16  cluster id      random, made when the store was; the same in all its files
//       32      8  generation      N of the file's name
//       40     16  log uid         random, made for this file
//       56      8  epoch           of the owner that made the file
//       64      8  first revision  the next revision when the file was made; frames have no lower
//       72      8  created         Unix time in milliseconds
//       80      8  prepared end    the file was this long, zero-filled and durable when it appeared
//       88   4004  zero
//     4092      4  CRC32C of bytes 0 to 4091, seed 0
//
// SEED. Every CRC below is a CRC32C that starts from the file's seed: the CRC32C of bytes 16 to 55
// of the file header (cluster id, generation, log uid). A block of another file never passes.
//
// FRAME: starts at a multiple of 512, so that no sector that holds acknowledged bytes is ever
// written again by a later frame; header, body, then zeros up to a multiple of 512.
//   offset  bytes  field
//        0      4  magic             "SMDF"
//        4      4  header CRC        of bytes 8 to 95
//        8      8  file offset       where this frame starts
//       16      8  first revision    of its requests; the next revision when it has none
//       24      8  durable revision  the last revision known durable when the frame was written
//       32      8  epoch             of the owner that wrote it
//       40      8  time              Unix time in milliseconds; not monotonic
//       48      4  body bytes        without padding
//       52      4  body CRC          of the body, without padding
//       56      4  records
//       60      4  requests          = revisions; the last is first revision + requests - 1
//       64      4  request runs
//       68      4  flags             START 1, SEAL 2, IDLE 4, HEAL 8
//       72      4  chain             header CRC of the frame before; the first frame of a file: CRC
//                                    of the file header (its bytes 4092 to 4095)
//       76      4  zero
//       80      8  prepared end      the file was this long and durable when the frame was written
//       88      8  zero
//
// BODY: START: 24 bytes {u64 previous generation, u64 last revision, u32 chain of the previous
// file's last frame, u32 zero}. SEAL and IDLE: empty. Other frames: the request table, then the
// records, each as engine/record/record.h has it, each with its own revision.
// REQUEST TABLE: runs of 24 bytes {u32 slot, u32 count, u64 incarnation, u64 first sequence}, which
// stand for `count` requests with consecutive sequences. The k-th request of the whole table, from
// 0, has the revision first revision + k.
//
// RULES OF VALIDITY
//  1. A file header is valid if magic, CRC, format version, zeros and generation (that of the
//     file's name) are right. A file gets its name logfile.N only when its header is durable.
//  2. A frame header is valid if magic, CRC under the file's seed and its own offset are right.
//  3. A frame is valid if its header is, and its body has the CRC that the header states.
//  4. A valid header must make sense: known flags, at most one of START, SEAL and IDLE, HEAL only
//     with START; counts that fit the body; requests if and only if no flag is set; zeros where
//     zeros belong; durable revision < first revision; no revision beyond 2^64 - 1; end of frame <=
//     prepared end, a multiple of 512.
//  5. A valid frame must fit: chain, and first revision = the revision expected, and epoch not less
//     than that of the frame before. A valid header that breaks rule 4 or 5 where a frame is
//     expected is corruption: no crash leaves one.
//  6. The first frame of each file but logfile.0 is START, and START is nowhere else. What it says
//     about the file before must be so: generation, last revision, chain. Without HEAL that file's
//     last frame is SEAL. With HEAL that file was given up after a failed write: it ends after the
//     frame that START names, and whatever follows there is void.
//  7. Nothing follows SEAL. A file that is not sealed is at least as long as the highest prepared
//     end of its header and frames; a shorter one was cut off.
//  8. One sync is in flight at a time and a frame is written only after the frame before is
//     durable: a valid frame header proves that every frame before it was durable.
//
// ORDER OF RECOVERY, of the last file in use; every other file must be whole up to its SEAL.
//  1. Read frames from the start. Let e be the revision expected where the first frame is not
//     valid, at offset o. A copy of exactly the frame that fits at o may stand in logfile.N.last
//     (step 6); it then counts as the frame, and is written back to its place.
//  2. Look for valid frame headers at o and at every multiple of 512 behind it. W: the highest
//     durable revision that they state, or that the checkpoint's footer states.
//  3. W >= e: an acknowledged write is damaged. Refuse. Nothing is changed.
//  4. The file is shorter than rule 7 allows: refuse.
//  5. All zero from o to the end of the file: clean end. Otherwise a torn tail, which was never
//     acknowledged: save the bytes from o to the last that is not zero as logfile.N.torn.O (through
//     a .tmp; synced, with its name; left out when the disk is full), then write zeros over them
//     and sync.
//  6. The last valid frame may be in the page cache only: a process whose sync had failed wrote it
//     and died. It is written again: first as logfile.N.last (through logfile.N.last.tmp; synced,
//     renamed, directory synced; left out when the disk is full), so that a crash never costs the
//     frame, then in place; sync; the copy is removed. Only then may anybody see its records.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/base/status.h"
#include "engine/base/uid.h"

namespace small_db {

inline constexpr char kLogMagic[9] = "SMDBLOG1";
inline constexpr uint32_t kLogFormatVersion = 1;
inline constexpr size_t kLogHeaderBytes = 4096;
inline constexpr uint32_t kFrameMagic = 0x46444d53;  // "SMDF"
inline constexpr size_t kFrameHeaderBytes = 96;
inline constexpr size_t kStartBodyBytes = 24;
inline constexpr size_t kRequestRunBytes = 24;
inline constexpr size_t kRecordBytesMin = 17;  // header and a key of one byte

// A batch of limits.h, or one record of the longest key and value, with its request table.
inline constexpr size_t kFrameBodyBytesMax = kValueBytesMax + 2 * kBatchBytesMax;
static_assert(kFrameBodyBytesMax >= kValueBytesMax + kKeyBytesMax + kKiB);
static_assert(kFrameBodyBytesMax >= kBatchBytesMax + kBatchRequestsMax * kRequestRunBytes + kMiB);
static_assert(kFrameBodyBytesMax <= UINT32_MAX);
static_assert(kLogHeaderBytes % kSectorBytes == 0);

inline constexpr uint32_t kFrameStart = 1;
inline constexpr uint32_t kFrameSeal = 2;
inline constexpr uint32_t kFrameIdle = 4;
inline constexpr uint32_t kFrameHeal = 8;

struct LogHeader {
  Uid cluster_id{};
  uint64_t generation = 0;
  Uid log_uid{};
  uint64_t epoch = 0;
  uint64_t first_revision = 1;
  uint64_t created_ms = 0;
  uint64_t prepared_end = kLogHeaderBytes;
  // Not fields: what follows from them, set by encode and decode.
  uint32_t crc = 0;   // chain of the first frame
  uint32_t seed = 0;  // of every other CRC in the file
};

struct FrameHeader {
  uint32_t crc = 0;  // set by encode and decode
  uint64_t offset = 0;
  uint64_t first_revision = 0;
  uint64_t durable_revision = 0;
  uint64_t epoch = 0;
  uint64_t time_ms = 0;
  uint32_t body_bytes = 0;
  uint32_t body_crc = 0;
  uint32_t records = 0;
  uint32_t requests = 0;
  uint32_t request_runs = 0;
  uint32_t flags = 0;
  uint32_t chain = 0;
  uint64_t prepared_end = 0;
  uint64_t reserved = 0;  // set by decode: not zero when a zero field of the header is not zero

  // The revision expected of the frame after this one.
  uint64_t next_revision() const noexcept { return first_revision + requests; }
  uint64_t end_offset() const noexcept;
};

// What START says about the file before.
struct StartBody {
  uint64_t previous_generation = 0;
  uint64_t last_revision = 0;
  uint32_t chain = 0;
};

// `count` requests of one slot, with consecutive sequences and consecutive revisions.
struct RequestRun {
  uint32_t slot = 0;
  uint32_t count = 0;
  uint64_t incarnation = 0;
  uint64_t first_sequence = 0;
  bool operator==(const RequestRun&) const = default;
};

// A place between two frames.
struct LogFilePosition {
  uint64_t generation = 0;                  // logfile.N
  uint64_t frame_offset = kLogHeaderBytes;  // the frame before; equal to end_offset: there is none
  uint64_t end_offset = kLogHeaderBytes;    // where the next frame goes
  uint32_t chain = 0;                       // that the next frame must state
  bool operator==(const LogFilePosition&) const = default;
};

// Bytes in the file of a frame with that body: header, body, padding.
constexpr uint64_t frame_bytes(uint64_t body_bytes) noexcept {
  return align_up(kFrameHeaderBytes + body_bytes, kSectorBytes);
}

inline uint64_t FrameHeader::end_offset() const noexcept {
  return offset + small_db::frame_bytes(body_bytes);
}

// REQUIRES: room for kLogHeaderBytes. Sets header.crc and header.seed.
void encode_log_header(LogHeader& header, std::byte* to) noexcept;

// Errors: kCorruption (too short, magic, CRC, zeros), kWrongFormat (another format version).
Result<LogHeader> decode_log_header(Bytes from) noexcept;

// REQUIRES: room for kFrameHeaderBytes. Sets header.crc.
void encode_frame_header(FrameHeader& header, uint32_t seed, std::byte* to) noexcept;

// The header at `from`, which stands at `offset` of the file, if rule 2 holds; nothing otherwise.
std::optional<FrameHeader> decode_frame_header(Bytes from, uint64_t offset, uint32_t seed) noexcept;

// Rule 4. Returns nullptr when it holds, else a literal that says what does not.
const char* frame_header_contradiction(const FrameHeader& header) noexcept;

void encode_start_body(const StartBody& body, std::byte* to) noexcept;
StartBody decode_start_body(const std::byte* from) noexcept;
void encode_request_run(const RequestRun& run, std::byte* to) noexcept;
RequestRun decode_request_run(const std::byte* from) noexcept;

std::string log_file_name(uint64_t generation);                          // logfile.N
std::string log_copy_name(uint64_t generation);                          // logfile.N.last
std::string torn_tail_name(uint64_t generation, uint64_t frame_offset);  // logfile.N.torn.O

}  // namespace small_db
