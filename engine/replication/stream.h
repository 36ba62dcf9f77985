// The log stream between two nodes: what a primary sends to a backup behind the head of its answer,
// without an end. The one description of the format; sender, receiver and tests include this file.
//
// A message is a header of 64 bytes, then a body. All fields are little-endian.
//   offset  bytes  field
//        0      4  magic             "SMDR"
//        4      4  header CRC        CRC32C of bytes 8 to 63
//        8      4  type              FRAME 1, STATE 2, ALIVE 3
//       12      4  body bytes
//       16      4  body CRC          CRC32C of the body; 0 of an empty one
//       20      4  zero
//       24      8  epoch             FRAME: of the owner that wrote it; others: of the sender
//       32      8  first revision    FRAME: of its requests; others: the next one of the stream
//       40      4  requests          = revisions
//       44      4  records
//       48      8  durable revision  the last that the sender knew durable when it sent this
//       56      8  time              Unix time in milliseconds; FRAME: of the commit; others: now
//
// BODY. FRAME: the records of a frame of the log, as there (engine/wal/format.h), without its
// request table. STATE: the content hash of the state after revision first revision - 1, 16 bytes
// {u64 low, u64 high}; stands right behind the frame that ends with that revision. ALIVE: u64, how
// many bytes of log the stream is behind.
//
// RULES OF VALIDITY
//  1. Magic and both CRCs are right, the type is known, zero is zero.
//  2. first revision > 0, and first revision + requests <= 2^64 - 1.
//  3. Only what is durable is sent: durable revision >= first revision + requests - 1.
//  4. FRAME: requests > 0. The body holds exactly `records` records, none of them cut short; their
//     revisions lie within the frame's and do not descend. It is at most kFrameBodyBytesMax long.
//     Without records it is empty: a request may come to none.
//  5. STATE and ALIVE: neither requests nor records; a body of 16 and of 8 bytes.
// Whether a message fits to the one before is for the receiver to judge: a stream may begin with a
// frame that holds revisions that the receiver has.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "engine/base/bytes.h"
#include "engine/base/limits.h"
#include "engine/base/status.h"
#include "engine/record/content_hash.h"
#include "engine/wal/format.h"

namespace small_db {

inline constexpr uint32_t kStreamMagic = 0x52444d53;  // "SMDR"
inline constexpr size_t kStreamHeaderBytes = 64;
inline constexpr size_t kStateBodyBytes = 16;
inline constexpr size_t kAliveBodyBytes = 8;

enum class StreamMessageType : uint32_t { kFrame = 1, kState = 2, kAlive = 3 };

struct StreamMessage {
  StreamMessageType type = StreamMessageType::kFrame;
  uint64_t epoch = 0;
  uint64_t first_revision = 0;
  uint32_t requests = 0;
  uint32_t records = 0;
  uint64_t durable_revision = 0;
  uint64_t time_ms = 0;
  Bytes body;  // in memory of whoever made the message

  // The revision that a message behind this one begins with.
  uint64_t next_revision() const noexcept { return first_revision + requests; }
  Hash128 state_hash() const noexcept;     // REQUIRES: a valid STATE
  uint64_t bytes_behind() const noexcept;  // REQUIRES: a valid ALIVE
};

// Rules 2 to 5, but for the records themselves. Returns nullptr when they hold, else a literal that
// says what does not. body_bytes: of the body, wherever it is.
const char* stream_message_contradiction(const StreamMessage& message,
                                         uint64_t body_bytes) noexcept;

// The header of a message whose body is sent in pieces; message.body is not looked at.
// REQUIRES: room for kStreamHeaderBytes; body_crc: CRC32C of the body; a message without a
// contradiction, or its receiver gives up.
void encode_stream_header(const StreamMessage& message, uint32_t body_bytes, uint32_t body_crc,
                          std::byte* to) noexcept;
// With the body that the message has.
void encode_stream_header(const StreamMessage& message, std::byte* to) noexcept;

// Header and body.
void append_message(const StreamMessage& message, std::string* out);

void encode_state_body(const Hash128& hash, std::byte* to) noexcept;    // kStateBodyBytes
void encode_alive_body(uint64_t bytes_behind, std::byte* to) noexcept;  // kAliveBodyBytes

// Finds the messages in bytes that come in pieces of any length, and verifies them:
//
//   parser.feed(bytes);
//   for (;;) {
//     const Result<bool> found = parser.next(&message);
//     if (!found.is_ok()) …                 // the stream is of no use from there on
//     if (!found.value()) break;            // feed more
//     …                                     // use the message
//   }
//
// Memory: one message that did not come whole; one that did is not copied. One thread.
class StreamParser {
 public:
  // REQUIRES: next() returned false or an error since the last feed; the bytes stay until it does
  // again.
  void feed(Bytes bytes) noexcept;

  // Returns: true, and the next message; its body is valid until the next call of this parser.
  // False: all that was fed is taken in, and the next message is not whole.
  // Errors: kCorruption, and so does every later call.
  Result<bool> next(StreamMessage* message);

  // Bytes of memory that it holds.
  size_t memory_bytes() const noexcept { return buffer_.capacity(); }

 private:
  static constexpr size_t kKeptBytes = kMiB;  // of the buffer, between two messages

  Status read_header(Bytes at) noexcept;
  Result<bool> fail(const char* site) noexcept;
  Result<bool> wait_for_more();
  void fill(size_t bytes);
  void release_buffer() noexcept;
  Bytes at_hand() const noexcept { return buffer_.empty() ? input_ : Bytes(buffer_); }

  Bytes input_;                    // fed and not taken
  std::vector<std::byte> buffer_;  // of a message that did not come whole: what did
  bool buffer_used_ = false;       // by the message that was shown last
  // Of the message at hand, once its header is there; message_bytes_ is 0 before.
  StreamMessage header_;
  size_t message_bytes_ = 0;
  uint32_t body_crc_ = 0;
  Status failure_;
};

}  // namespace small_db
