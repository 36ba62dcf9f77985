#include "engine/replication/history.h"

#include <gtest/gtest.h>

#include "engine/base/crc32c.h"
#include "tests/sim/sim_fs.h"

namespace small_db {
namespace {

Uid uid_from(int first) {
  Uid uid{};
  for (std::byte& byte : uid) byte = static_cast<std::byte>(first++);
  return uid;
}

constexpr char kA0[] = "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf";
constexpr char kB0[] = "b0b1b2b3b4b5b6b7b8b9babbbcbdbebf";

NodeHistory reference_history() {
  NodeHistory history;
  history.node_id = uid_from(0x10);
  history.terms = {{1, uid_from(0xa0), 0}, {4, uid_from(0xb0), 1200}};
  history.heard_epoch = 5;
  history.set_aside = "https://db-1:8080/a b%\xc3\xa4";
  return history;
}

std::string encoded(const NodeHistory& history) {
  const Result<std::string> text = encode_history(history);
  EXPECT_TRUE(text.is_ok()) << text.status().text();
  return text.is_ok() ? text.value() : std::string();
}

// The text with the crc line that it asks for.
std::string with_crc(const std::string& text) {
  char line[16];
  std::snprintf(line, sizeof(line), "crc %08x\n", crc32c(as_bytes(text)));
  return text + line;
}

NodeHistory with_terms(size_t terms, uint64_t first_epoch, uint64_t first_revision) {
  NodeHistory history = reference_history();
  history.terms.clear();
  for (size_t at = 0; at < terms; ++at) {
    history.terms.push_back({first_epoch + at, uid_from(0xa0), first_revision + at});
  }
  return history;
}

TEST(NodeHistory, HasItsGoldenText) {
  EXPECT_EQ(encoded(reference_history()),
            "small-db history 1\n"
            "node 101112131415161718191a1b1c1d1e1f\n"
            "term 1 a0a1a2a3a4a5a6a7a8a9aaabacadaeaf 0\n"
            "term 4 b0b1b2b3b4b5b6b7b8b9babbbcbdbebf 1200\n"
            "heard 5\n"
            "set-aside https://db-1:8080/a%20b%25%C3%A4\n"
            "crc 4fc8b0a8\n");
}

TEST(NodeHistory, LeavesOutWhatThereIsNot) {
  NodeHistory history;
  history.node_id = uid_from(0x10);
  EXPECT_EQ(encoded(history),
            with_crc("small-db history 1\nnode 101112131415161718191a1b1c1d1e1f\n"));
  EXPECT_EQ(parse_history(encoded(history)), history);
}

TEST(NodeHistory, ReadsBackAsItWasWritten) {
  EXPECT_EQ(parse_history(encoded(reference_history())), reference_history());
}

TEST(NodeHistory, EachBitOfTheTextMatters) {
  const std::string good = encoded(reference_history());
  for (size_t at = 0; at < good.size(); ++at) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string bad = good;
      bad[at] = static_cast<char>(bad[at] ^ (1 << bit));
      EXPECT_FALSE(parse_history(bad)) << at;
    }
  }
}

TEST(NodeHistory, IsNothingWhenCutShortOrContinued) {
  const std::string good = encoded(reference_history());
  for (size_t bytes = 0; bytes < good.size(); ++bytes) {
    EXPECT_FALSE(parse_history(std::string_view(good).substr(0, bytes))) << bytes;
  }
  EXPECT_FALSE(parse_history(good + "\n"));
  EXPECT_FALSE(parse_history(good + good));
}

TEST(NodeHistory, TextWithTheRightChecksumMustStillBeWhatIsWritten) {
  const std::string title = "small-db history 1\n";
  const std::string node = "node 101112131415161718191a1b1c1d1e1f\n";
  const std::string head = title + node;
  const std::string a = std::string("term 1 ") + kA0 + " 5\n";
  const std::string b = std::string("term 2 ") + kB0 + " 5\n";
  for (const std::string& good : {head, head + a, head + a + b, head + "heard 1\n",
                                  head + b + "heard 18446744073709551615\nset-aside x\n"}) {
    EXPECT_TRUE(parse_history(with_crc(good))) << good;
  }
  const std::string bad[] = {
      "",
      title,
      "small-db history 2\n" + node,
      "small-db history 1\r\n" + node,
      node + title,
      title + "node 101112131415161718191A1b1c1d1e1f\n",
      title + "node 101112131415161718191a1b1c1d1e1\n",
      title + "node 101112131415161718191a1b1c1d1e1f0\n",
      title + "node  101112131415161718191a1b1c1d1e1f\n",
      head + node,
      head + b + a,                                          // epochs descend
      head + a + a,                                          // and stand still
      head + a + "term 2 " + kB0 + " 4\n",                   // revisions descend
      head + "term 0 " + kA0 + " 5\n",                       // no epoch
      head + "term 1 00000000000000000000000000000000 5\n",  // no id
      head + "term 01 " + kA0 + " 5\n",                      // leading zeros
      head + "term 1 " + kA0 + " 05\n",                      //
      head + "term +1 " + kA0 + " 5\n",                      // signs
      head + "term 1 " + kA0 + " -5\n",                      //
      head + "term 18446744073709551616 " + kA0 + " 5\n",    // too high
      head + "term 1 " + kA0 + " 18446744073709551616\n",    //
      head + "term 1 " + kA0 + "\n",                         // a field too few
      head + "term 1 " + kA0 + " 5 6\n",                     // and one too many
      head + "term 1 " + kA0 + " \n",                        //
      head + "term 1 " + kA0 + " 5 \n",                      // spaces
      head + " " + a,                                        //
      head + "\n" + a,                                       // lines without a meaning
      head + "terms\n",                                      //
      head + "heard 0\n",                                    //
      head + "heard 07\n",                                   //
      head + "heard 7\nheard 8\n",                           //
      head + "heard 7\n" + a,                                // out of order
      head + "set-aside x\nheard 7\n",                       //
      head + "set-aside x\nset-aside x\n",                   //
      head + "set-aside \n",                                 // no name
      head + "set-aside a b\n",                              // not encoded
      head + "set-aside \xc3\xa4\n",                         //
      head + "set-aside %c3%a4\n",                           // not as it is encoded
      head + "set-aside %41\n",                              // encoded without need
      head + "set-aside %4\n",                               // cut short
      head + "set-aside %\n",                                //
      head + "set-aside x",                                  // no end of line
      head + "heard 7",                                      //
      head + "term 1 " + kA0 + " 5",                         //
      head + "set-aside " + std::string(kSetAsideBytesMax + 1, 'x') + "\n",
  };
  for (const std::string& text : bad) EXPECT_FALSE(parse_history(with_crc(text))) << text;
}

TEST(NodeHistory, ANameMayHoldAnyBytes) {
  NodeHistory history = reference_history();
  history.set_aside.clear();
  for (int byte = 0; byte < 256; ++byte) history.set_aside += static_cast<char>(byte);
  const std::string text = encoded(history);
  for (const char c : text) EXPECT_TRUE(c == '\n' || (c >= ' ' && c <= '~'));
  EXPECT_EQ(parse_history(text), history);
}

TEST(NodeHistory, KeepsTheNewestThousandTerms) {
  const NodeHistory history = with_terms(1003, 1, 0);
  const std::optional<NodeHistory> read = parse_history(encoded(history));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->terms, std::vector<Term>(history.terms.begin() + 3, history.terms.end()));
  EXPECT_EQ(read->set_aside, history.set_aside);
}

TEST(NodeHistory, KeepsAsManyLongTermsAsFitWithTheLongestName) {
  NodeHistory history = with_terms(1000, UINT64_MAX - 2000, UINT64_MAX - 2000);
  history.heard_epoch = UINT64_MAX;
  history.set_aside = std::string(kSetAsideBytesMax, '%');
  const std::string text = encoded(history);
  EXPECT_LE(text.size(), kHistoryBytesMax);
  EXPECT_GT(text.size() + 81, kHistoryBytesMax);  // there is no room for another line
  const std::optional<NodeHistory> read = parse_history(text);
  ASSERT_TRUE(read);
  EXPECT_GT(read->terms.size(), 500u);
  EXPECT_EQ(read->terms.back(), history.terms.back());
  EXPECT_EQ(read->set_aside, history.set_aside);
}

TEST(NodeHistory, TooManyTermsOrBytesAreNothing) {
  std::string text = "small-db history 1\nnode 101112131415161718191a1b1c1d1e1f\n";
  for (int epoch = 1; epoch <= 1000; ++epoch) {
    text += "term " + std::to_string(epoch) + " " + kA0 + " 0\n";
  }
  EXPECT_TRUE(parse_history(with_crc(text)));
  EXPECT_FALSE(parse_history(with_crc(text + "term 1001 " + kA0 + " 0\n")));

  std::string longer = "small-db history 1\nnode 101112131415161718191a1b1c1d1e1f\n";
  for (uint64_t at = 0; longer.size() < kHistoryBytesMax; ++at) {
    longer += "term " + std::to_string(UINT64_MAX - 1000 + at) + " " + kA0 + " " +
              std::to_string(UINT64_MAX - 1000 + at) + "\n";
  }
  EXPECT_FALSE(parse_history(with_crc(longer)));
}

TEST(NodeHistory, ATermOwnsTheRevisionsBehindItsOwnUpToThoseOfTheNext) {
  NodeHistory history;
  EXPECT_EQ(history.term_of(0), nullptr);
  EXPECT_EQ(history.term_of(1), nullptr);
  // Nothing was written in epoch 3.
  history.terms = {{2, uid_from(1), 10}, {3, uid_from(2), 20}, {4, uid_from(3), 20}};
  const auto epoch_of = [&](uint64_t revision) {
    const Term* term = history.term_of(revision);
    return term == nullptr ? 0 : term->epoch;
  };
  EXPECT_EQ(epoch_of(0), 0u);
  EXPECT_EQ(epoch_of(10), 0u);
  EXPECT_EQ(epoch_of(11), 2u);
  EXPECT_EQ(epoch_of(20), 2u);
  EXPECT_EQ(epoch_of(21), 4u);
  EXPECT_EQ(epoch_of(UINT64_MAX), 4u);
  EXPECT_EQ(history.epoch(), 4u);
}

TEST(Terms, AreOneLineOfText) {
  const std::vector<Term> terms = reference_history().terms;
  const std::string text = std::string("1:") + kA0 + ":0,4:" + kB0 + ":1200";
  EXPECT_EQ(encode_terms(terms), text);
  EXPECT_EQ(parse_terms(text), terms);
  EXPECT_EQ(encode_terms(terms, 1), std::string("4:") + kB0 + ":1200");
  EXPECT_EQ(encode_terms(terms, 0), "");
  EXPECT_EQ(encode_terms({}), "");
  EXPECT_EQ(parse_terms(""), std::vector<Term>());
}

TEST(Terms, OtherTextIsNothing) {
  const std::string a = std::string("1:") + kA0 + ":5";
  const std::string b = std::string("2:") + kB0 + ":5";
  EXPECT_TRUE(parse_terms(a + "," + b));
  for (const std::string& bad :
       {a + ",", "," + a, a + ",," + b, a + ", " + b, b + "," + a, a + "," + a, a + ":", a + "\n",
        a + ";" + b, "0" + a, std::string("1:") + kA0, std::string("1:") + kA0 + ":",
        std::string("1::5"), std::string(":") + kA0 + ":5", a + "," + "2:" + kB0 + ":4",
        std::string("1:A0a1a2a3a4a5a6a7a8a9aaabacadaeaf:5"), std::string(",")}) {
    EXPECT_FALSE(parse_terms(bad)) << bad;
  }
}

TEST(Uid, IsThirtyTwoLowerCaseDigits) {
  EXPECT_EQ(encode_uid(uid_from(0xa0)), kA0);
  EXPECT_EQ(parse_uid(kA0), uid_from(0xa0));
  EXPECT_EQ(parse_uid(encode_uid(Uid{})), Uid{});
  for (const char* bad :
       {"", "a0a1a2a3a4a5a6a7a8a9aaabacadaea", "a0a1a2a3a4a5a6a7a8a9aaabacadaeaf0",
        "A0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "g0a1a2a3a4a5a6a7a8a9aaabacadaeaf",
        " 0a1a2a3a4a5a6a7a8a9aaabacadaeaf", "0xa1a2a3a4a5a6a7a8a9aaabacadaeaf"}) {
    EXPECT_FALSE(parse_uid(bad)) << bad;
  }
}

TEST(HistoryFile, IsReplacedInFiveSteps) {
  SimDisk disk;
  auto directory = disk.mount();
  ASSERT_TRUE(write_history(*directory, reference_history()).is_ok());
  EXPECT_EQ(disk.calls(), (std::vector<SimCall>{SimCall::kOpen, SimCall::kWrite, SimCall::kSyncData,
                                                SimCall::kRename, SimCall::kSyncDirectory}));
  disk.crash(1, SimCrashPolicy::lose_all());
  EXPECT_EQ(disk.names(), std::vector<std::string>{"history"});
  EXPECT_EQ(disk.contents("history"), encoded(reference_history()));
  auto after = disk.mount();
  const Result<NodeHistory> read = read_history(*after);
  ASSERT_TRUE(read.is_ok());
  EXPECT_EQ(read.value(), reference_history());
}

TEST(HistoryFile, ACrashLeavesTheOldOneOrTheNewOne) {
  const NodeHistory before = with_terms(2, 1, 0);
  const NodeHistory after = with_terms(3, 1, 0);
  for (uint64_t at = 0; at < 6; ++at) {
    for (uint64_t variant = 0; variant < 100; ++variant) {
      SimDisk disk;
      Status status;
      {
        auto directory = disk.mount();
        ASSERT_TRUE(write_history(*directory, before).is_ok());
        disk.crash_at(disk.operations() + at);
        status = write_history(*directory, after);
      }
      disk.crash(variant);
      auto directory = disk.mount();
      const Result<NodeHistory> read = read_history(*directory);
      ASSERT_TRUE(read.is_ok()) << at << " " << variant;
      EXPECT_EQ(status.is_ok(), at == 5);
      EXPECT_TRUE(read.value() == after || (read.value() == before && !status.is_ok()))
          << at << " " << variant;
    }
  }
}

TEST(HistoryFile, EachFailingCallIsTold) {
  for (const SimCall call : {SimCall::kOpen, SimCall::kWrite, SimCall::kSyncData, SimCall::kRename,
                             SimCall::kSyncDirectory}) {
    SimDisk disk;
    auto directory = disk.mount();
    disk.fail_next(call, SimFault::kIoError);
    EXPECT_EQ(write_history(*directory, reference_history()).code(), Code::kIoError);
  }
}

TEST(HistoryFile, WhatIsNoHistoryIsNotWritten) {
  NodeHistory descending = reference_history();
  std::swap(descending.terms[0], descending.terms[1]);
  NodeHistory unnamed = reference_history();
  unnamed.terms[1].id = Uid{};
  NodeHistory early = reference_history();
  early.terms[0].epoch = 0;
  NodeHistory long_name = reference_history();
  long_name.set_aside = std::string(kSetAsideBytesMax + 1, 'x');
  for (const NodeHistory& bad : {descending, unnamed, early, long_name}) {
    SimDisk disk;
    auto directory = disk.mount();
    EXPECT_EQ(write_history(*directory, bad).code(), Code::kInvalidArgument);
    EXPECT_TRUE(disk.names().empty());
  }
}

TEST(HistoryFile, IsToldApartFromNoneAndFromADamagedOne) {
  SimDisk disk;
  auto directory = disk.mount();
  EXPECT_EQ(read_history(*directory).status().code(), Code::kNotFound);
  disk.set_contents("history", as_bytes("small-db"));
  EXPECT_EQ(read_history(*directory).status().code(), Code::kCorruption);
  disk.set_contents("history", as_bytes(std::string(kHistoryBytesMax + 1, 'x')));
  EXPECT_EQ(read_history(*directory).status().code(), Code::kCorruption);
  disk.set_contents("history", as_bytes(encoded(reference_history())));
  disk.fail_next(SimCall::kRead, SimFault::kIoError);
  EXPECT_EQ(read_history(*directory).status().code(), Code::kIoError);
}

}  // namespace
}  // namespace small_db
