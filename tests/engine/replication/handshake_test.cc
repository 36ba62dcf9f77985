#include "engine/replication/handshake.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <string>

namespace small_db {
namespace {

using enum Verdict;

Uid uid_from(int first) {
  Uid uid{};
  for (std::byte& byte : uid) byte = static_cast<std::byte>(first++);
  return uid;
}

const Uid kNone{};
const Uid kHere = uid_from(0x10);
const Uid kElsewhere = uid_from(0x20);
const Uid kA = uid_from(0xa0);
const Uid kB = uid_from(0xb0);
const Uid kC = uid_from(0xc0);
const Uid kUnknown = uid_from(0xf0);

// A wrote 1 to 100, B 101 to 200, nobody in epoch 3, C from 201 on.
NodeIdentity reference_node() {
  NodeIdentity node;
  node.cluster_id = kHere;
  node.epoch = 4;
  node.terms = {{1, kA, 0}, {2, kB, 100}, {3, uid_from(0xe0), 200}, {4, kC, 200}};
  return node;
}

Hello hello_at(uint64_t revision, const Uid& term_id) {
  Hello hello;
  hello.cluster_id = kHere;
  hello.epoch = 4;
  hello.revision = revision;
  hello.term_id = term_id;
  return hello;
}

void expect_judgement(const Judgement& judgement, Verdict verdict, uint64_t common) {
  EXPECT_STREQ(verdict_name(judgement.verdict), verdict_name(verdict));
  EXPECT_EQ(judgement.common_revision, common);
}

enum Cluster { kSame, kBlank, kOther };
enum Holds { kShared, kTooOld, kForeign };
struct Row {
  Cluster cluster;
  Role role;
  bool heard_higher;
  Holds holds;
  Verdict verdict;
};
constexpr Row kRows[] = {
    // cluster  role            higher  holds     verdict
    {kSame, Role::kPrimary, false, kShared, kResume},
    {kSame, Role::kPrimary, false, kTooOld, kBootstrap},
    {kSame, Role::kPrimary, false, kForeign, kDiverged},
    {kSame, Role::kPrimary, true, kShared, kFenced},
    {kSame, Role::kPrimary, true, kTooOld, kFenced},
    {kSame, Role::kPrimary, true, kForeign, kFenced},
    {kSame, Role::kBackup, false, kShared, kNotPrimary},
    {kSame, Role::kBackup, false, kTooOld, kNotPrimary},
    {kSame, Role::kBackup, false, kForeign, kNotPrimary},
    {kSame, Role::kBackup, true, kShared, kNotPrimary},
    {kSame, Role::kBackup, true, kTooOld, kNotPrimary},
    {kSame, Role::kBackup, true, kForeign, kNotPrimary},
    {kSame, Role::kFenced, false, kShared, kNotPrimary},
    {kSame, Role::kFenced, false, kTooOld, kNotPrimary},
    {kSame, Role::kFenced, false, kForeign, kNotPrimary},
    {kSame, Role::kFenced, true, kShared, kNotPrimary},
    {kSame, Role::kFenced, true, kTooOld, kNotPrimary},
    {kSame, Role::kFenced, true, kForeign, kNotPrimary},
    {kBlank, Role::kPrimary, false, kShared, kBootstrap},
    {kBlank, Role::kPrimary, false, kTooOld, kBootstrap},
    {kBlank, Role::kPrimary, false, kForeign, kBootstrap},
    {kBlank, Role::kPrimary, true, kShared, kFenced},
    {kBlank, Role::kPrimary, true, kTooOld, kFenced},
    {kBlank, Role::kPrimary, true, kForeign, kFenced},
    {kBlank, Role::kBackup, false, kShared, kNotPrimary},
    {kBlank, Role::kBackup, false, kTooOld, kNotPrimary},
    {kBlank, Role::kBackup, false, kForeign, kNotPrimary},
    {kBlank, Role::kBackup, true, kShared, kNotPrimary},
    {kBlank, Role::kBackup, true, kTooOld, kNotPrimary},
    {kBlank, Role::kBackup, true, kForeign, kNotPrimary},
    {kBlank, Role::kFenced, false, kShared, kNotPrimary},
    {kBlank, Role::kFenced, false, kTooOld, kNotPrimary},
    {kBlank, Role::kFenced, false, kForeign, kNotPrimary},
    {kBlank, Role::kFenced, true, kShared, kNotPrimary},
    {kBlank, Role::kFenced, true, kTooOld, kNotPrimary},
    {kBlank, Role::kFenced, true, kForeign, kNotPrimary},
    {kOther, Role::kPrimary, false, kShared, kOtherCluster},
    {kOther, Role::kPrimary, false, kTooOld, kOtherCluster},
    {kOther, Role::kPrimary, false, kForeign, kOtherCluster},
    {kOther, Role::kPrimary, true, kShared, kOtherCluster},
    {kOther, Role::kPrimary, true, kTooOld, kOtherCluster},
    {kOther, Role::kPrimary, true, kForeign, kOtherCluster},
    {kOther, Role::kBackup, false, kShared, kOtherCluster},
    {kOther, Role::kBackup, false, kTooOld, kOtherCluster},
    {kOther, Role::kBackup, false, kForeign, kOtherCluster},
    {kOther, Role::kBackup, true, kShared, kOtherCluster},
    {kOther, Role::kBackup, true, kTooOld, kOtherCluster},
    {kOther, Role::kBackup, true, kForeign, kOtherCluster},
    {kOther, Role::kFenced, false, kShared, kOtherCluster},
    {kOther, Role::kFenced, false, kTooOld, kOtherCluster},
    {kOther, Role::kFenced, false, kForeign, kOtherCluster},
    {kOther, Role::kFenced, true, kShared, kOtherCluster},
    {kOther, Role::kFenced, true, kTooOld, kOtherCluster},
    {kOther, Role::kFenced, true, kForeign, kOtherCluster},
};

TEST(Handshake, TheFirstOfClusterRoleEpochAndRevisionDecides) {
  int combinations = 0;
  for (const Cluster cluster : {kSame, kBlank, kOther}) {
    for (const Role role : {Role::kPrimary, Role::kBackup, Role::kFenced}) {
      for (const bool heard_higher : {false, true}) {
        for (const Holds holds : {kShared, kTooOld, kForeign}) {
          const Row& row = kRows[combinations++];
          ASSERT_TRUE(row.cluster == cluster && row.role == role &&
                      row.heard_higher == heard_higher && row.holds == holds);
          NodeIdentity node = reference_node();
          node.role = role;
          Hello hello = holds == kShared   ? hello_at(210, kC)
                        : holds == kTooOld ? hello_at(110, kB)
                                           : hello_at(210, kUnknown);
          hello.cluster_id = cluster == kSame ? kHere : cluster == kBlank ? kNone : kElsewhere;
          hello.epoch = heard_higher ? 5 : 4;
          expect_judgement(judge(node, 300, 150, hello), row.verdict, 0);
        }
      }
    }
  }
  EXPECT_EQ(combinations, 54);
  EXPECT_EQ(std::size(kRows), 54u);
}

TEST(Handshake, TheWriterOfTheLastRevisionTellsWhatIsShared) {
  struct Row {
    uint64_t revision;
    Uid term_id;
    Verdict verdict;
    uint64_t common;
  };
  const Row rows[] = {
      // Nothing is held.
      {0, kNone, kResume, 0},
      {0, kA, kDiverged, 0},  // contradicts itself
      {0, kUnknown, kDiverged, 0},
      // Of A's time.
      {1, kA, kResume, 0},
      {100, kA, kResume, 0},
      {100, kB, kDiverged, 0},  // B's time began here: contradicts itself
      {100, kC, kDiverged, 0},
      {100, kNone, kDiverged, 0},
      {100, kUnknown, kDiverged, 0},
      // A did not know that its time was over.
      {101, kA, kDiverged, 100},
      {150, kA, kDiverged, 100},
      {300, kA, kDiverged, 100},
      {900, kA, kDiverged, 100},
      // Of B's time.
      {101, kB, kResume, 0},
      {200, kB, kResume, 0},
      {200, kC, kDiverged, 0},
      {150, kUnknown, kDiverged, 0},
      {201, kB, kDiverged, 200},
      {900, kB, kDiverged, 200},
      // Epoch 3 wrote nothing here.
      {200, uid_from(0xe0), kDiverged, 0},
      {201, uid_from(0xe0), kDiverged, 200},
      // Of C's time, which goes on.
      {201, kC, kResume, 0},
      {300, kC, kResume, 0},
      {301, kC, kDiverged, 300},  // more than is durable here
      {UINT64_MAX, kC, kDiverged, 300},
      {250, kNone, kDiverged, 0},
      {250, kUnknown, kDiverged, 0},
  };
  for (const Row& row : rows) {
    SCOPED_TRACE(std::to_string(row.revision) + " " + encode_uid(row.term_id));
    expect_judgement(judge(reference_node(), 300, 0, hello_at(row.revision, row.term_id)),
                     row.verdict, row.common);
  }
}

TEST(Handshake, NothingIsCommonThatIsNotDurableHere) {
  // Restored from an older copy: even what A wrote is not all there.
  NodeIdentity node = reference_node();
  expect_judgement(judge(node, 50, 0, hello_at(150, kA)), kDiverged, 50);
  expect_judgement(judge(node, 50, 0, hello_at(60, kA)), kDiverged, 50);
  expect_judgement(judge(node, 50, 0, hello_at(150, kB)), kDiverged, 50);
}

TEST(Handshake, TheLogMustGoOnFromTheRevisionThatIsHeld) {
  const NodeIdentity node = reference_node();
  expect_judgement(judge(node, 300, 0, hello_at(0, kNone)), kResume, 0);
  expect_judgement(judge(node, 300, 1, hello_at(0, kNone)), kBootstrap, 0);
  expect_judgement(judge(node, 300, 150, hello_at(149, kB)), kBootstrap, 0);
  expect_judgement(judge(node, 300, 150, hello_at(150, kB)), kResume, 0);
  expect_judgement(judge(node, 300, 300, hello_at(300, kC)), kResume, 0);
  // Divergence is told first: what is held alone is saved before it is replaced.
  expect_judgement(judge(node, 300, 150, hello_at(120, kA)), kDiverged, 100);
}

TEST(Handshake, OfWhatIsOlderThanTheListNothingIsKnown) {
  NodeIdentity node = reference_node();
  node.terms.erase(node.terms.begin());  // A's: the list begins behind 100
  expect_judgement(judge(node, 300, 0, hello_at(0, kNone)), kResume, 0);
  expect_judgement(judge(node, 300, 0, hello_at(100, kA)), kDiverged, 100);
  expect_judgement(judge(node, 300, 0, hello_at(40, kUnknown)), kDiverged, 40);
  expect_judgement(judge(node, 300, 0, hello_at(40, kNone)), kDiverged, 40);
  expect_judgement(judge(node, 300, 0, hello_at(101, kA)), kDiverged, 0);
  expect_judgement(judge(node, 300, 0, hello_at(101, kB)), kResume, 0);
  node.terms.clear();
  expect_judgement(judge(node, 300, 0, hello_at(40, kA)), kDiverged, 0);
  expect_judgement(judge(node, 300, 0, hello_at(40, kNone)), kDiverged, 0);
}

TEST(Handshake, ALowerOrEqualEpochFencesNobody) {
  Hello hello = hello_at(210, kC);
  for (const uint64_t epoch : {0, 3, 4}) {
    hello.epoch = epoch;
    expect_judgement(judge(reference_node(), 300, 0, hello), kResume, 0);
  }
}

TEST(Handshake, VerdictsHaveTheNamesOfProblemTypes) {
  EXPECT_STREQ(verdict_name(kResume), "resume");
  EXPECT_STREQ(verdict_name(kBootstrap), "bootstrap-needed");
  EXPECT_STREQ(verdict_name(kDiverged), "diverged");
  EXPECT_STREQ(verdict_name(kOtherCluster), "other-cluster");
  EXPECT_STREQ(verdict_name(kFenced), "fenced");
  EXPECT_STREQ(verdict_name(kNotPrimary), "not-primary");
}

// Two nodes that were one until some promotion, as the writer of each of their revisions.
class TwoHistories {
 public:
  explicit TwoHistories(uint64_t seed) : random_(seed) {
    std::vector<Term> shared;
    extend(below(4), &shared);
    here_ = there_ = shared;
    extend(below(3) + (shared.empty() ? 1 : 0), &here_);
    extend(below(3) + (shared.empty() ? 1 : 0), &there_);
    here_revision_ = here_.back().after_revision + below(4);
    there_revision_ = there_.back().after_revision + below(4);
  }

  void check() const {
    NodeIdentity node;
    node.cluster_id = kHere;
    node.epoch = UINT64_MAX;
    node.terms = here_;
    for (uint64_t revision = 0; revision <= there_revision_; ++revision) {
      const Uid writer = writer_of(there_, revision);
      const Judgement judgement = judge(node, here_revision_, 0, hello_at(revision, writer));
      const uint64_t common = common_up_to(revision);
      ASSERT_EQ(judgement.verdict == kResume, common == revision) << revision;
      if (judgement.verdict == kResume) continue;
      ASSERT_EQ(judgement.verdict, kDiverged);
      // Never too high: what lies above is what is saved. Exact when both know the writer.
      ASSERT_LE(judgement.common_revision, common) << revision;
      const bool known = std::any_of(here_.begin(), here_.end(),
                                     [&](const Term& term) { return term.id == writer; });
      if (known) {
        ASSERT_EQ(judgement.common_revision, common) << revision;
      }
    }
  }

 private:
  uint64_t below(uint64_t end) { return random_() % end; }

  void extend(uint64_t count, std::vector<Term>* terms) {
    for (uint64_t i = 0; i < count; ++i) {
      Uid id{};
      store<uint64_t>(id.data(), ++ids_);
      const Term last = terms->empty() ? Term{0, {}, 0} : terms->back();
      const uint64_t written = terms->empty() ? 0 : below(4);  // sometimes nothing
      terms->push_back({last.epoch + 1 + below(2), id, last.after_revision + written});
    }
  }

  // Without term_of: revision by revision, each term takes over what lies behind it.
  static Uid writer_of(const std::vector<Term>& terms, uint64_t revision) {
    Uid writer{};
    for (const Term& term : terms) {
      if (revision > term.after_revision) writer = term.id;
    }
    return writer;
  }

  // Up to which revision, `revision` at most, both nodes have the same writers.
  uint64_t common_up_to(uint64_t revision) const {
    uint64_t common = 0;
    while (common < revision && common < here_revision_ &&
           writer_of(here_, common + 1) == writer_of(there_, common + 1)) {
      ++common;
    }
    return common;
  }

  std::mt19937_64 random_;
  uint64_t ids_ = 0;
  std::vector<Term> here_, there_;
  uint64_t here_revision_ = 0, there_revision_ = 0;
};

TEST(Handshake, TheLogGoesOnExactlyWhereTheWritersAreTheSame) {
  for (uint64_t seed = 0; seed < 20000; ++seed) {
    SCOPED_TRACE(seed);
    ASSERT_NO_FATAL_FAILURE(TwoHistories(seed).check());
  }
}

}  // namespace
}  // namespace small_db
