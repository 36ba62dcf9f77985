#include "ngx_module/api/follower_request.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

const std::string kA(32, 'a');
const std::string kB(32, 'b');
const std::string kZeros(32, '0');

template <typename Read, typename Request>
std::string refusal(Read read, const std::string& args, Request* request) {
  Query query;
  if (parse_query(args, &query)) return "no query";
  const auto problem = read(query, request);
  if (!problem) return "";
  EXPECT_EQ(problem->status, 400);
  EXPECT_STREQ(problem->type, "urn:small-db:problem:invalid-query");
  return problem->detail;
}

TEST(FollowerRequest, ReadsAHello) {
  Hello hello;
  EXPECT_EQ(
      refusal(read_hello,
              "from=18446744073709551615&cluster=" + kA + "&node=" + kB + "&epoch=7&term=" + kZeros,
              &hello),
      "");
  EXPECT_EQ(hello.revision, UINT64_MAX);
  EXPECT_EQ(encode_uid(hello.cluster_id), kA);
  EXPECT_EQ(encode_uid(hello.node_id), kB);
  EXPECT_EQ(hello.epoch, 7u);
  EXPECT_EQ(hello.term_id, Uid{});
}

TEST(FollowerRequest, RefusesAHelloThatLacksSomethingOrIsMalformed) {
  const std::string parts[] = {"from=1", "cluster=" + kA, "node=" + kB, "epoch=7", "term=" + kA};
  const std::string bad[] = {"from=+1", "cluster=" + kA + "a", "node=" + kZeros,
                             "epoch=", "term=" + std::string(32, 'A')};
  for (size_t skipped = 0; skipped < std::size(parts); ++skipped) {
    const std::string name = "'" + parts[skipped].substr(0, parts[skipped].find('=')) + "'";
    for (const bool is_there : {false, true}) {
      std::string args;
      for (size_t i = 0; i < std::size(parts); ++i) {
        if (i == skipped && !is_there) continue;
        args += (args.empty() ? "" : "&") + (i == skipped ? bad[i] : parts[i]);
      }
      Hello hello;
      EXPECT_NE(refusal(read_hello, args, &hello).find(name), std::string::npos) << args;
    }
  }
}

TEST(FollowerRequest, ReadsAReport) {
  AckReport report;
  const std::string head = "cluster=" + kA + "&node=" + kB + "&epoch=7&";
  EXPECT_EQ(refusal(read_ack, head + "received=3&flushed=2&applied=1", &report), "");
  EXPECT_EQ(report.progress.received, 3u);
  EXPECT_EQ(report.progress.flushed, 2u);
  EXPECT_EQ(report.progress.applied, 1u);
  EXPECT_EQ(report.epoch, 7u);
  EXPECT_NE(refusal(read_ack, head + "received=3&flushed=4&applied=1", &report), "");
  EXPECT_NE(refusal(read_ack, head + "received=3&flushed=2&applied=3", &report), "");
  EXPECT_NE(refusal(read_ack, head + "received=3&flushed=2", &report), "");
  EXPECT_NE(refusal(read_ack, "node=" + kB + "&epoch=7&received=3&flushed=2&applied=1", &report),
            "");
  EXPECT_NE(refusal(read_ack,
                    "cluster=" + kA + "&node=" + kB +
                        "&epoch=1099511627777&received=3&flushed=2&applied=1",
                    &report),
            "");
}

AckReport report_of(uint64_t epoch) {
  AckReport report;
  report.epoch = epoch;
  return report;
}

TEST(FollowerRequest, AReportCountsInItsEpochAlone) {
  NodeIdentity node;
  node.epoch = 5;
  EXPECT_FALSE(ack_problem(node, report_of(5)));
  EXPECT_STREQ(ack_problem(node, report_of(6))->type, "urn:small-db:problem:fenced");
  EXPECT_STREQ(ack_problem(node, report_of(4))->type, "urn:small-db:problem:stale-epoch");
  node.role = Role::kFenced;
  EXPECT_STREQ(ack_problem(node, report_of(5))->type, "urn:small-db:problem:not-primary");
  node.role = Role::kBackup;
  EXPECT_STREQ(ack_problem(node, report_of(6))->type, "urn:small-db:problem:not-primary");
  EXPECT_EQ(ack_problem(node, report_of(6))->status, 409);
  AckReport foreign = report_of(6);
  foreign.cluster_id[0] = std::byte{1};
  EXPECT_STREQ(ack_problem(node, foreign)->type, "urn:small-db:problem:other-cluster");
}

TEST(FollowerRequest, EachVerdictHasItsAnswer) {
  const NodeIdentity node;
  Hello hello;
  hello.cluster_id = *parse_uid(kA);
  const struct {
    Verdict verdict;
    int status;
  } rows[] = {{Verdict::kBootstrap, 410},
              {Verdict::kDiverged, 409},
              {Verdict::kOtherCluster, 409},
              {Verdict::kFenced, 409},
              {Verdict::kNotPrimary, 409}};
  for (const auto& row : rows) {
    const Problem problem = verdict_problem({row.verdict, 3}, node, hello);
    EXPECT_EQ(problem.status, row.status);
    EXPECT_EQ(problem.type, std::string("urn:small-db:problem:") + verdict_name(row.verdict));
    EXPECT_NE(problem.detail, "");
  }
}

}  // namespace
}  // namespace small_db
