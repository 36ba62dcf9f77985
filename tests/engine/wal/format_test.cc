#include "engine/wal/format.h"

#include <functional>

#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::hex;
using log_test::uid_from;

LogHeader reference_header() {
  LogHeader header;
  header.cluster_id = uid_from(0x10);
  header.generation = 3;
  header.log_uid = uid_from(0xa0);
  header.epoch = 7;
  header.first_revision = 5;
  header.created_ms = 0x0123456789ab;
  header.prepared_end = 4096 + 2048;
  return header;
}

std::string encoded(LogHeader header) {
  std::string bytes(kLogHeaderBytes, '?');
  encode_log_header(header, reinterpret_cast<std::byte*>(bytes.data()));
  return bytes;
}

FrameHeader plain_frame() {
  FrameHeader header;
  header.offset = 4096;
  header.first_revision = 5;
  header.durable_revision = 4;
  header.body_bytes = kRequestRunBytes + kRecordBytesMin;
  header.records = header.requests = header.request_runs = 1;
  header.prepared_end = 8192;
  return header;
}

TEST(LogFormat, FileHeaderHasItsGoldenBytes) {
  const std::string bytes = encoded(reference_header());
  EXPECT_EQ(hex(bytes.substr(0, 88)),
            "534d44424c4f47310100000000100000101112131415161718191a1b1c1d1e1f0300000000000000"
            "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf07000000000000000500000000000000ab89674523010000"
            "0018000000000000");
  EXPECT_EQ(bytes.substr(88, 4004), std::string(4004, '\0'));
  EXPECT_EQ(hex(bytes.substr(4092)), "c314a198");
}

TEST(LogFormat, FileHeaderReadsBackAsItWasWritten) {
  const Result<LogHeader> header = decode_log_header(as_bytes(encoded(reference_header())));
  ASSERT_TRUE(header.is_ok());
  EXPECT_EQ(header.value().cluster_id, uid_from(0x10));
  EXPECT_EQ(header.value().generation, 3u);
  EXPECT_EQ(header.value().log_uid, uid_from(0xa0));
  EXPECT_EQ(header.value().epoch, 7u);
  EXPECT_EQ(header.value().first_revision, 5u);
  EXPECT_EQ(header.value().created_ms, 0x0123456789abu);
  EXPECT_EQ(header.value().prepared_end, 6144u);
  EXPECT_EQ(header.value().crc, 0x98a114c3u);
  EXPECT_EQ(header.value().seed, 0xb5a73022u);
}

TEST(LogFormat, EachBitOfTheFileHeaderMatters) {
  const std::string good = encoded(reference_header());
  for (size_t at = 0; at < good.size(); ++at) {
    std::string bad = good;
    bad[at] = static_cast<char>(bad[at] ^ (1 << (at % 8)));
    EXPECT_FALSE(decode_log_header(as_bytes(bad)).is_ok()) << at;
  }
  EXPECT_FALSE(decode_log_header(as_bytes(good).first(4095)).is_ok());
}

TEST(LogFormat, AFrameHeaderPassesOnlyAtItsOffsetAndUnderItsSeed) {
  FrameHeader header = plain_frame();
  std::array<std::byte, kFrameHeaderBytes> bytes;
  encode_frame_header(header, 0xb5a73022u, bytes.data());
  EXPECT_TRUE(decode_frame_header(bytes, 4096, 0xb5a73022u));
  EXPECT_FALSE(decode_frame_header(bytes, 4608, 0xb5a73022u));
  EXPECT_FALSE(decode_frame_header(bytes, 4096, 0xb5a73023u));
  EXPECT_FALSE(decode_frame_header(Bytes(bytes).first(95), 4096, 0xb5a73022u));
}

TEST(LogFormat, TheSeedDependsOnClusterAndGenerationAndLog) {
  const auto seed = [](const std::function<void(LogHeader&)>& change) {
    LogHeader header = reference_header();
    change(header);
    (void)encoded(header);
    std::array<std::byte, kLogHeaderBytes> bytes;
    encode_log_header(header, bytes.data());
    return header.seed;
  };
  const uint32_t same = seed([](LogHeader&) {});
  EXPECT_EQ(same, seed([](LogHeader& header) { header.first_revision = 99; }));
  EXPECT_NE(same, seed([](LogHeader& header) { header.cluster_id = uid_from(1); }));
  EXPECT_NE(same, seed([](LogHeader& header) { header.generation = 4; }));
  EXPECT_NE(same, seed([](LogHeader& header) { header.log_uid = uid_from(1); }));
}

TEST(LogFormat, ContradictionsInAFrameHeaderAreNamed) {
  struct Case {
    const char* name;
    std::function<void(FrameHeader&)> change;
  };
  const Case cases[] = {
      {"unknown flag", [](FrameHeader& h) { h.flags = 16; }},
      {"two kinds", [](FrameHeader& h) { h.flags = kFrameSeal | kFrameIdle; }},
      {"HEAL without START", [](FrameHeader& h) { h.flags = kFrameHeal; }},
      {"IDLE with requests", [](FrameHeader& h) { h.flags = kFrameIdle; }},
      {"no request", [](FrameHeader& h) { h.requests = 0; }},
      {"more runs than requests", [](FrameHeader& h) { h.request_runs = 2; }},
      {"requests without a run", [](FrameHeader& h) { h.request_runs = 0; }},
      {"body too short for its counts", [](FrameHeader& h) { --h.body_bytes; }},
      {"body too long", [](FrameHeader& h) { h.body_bytes = kFrameBodyBytesMax + 1; }},
      {"durable revision of itself", [](FrameHeader& h) { h.durable_revision = 5; }},
      {"revisions beyond the last", [](FrameHeader& h) { h.first_revision = UINT64_MAX; }},
      {"frame beyond prepared space", [](FrameHeader& h) { h.prepared_end = 4096; }},
      {"prepared end between sectors", [](FrameHeader& h) { h.prepared_end = 8191; }},
      {"reserved field", [](FrameHeader& h) { h.reserved = 1; }},
  };
  EXPECT_EQ(frame_header_contradiction(plain_frame()), nullptr);
  for (const Case& c : cases) {
    FrameHeader header = plain_frame();
    c.change(header);
    EXPECT_NE(frame_header_contradiction(header), nullptr) << c.name;
  }
}

TEST(LogFormat, FilesHaveTheirNames) {
  EXPECT_EQ(log_file_name(12), "logfile.12");
  EXPECT_EQ(log_copy_name(0), "logfile.0.last");
  EXPECT_EQ(torn_tail_name(3, 4608), "logfile.3.torn.4608");
}

}  // namespace
}  // namespace small_db
