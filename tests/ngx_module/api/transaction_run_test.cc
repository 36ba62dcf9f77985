#include "ngx_module/api/transaction_run.h"

#include <nlohmann/json.hpp>

#include "tests/engine/table/table_test_support.h"

namespace small_db {
namespace {

using Json = nlohmann::json;

constexpr uint64_t kNow = 1'700'000'000'000;

class TransactionRuns : public TableTest {
 protected:
  void put_expiring(const std::string& key, const std::string& value, uint64_t expires_at_ms) {
    RecordView view = put_view(key, value, revision_ + 1);
    view.expires_at_ms = expires_at_ms;
    ASSERT_OK(table_.put(view));
    ++revision_;
  }

  // Parses and runs; the write set's guards and operations as text.
  void run(std::string_view body) {
    TransactionParser parser(body, {64, 1 << 20, kNow});
    while (parser.step()) {
    }
    ASSERT_FALSE(parser.problem()) << parser.problem()->detail;
    transaction_ = std::move(parser.transaction());
    run_.emplace(transaction_);
    run_->restart();
    const Snapshot state = snapshot();
    while (run_->step(state, kNow)) {
    }
  }

  std::string set_text() {
    if (run_->is_read_only()) return "nothing";
    static const char* const kKinds[] = {"", "present", "absent", "in", "not in"};
    WriteSetReader reader(run_->set());
    EXPECT_TRUE(reader.begin().is_ok());
    std::string text;
    for (uint32_t i = 0; i < reader.guards(); i++) {
      const GuardView guard = reader.next_guard().value();
      text += std::string(as_text(guard.key)) + " " + kKinds[static_cast<int>(guard.kind)];
      for (size_t at = 0; at < guard.revisions.size(); at += sizeof(uint64_t)) {
        text += " " + std::to_string(load<uint64_t>(guard.revisions.data() + at));
      }
      text += "; ";
    }
    for (uint32_t i = 0; i < reader.operations(); i++) {
      const RecordView record = reader.next_operation().value().record;
      text += record.type == RecordType::kPut ? "put " : "delete ";
      text += std::string(as_text(record.key)) + "; ";
    }
    EXPECT_TRUE(reader.end().is_ok());
    return text;
  }

  Json results() { return Json::parse(run_->answer(99))["results"]; }
  bool succeeded() { return Json::parse(run_->answer(99))["succeeded"]; }

  Transaction transaction_;
  std::optional<TransactionRun> run_;
};

class TransactionRunsOnThreeKeys : public TransactionRuns {
 protected:
  void SetUp() override {
    begin();
    ASSERT_OK(put("a", "value of a"));
    ASSERT_OK(put("b", std::string(100'000, 'b')));
    put_expiring("gone", "x", kNow);
    put_expiring("soon", "x", kNow + 1);
    commit();
  }
};

TEST_F(TransactionRunsOnThreeKeys, GuardWhatTheComparisonsFound) {
  const struct {
    const char* comparison;
    bool holds;
    const char* guard;
  } cases[] = {
      {R"({"key":"a","exists":true})", true, "a present; "},
      {R"({"key":"a","exists":false})", false, "a present; "},
      {R"({"key":"x","exists":false})", true, "x absent; "},
      {R"({"key":"gone","exists":false})", true, "gone absent; "},
      {R"({"key":"soon","exists":true})", true, "soon present; "},
      {R"({"key":"a","revision":1})", true, "a in 1; "},
      {R"({"key":"a","revision":2})", false, "a not in 2; "},
      {R"({"key":"x","revision":2})", false, "x not in 2; "},
      {R"({"key":"x","revision":0})", true, "x absent; "},
      {R"({"key":"a","revision":0})", false, "a present; "},
      {R"({"key":"gone","revision":3})", false, "gone not in 3; "},
      {R"({"key":"a","value":"value of a","encoding":"text"})", true, "a in 1; "},
      {R"({"key":"a","value":"value of b","encoding":"text"})", false, "a in 1; "},
      {R"({"key":"x","value":""})", false, "x absent; "},
  };
  for (const auto& row : cases) {
    run(R"({"if":[)" + std::string(row.comparison) +
        R"(],"then":[{"op":"put","key":"t","value":""}],"else":[{"op":"put","key":"e","value":""}]})");
    EXPECT_EQ(succeeded(), row.holds) << row.comparison;
    EXPECT_EQ(set_text(), std::string(row.guard) + (row.holds ? "put t; " : "put e; "))
        << row.comparison;
  }
}

TEST_F(TransactionRunsOnThreeKeys, CompareLongValuesPieceByPiece) {
  std::string value(100'000, 'b');
  run(R"({"if":[{"key":"b","encoding":"text","value":")" + value + "\"}]}");
  EXPECT_TRUE(succeeded());
  value.back() = 'c';
  run(R"({"if":[{"key":"b","encoding":"text","value":")" + value + "\"}]}");
  EXPECT_FALSE(succeeded());
}

TEST_F(TransactionRunsOnThreeKeys, ReadNoFurtherThanTheFirstComparisonThatFails) {
  run(R"({"if":[{"key":"a","exists":true},{"key":"x","exists":true},{"key":"b","exists":true}],
          "else":[{"op":"delete","key":"a"}]})");
  EXPECT_FALSE(succeeded());
  EXPECT_EQ(set_text(), "a present; x absent; a present; delete a; ");
}

TEST_F(TransactionRunsOnThreeKeys, GuardWhatGetsAndDeletesFound) {
  run(R"({"then":[{"op":"get","key":"a"},{"op":"get","key":"x"},{"op":"delete","key":"soon"},
                  {"op":"delete","key":"gone"},{"op":"put","key":"b","value":""}]})");
  EXPECT_EQ(set_text(),
            "a in 1; x absent; soon present; gone absent; delete soon; delete gone; put b; ");
  EXPECT_EQ(results()[0]["revision"], 1);
  EXPECT_EQ(results()[1]["found"], false);
  EXPECT_EQ(results()[2]["existed"], true);
  EXPECT_EQ(results()[3]["existed"], false);
  EXPECT_EQ(results()[4]["revision"], 99);
}

TEST_F(TransactionRunsOnThreeKeys, SeeTheirOwnWritesWithoutAGuard) {
  run(R"({"then":[{"op":"put","key":"a","value":"QQ==","ttl":5},{"op":"get","key":"a"},
                  {"op":"delete","key":"a"},{"op":"get","key":"a"},{"op":"delete","key":"a"}]})");
  EXPECT_EQ(set_text(), "put a; delete a; delete a; ");
  EXPECT_EQ(results()[1], (Json{{"op", "get"},
                                {"key", "a"},
                                {"found", true},
                                {"revision", 99},
                                {"value", "QQ=="},
                                {"encoding", "base64"},
                                {"expires_at", "2023-11-14T22:13:25Z"}}));
  EXPECT_EQ(results()[2]["existed"], true);
  EXPECT_EQ(results()[3]["found"], false);
  EXPECT_EQ(results()[4]["existed"], false);
}

TEST_F(TransactionRunsOnThreeKeys, ThatOnlyReadHaveNothingToWrite) {
  run(R"({"if":[{"key":"a","exists":true}],"then":[{"op":"get","key":"b"}]})");
  EXPECT_EQ(set_text(), "nothing");
  run(R"({"if":[]})");
  EXPECT_EQ(set_text(), "nothing");
  EXPECT_EQ(run_->answer(7), R"({"succeeded":true,"revision":7,"results":[]})");
}

TEST_F(TransactionRunsOnThreeKeys, ShowAKeyThatIsNoTextAsBase64) {
  run(R"({"then":[{"op":"get","key":"/w==","key_encoding":"base64"},
                  {"op":"get","key":"\"\n","encoding":"utf-8"}]})");
  EXPECT_EQ(run_->answer(7), R"({"succeeded":true,"revision":7,"results":[)"
                             R"({"op":"get","key":"/w==","key_encoding":"base64","found":false},)"
                             R"({"op":"get","key":"\"\n","found":false}]})");
}

TEST_F(TransactionRunsOnThreeKeys, StartAnewOnANewerState) {
  run(R"({"if":[{"key":"x","exists":false}],"then":[{"op":"put","key":"x","value":""}],
          "else":[{"op":"get","key":"x"}]})");
  EXPECT_TRUE(succeeded());
  begin();
  ASSERT_OK(put("x", "1"));
  commit();
  run_->restart();
  const Snapshot state = snapshot();
  while (run_->step(state, kNow)) {
  }
  EXPECT_FALSE(succeeded());
  EXPECT_EQ(set_text(), "nothing");
  EXPECT_EQ(results()[0]["revision"], revision_);
}

TEST_F(TransactionRunsOnThreeKeys, RefuseToGetMoreThanAnAnswerHolds) {
  std::string body = R"({"then":[)";
  for (int i = 0; i < 130; i++) body += R"({"op":"get","key":"b"},)";
  body.back() = ']';
  run(body + "}");
  EXPECT_EQ(run_->status().code(), Code::kTooLarge);
}

}  // namespace
}  // namespace small_db
