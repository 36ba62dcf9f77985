#include "engine/replication/stream.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>

#include "engine/base/crc32c.h"
#include "engine/record/record.h"

namespace small_db {
namespace {

std::string hex(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kDigits[] = "0123456789abcdef";
    text += kDigits[static_cast<uint8_t>(byte) >> 4];
    text += kDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

std::string encoded(const StreamMessage& message) {
  std::string bytes;
  append_message(message, &bytes);
  return bytes;
}

std::string put_bytes(uint64_t revision, std::string_view key, std::string_view value) {
  const RecordView record = {RecordType::kPut, revision, 0, as_bytes(key), as_bytes(value)};
  std::string bytes(record_bytes(record), '\0');
  encode_record(record, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

std::string delete_bytes(uint64_t revision, std::string_view key) {
  const RecordView record = {RecordType::kDelete, revision, 0, as_bytes(key), {}};
  std::string bytes(record_bytes(record), '\0');
  encode_record(record, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

// Owns what a message shows.
struct OwnMessage {
  StreamMessage message;
  std::string body;
  StreamMessage view() const {
    StreamMessage shown = message;
    shown.body = as_bytes(body);
    return shown;
  }
  std::string bytes() const { return encoded(view()); }
};

OwnMessage frame(uint64_t first_revision, uint32_t requests, uint32_t records, std::string body) {
  OwnMessage own;
  own.message = {
      StreamMessageType::kFrame, 7, first_revision, requests, records, 9, 0x0123456789ab, {}};
  own.body = std::move(body);
  return own;
}

OwnMessage reference_frame() {
  return frame(5, 3, 2, put_bytes(5, "k", "v") + delete_bytes(6, "d"));
}

OwnMessage reference_state() {
  OwnMessage own;
  own.message = {StreamMessageType::kState, 7, 8, 0, 0, 9, 0x0123456789ac, {}};
  own.body.resize(kStateBodyBytes);
  encode_state_body({0x0807060504030201, 0x100f0e0d0c0b0a09},
                    reinterpret_cast<std::byte*>(own.body.data()));
  return own;
}

OwnMessage reference_alive() {
  OwnMessage own;
  own.message = {StreamMessageType::kAlive, 7, 8, 0, 0, 9, 0x0123456789ad, {}};
  own.body.resize(kAliveBodyBytes);
  encode_alive_body(0x1122334455667788, reinterpret_cast<std::byte*>(own.body.data()));
  return own;
}

void expect_equal(const StreamMessage& left, const StreamMessage& right) {
  EXPECT_EQ(left.type, right.type);
  EXPECT_EQ(left.epoch, right.epoch);
  EXPECT_EQ(left.first_revision, right.first_revision);
  EXPECT_EQ(left.requests, right.requests);
  EXPECT_EQ(left.records, right.records);
  EXPECT_EQ(left.durable_revision, right.durable_revision);
  EXPECT_EQ(left.time_ms, right.time_ms);
  EXPECT_TRUE(std::equal(left.body.begin(), left.body.end(), right.body.begin(), right.body.end()));
}

// All messages of `bytes`, fed in pieces of that length, as they would be encoded again.
struct Parsed {
  std::vector<std::string> messages;
  Status status;
  size_t memory_bytes_max = 0;
};
Parsed parse(std::string_view bytes, size_t piece) {
  Parsed parsed;
  StreamParser parser;
  while (!bytes.empty() && parsed.status.is_ok()) {
    // A copy that goes away: nothing of it may be looked at later.
    const std::string fed(bytes.substr(0, piece));
    bytes.remove_prefix(fed.size());
    parser.feed(as_bytes(fed));
    StreamMessage message;
    for (;;) {
      const Result<bool> found = parser.next(&message);
      parsed.status = found.status();
      parsed.memory_bytes_max = std::max(parsed.memory_bytes_max, parser.memory_bytes());
      if (!found.is_ok() || !found.value()) break;
      parsed.messages.push_back(encoded(message));
    }
  }
  return parsed;
}

const char* site_of(std::string_view bytes) { return parse(bytes, bytes.size()).status.site(); }

TEST(StreamMessage, HaveTheirGoldenBytes) {
  EXPECT_EQ(
      hex(reference_frame().bytes()),
      "534d44524a0c400501000000230000004b98d0fc000000000700000000000000050000000000000003000000"
      "020000000900000000000000ab89674523010000"
      "050000000000000001000000010001006b76"
      "0600000000000000000000000100020064");
  EXPECT_EQ(
      hex(reference_state().bytes()),
      "534d4452d158c89002000000100000001467dea0000000000700000000000000080000000000000000000000"
      "000000000900000000000000ac89674523010000"
      "0102030405060708090a0b0c0d0e0f10");
  EXPECT_EQ(
      hex(reference_alive().bytes()),
      "534d44524b767aa10300000008000000165159af000000000700000000000000080000000000000000000000"
      "000000000900000000000000ad89674523010000"
      "8877665544332211");
}

TEST(StreamMessage, AHeaderCanBeMadeWithoutTheBody) {
  const OwnMessage own = reference_frame();
  std::array<std::byte, kStreamHeaderBytes> header;
  encode_stream_header(own.message, static_cast<uint32_t>(own.body.size()),
                       crc32c(as_bytes(own.body)), header.data());
  EXPECT_EQ(own.bytes(), std::string(as_text(header)) + own.body);
}

TEST(StreamParser, ShowsWhatWasSent) {
  for (const OwnMessage& own : {reference_frame(), reference_state(), reference_alive()}) {
    const std::string bytes = own.bytes();
    StreamParser parser;
    parser.feed(as_bytes(bytes));
    StreamMessage message;
    const Result<bool> found = parser.next(&message);
    ASSERT_TRUE(found.is_ok()) << found.status().text();
    ASSERT_TRUE(found.value());
    expect_equal(message, own.view());
    EXPECT_FALSE(parser.next(&message).value());
  }
}

TEST(StreamParser, ReadsStateAndDistance) {
  const OwnMessage state = reference_state();
  EXPECT_EQ(state.view().state_hash(), (Hash128{0x0807060504030201, 0x100f0e0d0c0b0a09}));
  EXPECT_EQ(reference_alive().view().bytes_behind(), 0x1122334455667788u);
  EXPECT_EQ(reference_frame().view().next_revision(), 8u);
}

TEST(StreamParser, DoesNotCopyAMessageThatCameWhole) {
  const std::string bytes = reference_frame().bytes() + reference_alive().bytes();
  StreamParser parser;
  parser.feed(as_bytes(bytes));
  StreamMessage message;
  ASSERT_TRUE(parser.next(&message).value());
  EXPECT_EQ(message.body.data(), as_bytes(bytes).data() + kStreamHeaderBytes);
  ASSERT_TRUE(parser.next(&message).value());
  EXPECT_FALSE(parser.next(&message).value());
  EXPECT_EQ(parse(bytes, bytes.size()).memory_bytes_max, kStreamHeaderBytes);
}

TEST(StreamParser, PiecesOfAnyLengthGiveTheSameMessages) {
  std::string bytes;
  std::vector<std::string> expected;
  const std::string long_value(5000, 'x');
  for (int round = 0; round < 3; ++round) {
    for (const OwnMessage& own :
         {reference_frame(), reference_state(), frame(1, 1, 1, put_bytes(1, "key", long_value)),
          reference_alive(), frame(3, 4, 0, "")}) {
      expected.push_back(own.bytes());
      bytes += own.bytes();
    }
  }
  std::mt19937_64 random(1);
  for (size_t piece = 1; piece <= 200; ++piece) {
    const Parsed parsed = parse(bytes, piece);
    EXPECT_TRUE(parsed.status.is_ok()) << parsed.status.text();
    EXPECT_EQ(parsed.messages, expected) << piece;
  }
  for (const size_t piece : {5000ul, 5082ul, 5083ul, 9999ul, bytes.size()}) {
    EXPECT_EQ(parse(bytes, piece).messages, expected) << piece;
  }
}

TEST(StreamParser, TakesTheLongestValueAndGivesItsMemoryBack) {
  std::string bytes = frame(1, 1, 1, put_bytes(1, "key", std::string(kValueBytesMax, 'x'))).bytes();
  const size_t long_bytes = bytes.size();
  bytes += reference_alive().bytes();
  StreamParser parser;
  StreamMessage message;
  std::vector<size_t> shown;
  std::string_view rest = bytes;
  while (!rest.empty()) {
    const std::string_view fed = rest.substr(0, kMiB - 1);
    rest.remove_prefix(fed.size());
    parser.feed(as_bytes(fed));
    for (;;) {
      const Result<bool> found = parser.next(&message);
      ASSERT_TRUE(found.is_ok()) << found.status().text();
      EXPECT_LE(parser.memory_bytes(), long_bytes);
      if (!found.value()) break;
      shown.push_back(message.body.size());
    }
  }
  EXPECT_EQ(shown, (std::vector<size_t>{long_bytes - kStreamHeaderBytes, kAliveBodyBytes}));
  EXPECT_LE(parser.memory_bytes(), kMiB);
}

TEST(StreamParser, EachBitMatters) {
  for (const OwnMessage& own : {reference_frame(), reference_state(), reference_alive()}) {
    const std::string good = own.bytes();
    for (size_t at = 0; at < good.size() * 8; ++at) {
      std::string bad = good;
      bad[at / 8] = static_cast<char>(bad[at / 8] ^ (1 << (at % 8)));
      const Parsed parsed = parse(bad, bad.size());
      EXPECT_EQ(parsed.status.code(), Code::kCorruption) << at;
      EXPECT_TRUE(parsed.messages.empty()) << at;
    }
  }
}

TEST(StreamParser, AMessageThatIsCutShortIsNotShown) {
  const std::string good = reference_frame().bytes();
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    const Parsed parsed = parse(std::string_view(good).substr(0, bytes), good.size());
    EXPECT_TRUE(parsed.status.is_ok());
    EXPECT_TRUE(parsed.messages.empty());
  }
}

TEST(StreamParser, StaysInItsError) {
  const std::string good = reference_alive().bytes();
  std::string bad = good;
  bad[0] ^= 1;
  const std::string bytes = good + bad + good;
  StreamParser parser;
  parser.feed(as_bytes(bytes));
  StreamMessage message;
  ASSERT_TRUE(parser.next(&message).value());
  EXPECT_STREQ(parser.next(&message).status().site(), "stream: magic");
  EXPECT_STREQ(parser.next(&message).status().site(), "stream: magic");
  parser.feed(as_bytes(good));
  EXPECT_STREQ(parser.next(&message).status().site(), "stream: magic");
  EXPECT_EQ(parser.memory_bytes(), 0u);
}

TEST(StreamParser, RefusesABadHeaderBeforeItsBodyIsThere) {
  OwnMessage own = reference_frame();
  std::array<std::byte, kStreamHeaderBytes> header;
  encode_stream_header(own.message, kFrameBodyBytesMax + 1, 0, header.data());
  EXPECT_STREQ(site_of(as_text(header)), "stream: body length");
  encode_stream_header(own.message, UINT32_MAX, 0, header.data());
  EXPECT_STREQ(site_of(as_text(header)), "stream: body length");
  encode_stream_header(own.message, kFrameBodyBytesMax, 0, header.data());
  EXPECT_STREQ(site_of(as_text(header)), "");
  store<uint32_t>(header.data() + 20, 1);
  store<uint32_t>(header.data() + 4, crc32c(Bytes(header).subspan(8)));
  EXPECT_STREQ(site_of(as_text(header)), "stream: zeros");
}

TEST(StreamParser, NamesContradictionsInAHeader) {
  struct Case {
    const char* site;
    OwnMessage own;
    std::function<void(StreamMessage&)> change;
  };
  const OwnMessage frame = reference_frame();
  const OwnMessage state = reference_state();
  const OwnMessage alive = reference_alive();
  const Case cases[] = {
      {"stream: type", frame, [](StreamMessage& m) { m.type = StreamMessageType{0}; }},
      {"stream: type", alive, [](StreamMessage& m) { m.type = StreamMessageType{4}; }},
      {"stream: first revision", frame, [](StreamMessage& m) { m.first_revision = 0; }},
      {"stream: first revision", state, [](StreamMessage& m) { m.first_revision = 0; }},
      {"stream: first revision", alive, [](StreamMessage& m) { m.first_revision = 0; }},
      {"stream: last revision", frame, [](StreamMessage& m) { m.first_revision = UINT64_MAX - 2; }},
      {"stream: request count", frame, [](StreamMessage& m) { m.requests = 0; }},
      {"stream: request count", state, [](StreamMessage& m) { m.requests = 1; }},
      {"stream: request count", alive, [](StreamMessage& m) { m.requests = 1; }},
      {"stream: record count", state, [](StreamMessage& m) { m.records = 1; }},
      {"stream: record count", alive, [](StreamMessage& m) { m.records = 1; }},
      {"stream: durable revision", frame, [](StreamMessage& m) { m.durable_revision = 6; }},
      {"stream: durable revision", state, [](StreamMessage& m) { m.durable_revision = 6; }},
      {"stream: durable revision", alive, [](StreamMessage& m) { m.durable_revision = 6; }},
      {"stream: body length", frame, [](StreamMessage& m) { m.records = 0; }},
      {"stream: body length", frame, [](StreamMessage& m) { m.records = 3; }},
      {"stream: body length", frame, [](StreamMessage& m) { m.records = UINT32_MAX; }},
      {"stream: body length", frame, [](StreamMessage& m) { m.body = {}; }},
      {"stream: body length", state, [](StreamMessage& m) { m.body = m.body.first(15); }},
      {"stream: body length", state, [](StreamMessage& m) { m.body = {}; }},
      {"stream: body length", alive, [](StreamMessage& m) { m.body = {}; }},
      {"stream: body length", alive, [](StreamMessage& m) { m.body = m.body.first(7); }},
  };
  for (const Case& one : cases) {
    StreamMessage message = one.own.view();
    EXPECT_STREQ(site_of(encoded(message)), "");
    one.change(message);
    EXPECT_STREQ(site_of(encoded(message)), one.site);
    EXPECT_STREQ(stream_message_contradiction(message, message.body.size()), one.site);
  }
}

TEST(StreamParser, TakesTheEdgesOfTheRules) {
  StreamMessage first = frame(1, 1, 0, "").message;  // a request that came to no record
  first.durable_revision = 1;
  StreamMessage last = first;
  last.first_revision = UINT64_MAX - 1;
  last.durable_revision = UINT64_MAX;
  StreamMessage empty_state = reference_state().message;
  empty_state.first_revision = 1;
  empty_state.durable_revision = 0;
  const OwnMessage body = reference_state();
  empty_state.body = as_bytes(body.body);
  for (const StreamMessage& message : {first, last, empty_state}) {
    EXPECT_EQ(stream_message_contradiction(message, message.body.size()), nullptr);
    EXPECT_EQ(parse(encoded(message), 1000).messages.size(), 1u);
  }
  last.first_revision = UINT64_MAX;
  EXPECT_STREQ(site_of(encoded(last)), "stream: last revision");
}

TEST(StreamParser, LooksIntoEachRecord) {
  const std::string five = put_bytes(5, "k", "v");
  const std::string six = put_bytes(6, "k", "v");
  const std::string seven = put_bytes(7, "k", "v");
  EXPECT_STREQ(site_of(frame(5, 3, 3, five + six + seven).bytes()), "");
  EXPECT_STREQ(site_of(frame(5, 3, 2, seven + seven).bytes()), "");
  EXPECT_STREQ(site_of(frame(5, 3, 3, five + seven + six).bytes()), "stream: revision of a record");
  EXPECT_STREQ(site_of(frame(6, 2, 2, five + six).bytes()), "stream: revision of a record");
  EXPECT_STREQ(site_of(frame(5, 2, 2, five + seven).bytes()), "stream: revision of a record");
  EXPECT_STREQ(site_of(frame(5, 3, 1, five + six).bytes()), "stream: bytes behind the records");
  EXPECT_STREQ(site_of(frame(5, 3, 1, five + "x").bytes()), "stream: bytes behind the records");
  EXPECT_STREQ(site_of(frame(5, 3, 1, std::string(17, '\0')).bytes()), "stream: record of a frame");
  const std::string cut = five + put_bytes(6, "k", "value").substr(0, 20);
  EXPECT_STREQ(site_of(frame(5, 3, 2, cut).bytes()), "stream: record of a frame");
}

}  // namespace
}  // namespace small_db
