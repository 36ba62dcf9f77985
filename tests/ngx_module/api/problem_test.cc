#include "ngx_module/api/problem.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <set>
#include <string>

namespace small_db {
namespace {

std::string body_of(const Problem& problem) {
  std::string body(problem_body_bytes(problem), '#');
  EXPECT_EQ(write_problem_body(problem, body.data()), body.data() + body.size());
  return body;
}

TEST(Problem, WritesTheMembersOfRfc9457AndTheOneLineError) {
  const Problem problem = make_problem(ProblemKind::kInvalidKey, {"the \"key\" has ", 7, " bytes"});
  EXPECT_EQ(
      body_of(problem),
      R"({"type":"urn:small-db:problem:invalid-key","title":"Invalid key","status":400,)"
      R"("detail":"the \"key\" has 7 bytes","error":"Invalid key: the \"key\" has 7 bytes"})");
}

TEST(Problem, LeavesAnEmptyDetailOut) {
  EXPECT_EQ(body_of(make_problem(ProblemKind::kNotFound, {})),
            R"({"type":"urn:small-db:problem:not-found","title":"No such key","status":404,)"
            R"("error":"No such key"})");
}

TEST(Problem, MapsEachCodeToItsStatusAndType) {
  const struct {
    Code code;
    int status;
    const char* type;
    int retry_after;
  } rows[] = {
      {Code::kNotFound, 404, "not-found", 0},
      {Code::kInvalidArgument, 400, "invalid-argument", 0},
      {Code::kTooLarge, 413, "too-large", 0},
      {Code::kNoMemory, 507, "no-memory", 0},
      {Code::kNoDiskSpace, 507, "no-disk-space", 0},
      {Code::kOverloaded, 503, "overloaded", 1},
      {Code::kUnavailable, 503, "unavailable", 1},
      {Code::kReadOnly, 503, "read-only", 1},
      {Code::kOutcomeUnknown, 503, "outcome-unknown", 1},
      {Code::kNotPrimary, 403, "not-primary", 0},
      {Code::kNotReplicated, 503, "not-replicated", 1},
      {Code::kConditionFailed, 412, "condition-failed", 0},
      {Code::kCorruption, 500, "corruption", 0},
      {Code::kWrongFormat, 500, "internal", 0},
      {Code::kIoError, 500, "internal", 0},
      {Code::kInterrupted, 500, "internal", 0},
  };
  for (const auto& row : rows) {
    const Problem problem = problem_of(row.code, "why");
    EXPECT_EQ(problem.status, row.status) << row.type;
    EXPECT_EQ(problem.type, std::string("urn:small-db:problem:") + row.type);
    EXPECT_EQ(problem.retry_after_seconds, row.retry_after) << row.type;
    EXPECT_EQ(problem.detail, "why");
  }
}

TEST(Problem, TellsAFailedCheckpointFromAFailedWrite) {
  const struct {
    Code code;
    int status;
    const char* type;
  } rows[] = {
      {Code::kNoDiskSpace, 507, "no-disk-space"},
      {Code::kReadOnly, 503, "read-only"},
      {Code::kOverloaded, 503, "overloaded"},
      {Code::kOutcomeUnknown, 503, "outcome-unknown"},
      {Code::kIoError, 500, "checkpoint-failed"},
      {Code::kCorruption, 500, "checkpoint-failed"},
      {Code::kInterrupted, 500, "checkpoint-failed"},
  };
  for (const auto& row : rows) {
    const Problem problem = checkpoint_problem(row.code, "why");
    EXPECT_EQ(problem.status, row.status) << row.type;
    EXPECT_EQ(problem.type, std::string("urn:small-db:problem:") + row.type);
    EXPECT_EQ(problem.detail, "why");
    EXPECT_EQ(std::string(problem.title).find("write may"), std::string::npos) << problem.title;
  }
}

TEST(Problem, HasOneTypeForEachKind) {
  std::set<std::string> types;
  for (int kind = 0; kind <= static_cast<int>(ProblemKind::kNoDiskSpace); kind++) {
    const Problem problem = make_problem(static_cast<ProblemKind>(kind), {});
    EXPECT_TRUE(types.insert(problem.type).second) << problem.type;
    EXPECT_GE(problem.status, 400);
    EXPECT_EQ(nlohmann::json::parse(body_of(problem))["status"], problem.status);
  }
}

TEST(Problem, NamesTheAllowedMethods) {
  const Problem problem = method_not_allowed("P\x01ST", "GET, HEAD");
  EXPECT_EQ(problem.status, 405);
  EXPECT_STREQ(problem.allow, "GET, HEAD");
  EXPECT_EQ(problem.detail, "P\\x01ST is not among the methods of this resource: GET, HEAD");
}

TEST(Problem, NamesLimitAndSize) {
  const Problem problem = too_large("the value", 2000000, "max_value_size", 1048576);
  EXPECT_EQ(problem.status, 413);
  EXPECT_EQ(problem.detail, "the value has 2000000 bytes, the limit max_value_size is 1048576");
}

TEST(Problem, KeepsADetailOnOneLineAndValidUtf8) {
  const Problem problem =
      problem_of(Code::kUnavailable, "one\ntwo\xff\xc3\xa4\xe2\x82 three\x80\x01");
  EXPECT_EQ(problem.detail, "one?two?\xc3\xa4?? three??");
  EXPECT_EQ(nlohmann::json::parse(body_of(problem))["detail"], problem.detail);
}

TEST(QuotedInput, ShowsWhatIsNotPrintableAndCutsWhatIsLong) {
  EXPECT_EQ(QuotedInput("abc").text(), "abc");
  EXPECT_EQ(QuotedInput(std::string_view("a\0\xff\n", 4)).text(), "a\\x00\\xff\\x0a");
  EXPECT_EQ(QuotedInput(std::string(64, 'x')).text(), std::string(64, 'x'));
  EXPECT_EQ(QuotedInput(std::string(65, '\x80')).text().size(), 64 * 4 + 3u);
  EXPECT_EQ(QuotedInput(std::string(65, 'x')).text(), std::string(64, 'x') + "...");
}

TEST(DetailPiece, WritesTheWholeRangeOfNumbers) {
  EXPECT_EQ(DetailPiece(uint64_t{0}).text(), "0");
  EXPECT_EQ(DetailPiece(UINT64_MAX).text(), "18446744073709551615");
}

}  // namespace
}  // namespace small_db
