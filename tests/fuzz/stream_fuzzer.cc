// Gives the parser of the log stream anything, whole and in pieces. Both ways it must find the same
// messages and the same error, what it takes must encode to the very same bytes, and it never holds
// more memory than one message may have.
//
// The first byte of the input chooses: raw, or messages whose checksums are made right, so that
// what lies behind those is reached too.
#include <algorithm>
#include <cstdlib>
#include <cstring>

#include "engine/record/record.h"
#include "engine/replication/stream.h"

namespace small_db {
namespace {

// Takes bytes off the front of the input; zeros when there are none left.
class Input {
 public:
  explicit Input(Bytes bytes) : rest_(bytes) {}
  Bytes take(size_t bytes) {
    const Bytes taken = rest_.first(std::min(bytes, rest_.size()));
    rest_ = rest_.subspan(taken.size());
    return taken;
  }
  template <typename T>
  T number() {
    T value{};
    const Bytes taken = take(sizeof(T));
    if (!taken.empty()) std::memcpy(&value, taken.data(), taken.size());
    return value;
  }
  bool empty() const { return rest_.empty(); }

 private:
  Bytes rest_;
};

void append_record(Input& input, uint64_t revision, std::string* body) {
  const std::string key(1 + input.number<uint8_t>() % 40, 'k');
  const std::string value(input.number<uint16_t>() % 300, 'v');
  const RecordView record = {RecordType::kPut, revision, 0, as_bytes(key), as_bytes(value)};
  std::string bytes(record_bytes(record), '\0');
  encode_record(record, reinterpret_cast<std::byte*>(bytes.data()));
  *body += bytes;
}

// Small numbers make most messages valid.
std::string messages(Input& input) {
  std::string stream;
  uint64_t revision = 1;
  while (!input.empty()) {
    const uint8_t twist = input.number<uint8_t>();
    StreamMessage message;
    message.type = static_cast<StreamMessageType>(input.number<uint8_t>() % 5);
    message.epoch = input.number<uint8_t>();
    message.first_revision = (twist & 1) != 0 ? input.number<uint64_t>() : revision;
    std::string body(as_text(input.take(input.number<uint8_t>() % 32)));
    if (message.type == StreamMessageType::kFrame) {
      message.requests = (twist & 2) != 0 ? input.number<uint32_t>() : 1 + twist / 64;
      message.records = input.number<uint8_t>() % 5;
      if ((twist & 4) == 0) body.clear();
      for (uint32_t i = 0; i < message.records; ++i) {
        append_record(input, message.first_revision + i, &body);
      }
    } else if ((twist & 2) == 0) {
      body.resize(message.type == StreamMessageType::kState ? kStateBodyBytes : kAliveBodyBytes);
    }
    message.durable_revision =
        (twist & 8) != 0 ? input.number<uint64_t>() : message.next_revision() + 1;
    message.body = as_bytes(body);
    append_message(message, &stream);
    revision = message.next_revision();
    if ((twist & 16) != 0) {
      stream[input.number<uint16_t>() % stream.size()] ^= input.number<char>();
    }
  }
  return stream;
}

struct Parsed {
  std::string bytes;
  const char* site = "";
};

// piece: 0 for pieces of many lengths.
Parsed parse(Bytes stream, size_t piece) {
  Parsed parsed;
  StreamParser parser;
  size_t length = 1;
  for (size_t at = 0; at < stream.size() && parsed.site[0] == '\0';) {
    length = piece != 0 ? piece : length * 5 % 257;
    const Bytes fed = stream.subspan(at, std::min(length, stream.size() - at));
    // A copy that goes away: nothing of it may be looked at later.
    const std::vector<std::byte> copy(fed.begin(), fed.end());
    at += fed.size();
    parser.feed(copy);
    StreamMessage message;
    for (;;) {
      const Result<bool> found = parser.next(&message);
      if (parser.memory_bytes() > kStreamHeaderBytes + kFrameBodyBytesMax) std::abort();
      if (!found.is_ok()) parsed.site = found.status().site();
      if (!found.is_ok() || !found.value()) break;
      if (stream_message_contradiction(message, message.body.size()) != nullptr) std::abort();
      append_message(message, &parsed.bytes);
    }
  }
  return parsed;
}

void check(Bytes data) {
  if (data.empty()) return;
  Input input(data);
  const bool raw = input.number<uint8_t>() % 4 == 0;
  const std::string stream = raw ? std::string(as_text(input.take(SIZE_MAX))) : messages(input);
  const Parsed whole = parse(as_bytes(stream), std::max<size_t>(stream.size(), 1));
  if (stream.compare(0, whole.bytes.size(), whole.bytes) != 0) std::abort();
  for (const size_t piece : {0, 1, 63, 64, 65}) {
    const Parsed pieces = parse(as_bytes(stream), piece);
    if (pieces.bytes != whole.bytes || std::strcmp(pieces.site, whole.site) != 0) std::abort();
  }
}

}  // namespace
}  // namespace small_db

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  small_db::check(small_db::Bytes(reinterpret_cast<const std::byte*>(data), size));
  return 0;
}
