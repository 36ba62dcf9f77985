#include "engine/replication/log_feed.h"

#include "engine/replication/stream.h"
#include "tests/engine/wal/log_fixture.h"

namespace small_db {
namespace {

using log_test::put_record;
using log_test::write_mark;
using log_test::write_records;

constexpr size_t kMany = kMiB;

// A store's logs, written as its owner does.
struct Logs : log_test::NewTestLog {
  void write(uint64_t revision, const std::string& key, const std::string& value = "v") {
    ASSERT_TRUE(write_records(*log, {put_record(revision, key, value)}).is_ok());
    durable = revision;
  }
  LogEnd end_here(bool sealed) {
    LogEnd end;
    end.header = log->header();
    end.position = log->durable_position();
    end.last_revision = durable;
    end.epoch = 7;
    end.sealed = sealed;
    end.heal = !sealed;
    return end;
  }
  void go_on(const LogEnd& end) {
    auto opened = LogWriter::open(*directory, end, 7, 0x1111, options);
    ASSERT_TRUE(opened.is_ok()) << opened.status().text();
    log = std::move(opened).value();
  }
  void seal() { ASSERT_TRUE(write_mark(*log, kFrameSeal, durable + 1).is_ok()); }
  void switch_log() {
    seal();
    go_on(end_here(true));
  }
  // The write's frame gets into the file, and its sync fails.
  void fail_write(uint64_t revision, const std::string& key) {
    disk.fail_next(SimCall::kSyncData, SimFault::kIoError);
    ASSERT_FALSE(write_records(*log, {put_record(revision, key, "void")}).is_ok());
    disk.clear_faults();
  }
  void heal() { go_on(end_here(false)); }

  uint64_t durable = 0;
};

// "a@1 b@2 | c@3 ": what the messages hold.
std::string text_of(const std::string& bytes) {
  std::string text;
  StreamParser parser;
  parser.feed(as_bytes(bytes));
  StreamMessage message;
  for (;;) {
    const Result<bool> found = parser.next(&message);
    if (!found.is_ok()) return found.status().text();
    if (!found.value()) return text;
    EXPECT_EQ(message.type, StreamMessageType::kFrame);
    EXPECT_EQ(message.epoch, 7u);
    EXPECT_EQ(message.time_ms, 0x1111u);
    if (!text.empty()) text += "| ";
    Bytes rest = message.body;
    while (!rest.empty()) {
      const auto record = decode_record(rest);
      if (!record.is_ok()) return record.status().text();
      const RecordView& view = record.value().view;
      text += std::string(as_text(view.key)) + "@" + std::to_string(view.revision) + " ";
      rest = rest.subspan(record.value().bytes);
    }
  }
}

// All that a feed gives now; or its error.
std::string read(LogFeed& feed, uint64_t durable, size_t bytes_max = kMany) {
  std::string bytes;
  for (;;) {
    const Result<bool> more = feed.step(durable, bytes_max, &bytes);
    if (!more.is_ok()) return code_name(more.status().code());
    if (!more.value()) return text_of(bytes);
  }
}

TEST(LogFeed, SendsTheFramesBehindAnyRevision) {
  Logs t;
  t.write(1, "a");
  ASSERT_TRUE(write_records(*t.log, {put_record(2, "b", "2"), put_record(3, "c", "3")}).is_ok());
  t.durable = 3;
  ASSERT_TRUE(write_mark(*t.log, kFrameIdle, 4).is_ok());
  t.write(4, "d");
  const char* expected[] = {"a@1 | b@2 c@3 | d@4 ", "b@2 c@3 | d@4 ", "b@2 c@3 | d@4 ", "d@4 ", ""};
  for (uint64_t from = 0; from <= 4; ++from) {
    LogFeed feed(*t.directory, from);
    EXPECT_EQ(read(feed, 4), expected[from]) << from;
    EXPECT_EQ(feed.revision(), 4u);
  }
}

TEST(LogFeed, SendsNothingThatIsNotDurable) {
  Logs t;
  t.write(1, "a");
  t.write(2, "b");
  t.write(3, "c");
  LogFeed feed(*t.directory, 0);
  EXPECT_EQ(read(feed, 0), "");
  EXPECT_EQ(read(feed, 1), "a@1 ");
  EXPECT_EQ(read(feed, 1), "");
  EXPECT_EQ(read(feed, 3), "b@2 | c@3 ");
}

TEST(LogFeed, FollowsALogThatIsBeingWritten) {
  Logs t;
  LogFeed feed(*t.directory, 0);
  for (uint64_t revision = 1; revision <= 200; ++revision) {
    const std::string key = "key" + std::to_string(revision);
    t.write(revision, key, std::string(revision * 7, 'v'));
    EXPECT_EQ(read(feed, revision), key + "@" + std::to_string(revision) + " ");
  }
}

TEST(LogFeed, SendsAboutAsMuchAsIsAskedFor) {
  Logs t;
  for (uint64_t revision = 1; revision <= 20; ++revision) {
    t.write(revision, "k", std::string(1000, 'v'));
  }
  LogFeed feed(*t.directory, 0);
  std::string bytes;
  ASSERT_TRUE(feed.step(20, 3000, &bytes).value());
  EXPECT_GE(bytes.size(), 3000u);
  EXPECT_LT(bytes.size(), 3000u + 1200);
  EXPECT_EQ(feed.revision(), 3u);
}

TEST(LogFeed, SendsAFrameLongerThanWhatItReadsAhead) {
  Logs t;
  t.write(1, "long", std::string(kMiB + 7, 'v'));
  t.write(2, "b");
  LogFeed feed(*t.directory, 0);
  std::string bytes;
  ASSERT_TRUE(feed.step(2, 10, &bytes).value());
  EXPECT_EQ(text_of(bytes), "long@1 ");
  EXPECT_EQ(read(feed, 2), "b@2 ");
}

TEST(LogFeed, GoesOnInTheNextLog) {
  Logs t;
  t.write(1, "a");
  t.switch_log();
  t.switch_log();
  t.write(2, "b");
  t.switch_log();
  LogFeed feed(*t.directory, 0);
  EXPECT_EQ(read(feed, 1), "a@1 ");
  EXPECT_EQ(read(feed, 2), "b@2 ");
  EXPECT_EQ(feed.generation(), 3u);  // nothing is left in those before
  t.write(3, "c");
  EXPECT_EQ(read(feed, 3), "c@3 ");
}

TEST(LogFeed, WaitsBetweenTheEndOfALogAndTheNextOne) {
  Logs t;
  t.write(1, "a");
  LogFeed feed(*t.directory, 0);
  EXPECT_EQ(read(feed, 1), "a@1 ");
  t.seal();
  EXPECT_EQ(read(feed, 1), "");
  ASSERT_TRUE(create_log(*t.directory, {log_test::uid_from(0x10), 1, 7, 2, 5}, t.options).is_ok());
  EXPECT_EQ(read(feed, 1), "");  // prepared, and not in use
  EXPECT_EQ(feed.generation(), 0u);
  t.go_on(t.end_here(true));
  t.write(2, "b");
  EXPECT_EQ(read(feed, 2), "b@2 ");
}

TEST(LogFeed, StartsInTheLogThatHoldsTheRevision) {
  Logs t;
  t.write(1, "a");
  t.write(2, "b");
  t.switch_log();
  t.write(3, "c");
  t.switch_log();
  t.write(4, "d");
  const uint64_t generations[] = {0, 0, 1, 2, 2};
  const char* first[] = {"a@1 ", "b@2 ", "c@3 ", "d@4 ", ""};
  for (uint64_t from = 0; from <= 4; ++from) {
    LogFeed feed(*t.directory, from);
    std::string bytes;
    ASSERT_TRUE(feed.step(4, 1, &bytes).is_ok());
    EXPECT_EQ(text_of(bytes), first[from]);
    EXPECT_EQ(feed.generation(), generations[from]);
  }
}

// Rule 6 of the log's format: what follows the frame that a HEAL names is void.
TEST(LogFeed, SendsNoFrameThatAHealMadeVoid) {
  Logs t;
  t.write(1, "a");
  LogFeed early(*t.directory, 0);
  EXPECT_EQ(read(early, 1), "a@1 ");
  t.fail_write(2, "void");
  EXPECT_EQ(read(early, 1), "");
  t.heal();
  t.write(2, "b");
  EXPECT_EQ(read(early, 2), "b@2 ");
  LogFeed late(*t.directory, 0);
  EXPECT_EQ(read(late, 2), "a@1 | b@2 ");
}

TEST(LogFeed, KnowsTheOldestRevisionThatItCanGoOnFrom) {
  Logs t;
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).value(), 0u);
  t.write(1, "a");
  t.write(2, "b");
  t.switch_log();
  t.write(3, "c");
  t.switch_log();
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).value(), 0u);
  t.disk.erase("logfile.1");
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).value(), 3u);
  t.disk.erase("logfile.0");
  t.disk.erase("logfile.2");
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).status().code(), Code::kNotFound);
}

// A log is made some time before it is in use.
TEST(LogFeed, TakesNoPreparedLogForTheOldest) {
  Logs t;
  t.write(1, "a");
  ASSERT_TRUE(create_log(*t.directory, {log_test::uid_from(0x10), 1, 7, 2, 5}, t.options).is_ok());
  t.write(2, "b");
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).value(), 0u);
  LogFeed feed(*t.directory, 1);
  EXPECT_EQ(read(feed, 2), "b@2 ");
  t.disk.erase("logfile.0");
  EXPECT_EQ(LogFeed::oldest_revision(*t.directory).status().code(), Code::kNotFound);
}

TEST(LogFeed, EndsWhereLogsWereRemoved) {
  Logs t;
  t.write(1, "a");
  t.switch_log();
  t.write(2, "b");
  t.switch_log();
  t.write(3, "c");
  LogFeed open(*t.directory, 0);
  std::string bytes;
  ASSERT_TRUE(open.step(3, 1, &bytes).is_ok());
  t.disk.erase("logfile.0");
  t.disk.erase("logfile.1");
  EXPECT_EQ(read(open, 3), "not-found");
  LogFeed late(*t.directory, 0);
  EXPECT_EQ(read(late, 3), "not-found");
  LogFeed enough(*t.directory, 2);
  EXPECT_EQ(read(enough, 3), "c@3 ");
}

TEST(LogFeed, RefusesADamagedFrameThatWasDurable) {
  Logs t;
  t.write(1, "a");
  const uint64_t offset = t.log->position().end_offset;
  t.write(2, "b");
  t.write(3, "c");
  t.disk.poke("logfile.0", offset + kFrameHeaderBytes + 3, as_bytes(std::string("x")));
  LogFeed feed(*t.directory, 0);
  std::string bytes;
  const Result<bool> more = feed.step(3, kMany, &bytes);
  ASSERT_FALSE(more.is_ok());
  EXPECT_EQ(more.status().code(), Code::kCorruption);
  EXPECT_EQ(text_of(bytes), "a@1 ");
}

// A START that could not be made durable: the file is made again under its name.
TEST(LogFeed, FindsALogThatWasExchangedBeforeItWasInUse) {
  Logs t;
  t.write(1, "a");
  t.seal();
  const LogEnd end = t.end_here(true);
  t.go_on(end);
  LogFeed feed(*t.directory, 0);
  EXPECT_EQ(read(feed, 1), "a@1 ");
  EXPECT_EQ(feed.generation(), 1u);
  t.go_on(end);
  t.write(2, "b");
  EXPECT_EQ(read(feed, 2), "b@2 ");
}

TEST(LogFeed, CountsTheBytesThatItIsBehind) {
  Logs t;
  t.write(1, "a");
  t.write(2, "b");
  LogFeed feed(*t.directory, 0);
  EXPECT_EQ(feed.bytes_behind(0, t.log->position().end_offset), 0u);
  ASSERT_EQ(read(feed, 1), "a@1 ");
  EXPECT_EQ(feed.bytes_behind(0, t.log->position().end_offset), 512u);
  t.switch_log();
  t.write(3, "c");
  EXPECT_EQ(feed.bytes_behind(1, t.log->position().end_offset),
            t.disk.contents("logfile.0").size() - 4608 + t.log->position().end_offset);
  ASSERT_EQ(read(feed, 3), "b@2 | c@3 ");
  EXPECT_EQ(feed.bytes_behind(1, t.log->position().end_offset), 0u);
}

}  // namespace
}  // namespace small_db
