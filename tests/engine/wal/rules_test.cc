// Headers whose checksum is right, and which break one rule of the format each: every rule is
// checked by itself, and says so.
#include <gtest/gtest.h>

#include "engine/base/crc32c.h"
#include "engine/wal/format.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

class LogHeaderRules : public ::testing::Test {
 protected:
  LogHeaderRules() : bytes_(kLogHeaderBytes) {
    LogHeader header;
    header.generation = 3;
    header.first_revision = 7;
    header.prepared_end = kLogHeaderBytes + kSectorBytes;
    encode_log_header(header, bytes_.data());
  }

  // With another field, and the checksum over it; what is wrong, or "".
  template <typename T>
  std::string with(size_t offset, T value) const {
    std::vector<std::byte> changed = bytes_;
    store<T>(changed.data() + offset, value);
    store<uint32_t>(changed.data() + 4092, crc32c(Bytes(changed).first(4092)));
    const Result<LogHeader> header = decode_log_header(changed);
    return header.is_ok() ? "" : header.status().site();
  }

  std::vector<std::byte> bytes_;
};

TEST_F(LogHeaderRules, AreCheckedOneByOne) {
  EXPECT_EQ(with<uint64_t>(64, 8), "");
  EXPECT_EQ(with<uint8_t>(0, 'X'), "log header: magic");
  EXPECT_EQ(with<uint32_t>(8, 2), "log header: format version");
  EXPECT_EQ(with<uint32_t>(12, 8192), "log header: format version");
  EXPECT_EQ(with<uint8_t>(88, 1), "log header: zeros");
  EXPECT_EQ(with<uint8_t>(4091, 1), "log header: zeros");
  EXPECT_EQ(with<uint64_t>(64, 0), "log header: first revision");
  EXPECT_EQ(with<uint64_t>(80, 0), "log header: prepared end");
  EXPECT_EQ(with<uint64_t>(80, kLogHeaderBytes + 1), "log header: prepared end");
  EXPECT_EQ(with<uint64_t>(80, kLogHeaderBytes), "");
}

TEST_F(LogHeaderRules, AHeaderThatIsCutShortIsNone) {
  const Result<LogHeader> header = decode_log_header(Bytes(bytes_).first(kLogHeaderBytes - 1));
  EXPECT_STREQ(header.status().site(), "log header: cut short");
}

// A header with one request that keeps every rule.
FrameHeader frame() {
  FrameHeader header;
  header.offset = kLogHeaderBytes;
  header.first_revision = 5;
  header.durable_revision = 4;
  header.requests = 1;
  header.request_runs = 1;
  header.records = 1;
  header.body_bytes = kRequestRunBytes + kRecordBytesMin;
  header.prepared_end = 2 * kLogHeaderBytes;
  return header;
}

// One without requests.
FrameHeader mark(uint32_t flags) {
  FrameHeader header = frame();
  header.flags = flags;
  header.requests = header.request_runs = header.records = header.body_bytes = 0;
  return header;
}

std::string wrong(const FrameHeader& header) {
  const char* what = frame_header_contradiction(header);
  return what == nullptr ? "" : what;
}

TEST(FrameHeaderRules, AreCheckedOneByOne) {
  EXPECT_EQ(wrong(frame()), "");
  EXPECT_EQ(wrong(mark(kFrameIdle)), "");
  EXPECT_EQ(wrong(mark(kFrameIdle | kFrameSeal)), "flags of the frame");
  EXPECT_EQ(wrong(mark(16)), "flags of the frame");
  EXPECT_EQ(wrong(mark(kFrameSeal | kFrameHeal)), "flags of the frame");
  EXPECT_EQ(wrong(mark(0)), "request count of the frame");
  FrameHeader header = mark(kFrameIdle);
  header.requests = header.request_runs = 1;
  EXPECT_EQ(wrong(header), "request count of the frame");
  header = mark(kFrameIdle);
  header.records = 1;
  EXPECT_EQ(wrong(header), "record count of the frame");
  header = frame();
  header.request_runs = 2;
  header.body_bytes += kRequestRunBytes;
  EXPECT_EQ(wrong(header), "request runs of the frame");
  header = frame();
  header.request_runs = 0;
  EXPECT_EQ(wrong(header), "request runs of the frame");
  header = frame();
  header.prepared_end += 1;
  EXPECT_EQ(wrong(header), "prepared end of the frame");
  header = mark(kFrameIdle);
  header.body_bytes = 1;
  EXPECT_EQ(wrong(header), "body length of the frame");
  header = mark(kFrameStart);
  header.body_bytes = kStartBodyBytes + 1;
  EXPECT_EQ(wrong(header), "body length of the frame");
  header = frame();
  header.body_bytes = kFrameBodyBytesMax + 1;
  header.prepared_end = kGiB;
  EXPECT_EQ(wrong(header), "body length of the frame");
}

}  // namespace
}  // namespace small_db
