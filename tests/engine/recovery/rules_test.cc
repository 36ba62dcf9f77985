// Directories whose checksums are all right, and which break one rule each: nothing but that rule
// stands between them and a wrong state.
#include <gtest/gtest.h>

#include "engine/base/crc32c.h"
#include "engine/wal/format.h"
#include "tests/sim/stepped_store.h"

namespace small_db {
namespace {

// Changes a frame's header and makes its checksum right again.
template <typename Change>
void rewrite(SimDisk& disk, const std::string& file, uint64_t offset, Change&& change) {
  const std::string contents = disk.contents(file);
  const Result<LogHeader> log = decode_log_header(as_bytes(contents));
  ASSERT_TRUE(log.is_ok());
  std::optional<FrameHeader> frame =
      decode_frame_header(as_bytes(contents).subspan(offset), offset, log.value().seed);
  ASSERT_TRUE(frame.has_value()) << file << " has no frame at " << offset;
  change(*frame);
  std::array<std::byte, kFrameHeaderBytes> bytes;
  encode_frame_header(*frame, log.value().seed, bytes.data());
  disk.poke(file, offset, bytes);
}

class RecoveryRules : public ::testing::Test {
 protected:
  RecoveryRules() : disk_(1), store_(disk_, region_.region()) {
    EXPECT_TRUE(store_.open().is_ok());
    client_ = attach_client(region_.region());
    store_.settle();
  }

  void put(const std::string& key) {
    Store& store = store_.store();
    ASSERT_TRUE(client_->put(++cookie_, as_bytes(key), as_bytes("value"), 0).is_ok());
    store.drain();
    store.finish(store.seal());
  }

  // Commits go on in a new log; its checkpoint is not there yet, so that version stays.
  void switch_log() {
    store_.store().request_checkpoint();
    while (!store_.store().wants_log_switch()) store_.store().checkpoint_step();
    store_.store().switch_log();
  }

  // Why a store is refused that has nothing but the files; "" when it serves.
  std::string refusal() const {
    SimDisk disk = disk_;
    disk.kill_process();
    TestRegion region;
    SteppedStore store(disk, region.region());
    return store.open().is_ok() ? "" : region.region().reason();
  }

  SimDisk disk_;
  TestRegion region_;
  SteppedStore store_;
  std::unique_ptr<Client> client_;
  uint64_t cookie_ = 0;
};

// One frame in each log, so that the last one proves no more than START.
class StartRules : public RecoveryRules {
 protected:
  StartRules() {
    put("old");
    switch_log();
    put("new");
    EXPECT_EQ(disk_.contents("version"), "0\n");
    EXPECT_EQ(refusal(), "");
  }
};

TEST_F(StartRules, ADamagedBodyIsRefusedWhenASingleFrameStandsBehindIt) {
  disk_.poke("logfile.1", kLogHeaderBytes + kFrameHeaderBytes, as_bytes("\x7f"));
  EXPECT_EQ(refusal().find("logfile.1"), 0u) << refusal();
}

TEST_F(StartRules, AFirstFrameThatIsNoStartIsRefusedAndNotTakenForATornOne) {
  const std::string zeros(kSectorBytes, '\0');
  disk_.poke("logfile.1", kLogHeaderBytes + kSectorBytes, as_bytes(zeros));
  rewrite(disk_, "logfile.1", kLogHeaderBytes, [](FrameHeader& start) { start.chain ^= 1; });
  EXPECT_EQ(refusal().find("logfile.1"), 0u) << refusal();
}

// The first frame of logfile.1 as if nothing had followed it, changed, and all its checksums right.
struct Start {
  uint64_t epoch = 1;
  uint64_t least_revision = 1;  // of the file
  StartBody body;
};

void rewrite_start(SimDisk& disk, const Start& start) {
  const std::string contents = disk.contents("logfile.1");
  LogHeader header = decode_log_header(as_bytes(contents)).value();
  header.epoch = start.epoch;
  header.first_revision = start.least_revision;
  std::vector<std::byte> bytes(kLogHeaderBytes);
  encode_log_header(header, bytes.data());
  disk.poke("logfile.1", 0, bytes);
  constexpr uint64_t kBody = kLogHeaderBytes + kFrameHeaderBytes;
  std::array<std::byte, kStartBodyBytes> body;
  encode_start_body(start.body, body.data());
  disk.poke("logfile.1", kBody, body);
  rewrite(disk, "logfile.1", kLogHeaderBytes, [&](FrameHeader& frame) {
    frame.epoch = start.epoch;
    frame.chain = header.crc;
    frame.body_crc = crc32c(body, header.seed);
  });
  const std::string zeros(kSectorBytes, '\0');
  disk.poke("logfile.1", kLogHeaderBytes + kSectorBytes, as_bytes(zeros));
}

TEST_F(StartRules, WhatItSaysOfTheLogBeforeMustBeSo) {
  const std::string contents = disk_.contents("logfile.1");
  const std::byte* body = as_bytes(contents).data() + kLogHeaderBytes + kFrameHeaderBytes;
  const Start right{1, 1, decode_start_body(body)};
  rewrite_start(disk_, right);
  EXPECT_EQ(refusal(), "");
  Start wrong = right;
  wrong.body.previous_generation = 7;
  rewrite_start(disk_, wrong);
  EXPECT_NE(refusal().find("does not go on from where"), std::string::npos) << refusal();
  wrong = right;
  wrong.epoch = 0;
  rewrite_start(disk_, wrong);
  EXPECT_NE(refusal().find("does not go on from where"), std::string::npos) << refusal();
  wrong = right;
  wrong.least_revision = 1000;
  rewrite_start(disk_, wrong);
  EXPECT_NE(refusal().find("first revision of the frame"), std::string::npos) << refusal();
  wrong = right;
  wrong.body.last_revision = 7;
  rewrite_start(disk_, wrong);
  EXPECT_NE(refusal().find("last revision of START"), std::string::npos) << refusal();
}

TEST_F(RecoveryRules, AFrameThatContradictsItsLogIsRefusedAndNotCutOff) {
  put("old");
  put("new");
  const uint64_t last = kLogHeaderBytes + kSectorBytes;
  const auto with = [&](auto change) {
    SimDisk before = disk_;
    rewrite(disk_, "logfile.0", last, change);
    const std::string reason = refusal();
    disk_ = before;
    return reason.find("A frame contradicts the log") != std::string::npos ? "" : reason + "?";
  };
  EXPECT_EQ(with([](FrameHeader& frame) { frame.chain ^= 1; }), "");
  EXPECT_EQ(with([](FrameHeader& frame) { ++frame.first_revision; }), "");
  EXPECT_EQ(with([](FrameHeader& frame) { frame.epoch = 0; }), "");
  EXPECT_EQ(with([](FrameHeader& frame) { frame.flags = kFrameStart; }), "");
  EXPECT_EQ(refusal(), "");
}

TEST_F(RecoveryRules, FilesWithStrangeNamesAreNoConcern) {
  put("key");
  for (const char* name : {"x", "log", ".tmp", "logfile.", "checkpoint.x", "version2"})
    disk_.set_contents(name, as_bytes("strange"));
  EXPECT_EQ(refusal(), "");
}

TEST_F(RecoveryRules, AnUnfinishedFileThatCantBeRemovedIsReported) {
  disk_.set_contents("logfile.9.tmp", as_bytes("unfinished"));
  SimDisk disk = disk_;
  disk.kill_process();
  disk.fail_every(SimCall::kRemove, SimFault::kIoError);
  TestRegion region;
  SteppedStore store(disk, region.region());
  EXPECT_FALSE(store.open().is_ok());
  EXPECT_NE(region.region().reason().find("could not be put right"), std::string::npos)
      << region.region().reason();
}

}  // namespace
}  // namespace small_db
