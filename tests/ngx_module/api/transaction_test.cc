#include "ngx_module/api/transaction.h"

#include <gtest/gtest.h>

#include <string>

namespace small_db {
namespace {

constexpr OperationLimits kLimits = {16, 64, 1'700'000'000'000};

Transaction parsed(std::string_view body) {
  TransactionParser parser(body, kLimits);
  while (parser.step()) {
  }
  EXPECT_FALSE(parser.problem()) << body << ": " << parser.problem()->detail;
  return parser.transaction();
}

TEST(TransactionParser, TakesComparisonsAndBothBranches) {
  const Transaction transaction = parsed(R"( {
    "if" : [ {"key":"a","revision":7} , {"key":"b","exists":false},
             {"key":"Yw==","key_encoding":"base64","value":"}{","encoding":"text"} ],
    "then":[{"op":"put","key":"a","value":"QQ==","ttl":"1m"},{"op":"get","key":"b","encoding":"utf-8"}],
    "else" : [ {"op":"delete","key":"\"}a"} ] } )");
  ASSERT_EQ(transaction.comparisons.size(), 3u);
  EXPECT_EQ(transaction.comparisons[0].kind, ComparisonKind::kRevision);
  EXPECT_EQ(transaction.comparisons[0].revision, 7u);
  EXPECT_EQ(transaction.comparisons[1].kind, ComparisonKind::kExists);
  EXPECT_FALSE(transaction.comparisons[1].exists);
  EXPECT_EQ(transaction.comparisons[2].kind, ComparisonKind::kValue);
  EXPECT_EQ(transaction.comparisons[2].key, "c");
  EXPECT_EQ(transaction.comparisons[2].value, "}{");
  ASSERT_EQ(transaction.on_success.size(), 2u);
  EXPECT_EQ(transaction.on_success[0].kind, OperationKind::kPut);
  EXPECT_EQ(transaction.on_success[0].value, "A");
  EXPECT_EQ(transaction.on_success[0].expires_at_ms, kLimits.now_ms + 60'000);
  EXPECT_EQ(transaction.on_success[1].kind, OperationKind::kGet);
  EXPECT_TRUE(transaction.on_success[1].wants_text);
  ASSERT_EQ(transaction.on_failure.size(), 1u);
  EXPECT_EQ(transaction.on_failure[0].key, "\"}a");
}

TEST(TransactionParser, TakesEmptyListsAndAnyOrder) {
  EXPECT_TRUE(parsed(R"({"if":[]})").comparisons.empty());
  EXPECT_EQ(parsed(R"({"else":[],"then":[{"op":"get","key":"a"}],"if":[ ]})").on_success.size(),
            1u);
}

struct Refusal {
  std::string body;
  int status;
  std::string detail;
};

void expect_refusal(const Refusal& refusal) {
  TransactionParser parser(refusal.body, kLimits);
  while (parser.step()) {
  }
  ASSERT_TRUE(parser.problem()) << refusal.body;
  EXPECT_EQ(parser.problem()->status, refusal.status) << refusal.body;
  EXPECT_EQ(parser.problem()->detail, refusal.detail) << refusal.body;
}

TEST(TransactionParser, SaysWhereTheBodyBreaks) {
  const std::string name = "the name of a member is missing: 'if', 'then' or 'else'";
  const std::string unknown = "unknown member: it must be 'if', 'then' or 'else'";
  const Refusal refusals[] = {
      {"", 400, "at byte 0 of the body: the body must be a JSON object"},
      {" []", 400, "at byte 1 of the body: the body must be a JSON object"},
      {"{", 400, "at byte 1 of the body: " + name},
      {"{}", 400, "at byte 2 of the body: a transaction has a member 'if', 'then' or 'else'"},
      {R"({"if")", 400, "at byte 5 of the body: a ':' is missing behind the member's name"},
      {R"({"if)", 400, "at byte 1 of the body: " + unknown},
      {R"({"when":[]})", 400, "at byte 1 of the body: " + unknown},
      {R"({"if":{}})", 400,
       "at byte 6 of the body: the members 'if', 'then' and 'else' must be lists"},
      {R"({"if":[],"if":[]})", 400, "at byte 9 of the body: a member is given twice"},
      {R"({"if":[],})", 400, "at byte 9 of the body: " + name},
      {R"({"if":[]]})", 400, "at byte 8 of the body: a ',' or a '}' is missing behind a list"},
      {R"({"if":[]} x)", 400, "at byte 10 of the body: there is more behind the transaction"},
      {R"({"then":[{"op":"get","key":"a"}{}]})", 400,
       "at byte 31 of the body: a ',' or a ']' is missing behind an element"},
      {R"({"then":[5]})", 400, "then[0], at byte 9 of the body: an element must be a JSON object"},
      {R"({"then":[{"op":"get","key":"a"},]})", 400,
       "then[1], at byte 32 of the body: an element must be a JSON object"},
      {R"({"then":[{"op":"get","key":"a")", 400,
       "then[0], at byte 30 of the body: unexpected end of input; expected '}'"},
      {R"({"else":[{"op":"get","key":"a"},{"op":}]})", 400,
       "else[1], at byte 38 of the body: unexpected '}'; expected '[', '{', or a literal"},
  };
  for (const Refusal& refusal : refusals) expect_refusal(refusal);
}

TEST(TransactionParser, NamesTheOperationThatIsInvalid) {
  const Refusal refusals[] = {
      {R"({"then":[{"op":"get","key":"a"},{"op":"add","key":"a"}]})", 422,
       "then[1], at byte 38 of the body: unknown op 'add': it must be put, delete or get"},
      {R"({"then":[{"key":"a"}]})", 422,
       "then[0], at byte 19 of the body: the member 'op' is missing"},
      {R"({"then":[{"op":"get","key":"a","value":""}]})", 422,
       "then[0], at byte 39 of the body: a get has no member 'value'"},
      {R"({"then":[{"op":"get","key":"a","x":[[[[]]]]}]})", 422,
       "then[0], at byte 31 of the body: unknown member 'x'"},
      {R"({"if":[{"key":"a"}]})", 422,
       "if[0], at byte 17 of the body: a comparison has one of the members 'revision', 'exists' "
       "and 'value'"},
      {R"({"if":[{"key":"a","revision":1,"exists":true}]})", 422,
       "if[0], at byte 44 of the body: a comparison has one of the members 'revision', 'exists' "
       "and 'value'"},
      {R"({"if":[{"key":"a","revision":-1}]})", 422,
       "if[0], at byte 29 of the body: a revision is never negative"},
      {R"({"if":[{"key":"a","exists":1}]})", 422,
       "if[0], at byte 27 of the body: the member 'exists' must be true or false"},
      {R"({"if":[{"key":"a","exists":true,"encoding":"text"}]})", 422,
       "if[0], at byte 43 of the body: 'encoding' needs a 'value'"},
      {R"({"else":[{"op":"put","key":"12345678901234567","value":""}]})", 413,
       "else[0]: the key has 17 bytes, the limit max_key_size is 16"},
  };
  for (const Refusal& refusal : refusals) expect_refusal(refusal);
}

TEST(TransactionParser, TakesAsManyElementsAsTheLimitSays) {
  const auto body = [](size_t elements) {
    std::string text = R"({"then":[)";
    for (size_t i = 0; i < elements; i++) text += R"({"op":"get","key":"a"},)";
    text.back() = ']';
    return text + "}";
  };
  EXPECT_EQ(parsed(body(kTransactionElementsMax)).on_success.size(), kTransactionElementsMax);
  expect_refusal({body(kTransactionElementsMax + 1), 413,
                  "a transaction has at most 16384 comparisons and operations"});
}

TEST(TransactionParser, RefusesEveryTruncation) {
  const std::string body =
      R"({"if":[{"key":"a","revision":7}],"then":[{"op":"put","key":"a\\\"","value":"QQ=="}]})";
  parsed(body);
  for (size_t length = 0; length < body.size(); length++) {
    const std::string part = body.substr(0, length);
    TransactionParser parser(part, kLimits);
    while (parser.step()) {
    }
    EXPECT_TRUE(parser.problem()) << part;
  }
}

}  // namespace
}  // namespace small_db
