#include "ngx_module/api/line_batch.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace small_db {
namespace {

constexpr OperationLimits kLimits = {16, 64, 1'700'000'000'000};

// Adds the lines of `body`, which comes in pieces of `piece_bytes`.
std::optional<Problem> add_all(std::string_view body, LineBatch* batch, size_t piece_bytes = 3) {
  LineReader reader;
  for (;;) {
    while (const auto line = reader.next(body.empty())) {
      if (auto problem = batch->add(*line)) return problem;
    }
    if (body.empty()) return std::nullopt;
    reader.buffer()->append(body.substr(0, piece_bytes));
    body.remove_prefix(std::min(piece_bytes, body.size()));
  }
}

// "put a=1 @0", "delete b", "replace p..q", in order.
std::vector<std::string> operations_of(LineBatch* batch) {
  WriteSetBuilder set;
  while (batch->build(1, &set)) {
  }
  WriteSetReader reader(set.bytes());
  EXPECT_TRUE(reader.begin().is_ok());
  std::vector<std::string> operations;
  for (uint32_t i = 0; i < reader.operations(); i++) {
    const OperationView view = reader.next_operation().value();
    if (view.type == OperationType::kReplaceRange) {
      operations.push_back("replace " + std::string(as_text(view.start)) + ".." +
                           std::string(as_text(view.end)));
    } else if (view.record.type == RecordType::kDelete) {
      operations.push_back("delete " + std::string(as_text(view.record.key)));
    } else {
      operations.push_back("put " + std::string(as_text(view.record.key)) + "=" +
                           std::string(as_text(view.record.value)) + " @" +
                           std::to_string(view.record.expires_at_ms));
    }
  }
  EXPECT_TRUE(reader.end().is_ok());
  return operations;
}

using Operations = std::vector<std::string>;

TEST(LineBatch, TakesPutsAndDeletesInTheOrderOfKeys) {
  for (const size_t piece_bytes : {1, 7, 10'000}) {
    LineBatch batch(kLimits, LineBatch::Purpose::kChanges, "");
    const auto problem = add_all(
        "{\"key\":\"c\",\"value\":\"Mw==\"}\n"
        "\n \t\r\n"
        "{\"op\":\"delete\",\"key\":\"b\"}\r\n"
        "{\"op\":\"put\",\"key\":\"YQ==\",\"key_encoding\":\"base64\",\"value\":\"1\","
        "\"encoding\":\"utf-8\",\"ttl\":5}",
        &batch, piece_bytes);
    EXPECT_FALSE(problem) << problem->detail;
    EXPECT_EQ(batch.operations(), 3u);
    EXPECT_EQ(operations_of(&batch),
              (Operations{"put a=1 @1700000005000", "delete b", "put c=3 @0"}));
  }
}

TEST(LineBatch, OfABodyWithoutLinesHasNoOperations) {
  for (const char* body : {"", "\n", " \n\t\n\r\n"}) {
    LineBatch batch(kLimits, LineBatch::Purpose::kChanges, "");
    EXPECT_FALSE(add_all(body, &batch));
    EXPECT_EQ(batch.operations(), 0u);
  }
}

TEST(LineBatch, ReplacesWhatIsUnderThePrefix) {
  LineBatch batch(kLimits, LineBatch::Purpose::kContents, "p/");
  EXPECT_FALSE(
      add_all("{\"key\":\"p/2\",\"value\":\"\"}\n{\"key\":\"p/1\",\"value\":\"\"}\n", &batch));
  EXPECT_EQ(operations_of(&batch), (Operations{"replace p/..p0", "put p/1= @0", "put p/2= @0"}));
  LineBatch nothing(kLimits, LineBatch::Purpose::kContents, "");
  EXPECT_FALSE(add_all("", &nothing));
  EXPECT_EQ(operations_of(&nothing), (Operations{"replace .."}));
}

struct Refusal {
  const char* body;
  int status;
  const char* detail;
};

void expect_refusals(const std::vector<Refusal>& refusals, LineBatch::Purpose purpose,
                     const std::string& prefix) {
  for (const Refusal& refusal : refusals) {
    LineBatch batch(kLimits, purpose, prefix);
    const auto problem = add_all(refusal.body, &batch);
    ASSERT_TRUE(problem) << refusal.body;
    EXPECT_EQ(problem->status, refusal.status) << refusal.body;
    EXPECT_EQ(problem->detail, refusal.detail) << refusal.body;
  }
}

TEST(LineBatch, SaysInWhichLineWhatIsWrong) {
  expect_refusals(
      {
          {"\n{\"key\":\"a\",", 400,
           "at byte 11 of line 2: unexpected end of input; expected string literal"},
          {"{\"key\":\"a\",\"value\":\"\"} {}", 400,
           "at byte 23 of line 1: unexpected '{'; expected end of input"},
          {"\xef\xbb\xbf{}", 400,
           "at byte 0 of line 1: a byte-order mark, which JSON does not allow"},
          {"[]", 422, "at byte 0 of line 1: the line must be a JSON object"},
          {"{\"value\":\"\"}", 422, "at byte 11 of line 1: the member 'key' is missing"},
          {"{\"key\":\"a\"}", 422, "at byte 10 of line 1: the member 'value' is missing"},
          {"{\"key\":\"\",\"value\":\"\"}", 422, "at byte 7 of line 1: the key is empty"},
          {"{\"key\":\"a\",\"value\":\"x\"}", 422,
           "at byte 21 of line 1: the base64 text ends within a byte"},
          {"{\"op\":\"get\",\"key\":\"a\"}", 422,
           "at byte 6 of line 1: unknown op 'get': it must be put or delete"},
          {"{\"op\":\"delete\",\"key\":\"a\",\"value\":\"\"}", 422,
           "at byte 33 of line 1: a delete has no member 'value'"},
          {"{\"key\":\"a\",\"value\":\"\",\"ttl\":0}", 422,
           "at byte 28 of line 1: 'ttl' must be more than zero"},
          {"{\"key\":\"a\",\"value\":\"\",\"expires_at\":1}", 422,
           "at byte 35 of line 1: 'expires_at' must lie in the future"},
          {"{\"key\":\"a\",\"value\":\"\"}\n\n{\"key\":\"YQ==\",\"key_encoding\":\"base64\","
           "\"op\":\"delete\"}",
           422, "line 3: the key 'a' stands in line 1 already"},
          {"{\"key\":\"12345678901234567\",\"value\":\"\"}", 413,
           "line 1: the key has 17 bytes, the limit max_key_size is 16"},
      },
      LineBatch::Purpose::kChanges, "");
  expect_refusals({{"{\"key\":\"p/1\",\"value\":\"\"}\n{\"key\":\"q\",\"value\":\"\"}", 422,
                    "line 2: the key 'q': it does not begin with the prefix"},
                   {"{\"op\":\"delete\",\"key\":\"p/1\"}", 422,
                    "line 1: the key 'p/1': a set that is to be has no deletes"}},
                  LineBatch::Purpose::kContents, "p/");
}

TEST(LineBatch, NamesTheLimitOfAWriteSet) {
  const OperationLimits limits = {16, kValueBytesMax, 0};
  LineBatch batch(limits, LineBatch::Purpose::kChanges, "");
  const std::string value(kValueBytesMax, 'x');
  const auto line = [&](const char* key) {
    return std::string("{\"key\":\"") + key + "\",\"encoding\":\"text\",\"value\":\"" + value +
           "\"}";
  };
  EXPECT_FALSE(batch.add(line("a")));
  const auto problem = batch.add(line("b"));
  ASSERT_TRUE(problem);
  EXPECT_EQ(problem->status, 413);
  EXPECT_NE(problem->detail.find("71303168 bytes"), std::string::npos) << problem->detail;
}

TEST(LineBatch, BuildsInSteps) {
  LineBatch batch(kLimits, LineBatch::Purpose::kChanges, "");
  for (int i = 0; i < 1000; i++) {
    ASSERT_FALSE(batch.add("{\"key\":\"" + std::to_string(i) + "\",\"value\":\"QQ==\"}"));
  }
  WriteSetBuilder set;
  size_t steps = 0;
  size_t before = set.bytes().size();
  while (batch.build(1024, &set)) {
    EXPECT_LT(set.bytes().size() - before, 1200u);
    before = set.bytes().size();
    steps++;
  }
  EXPECT_GT(steps, 20u);
  EXPECT_EQ(set.operations(), 1000u);
}

}  // namespace
}  // namespace small_db
