#include "ngx_module/api/response_body.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace small_db {
namespace {

// The body as written, or the code of the failure. Checks that not a byte beyond it is touched.
std::string item(std::string_view key, size_t announced, const std::vector<std::string>& pieces) {
  ItemBody body(as_bytes(key), announced);
  std::string text(body.bytes() + 1, '#');
  body.begin(text.data());
  for (const std::string& piece : pieces) body.add(as_bytes(piece));
  const Status status = body.finish();
  EXPECT_EQ(text.back(), '#');
  text.pop_back();
  return status.is_ok() ? text : code_name(status.code());
}

TEST(ItemBody, IsWrittenExactly) {
  EXPECT_EQ(item("a/b", 5, {"hello"}), R"({"key":"a/b","value":"aGVsbG8=","encoding":"base64"})");
  EXPECT_EQ(item("k", 0, {}), R"({"key":"k","value":"","encoding":"base64"})");
  EXPECT_EQ(item("k", 5, {"he", "", "l", "lo"}),
            R"({"key":"k","value":"aGVsbG8=","encoding":"base64"})");
}

TEST(ItemBody, EscapesTheKey) {
  EXPECT_EQ(item("\"\n\xc3\xa4", 1, {"A"}),
            "{\"key\":\"\\\"\\n\xc3\xa4\",\"value\":\"QQ==\",\"encoding\":\"base64\"}");
}

TEST(ItemBody, EncodesAKeyThatIsNotText) {
  EXPECT_EQ(item("\xff\xfe", 1, {"A"}),
            R"({"key":"//4=","key_encoding":"base64","value":"QQ==","encoding":"base64"})");
}

TEST(ItemBody, IsReadBackByAParserForEveryKeyByte) {
  for (int byte = 0; byte < 256; byte++) {
    const auto body = nlohmann::json::parse(item(std::string(1, static_cast<char>(byte)), 0, {}));
    EXPECT_EQ(body.contains("key_encoding"), byte >= 0x80);
    if (byte < 0x80) {
      EXPECT_EQ(body["key"].get<std::string>(), std::string(1, static_cast<char>(byte)));
    }
  }
}

TEST(ItemBody, RefusesPiecesOfAnotherLengthThanAnnounced) {
  EXPECT_EQ(item("k", 5, {"hell"}), "corruption");
  EXPECT_EQ(item("k", 5, {"hello", "!"}), "corruption");
  EXPECT_EQ(item("k", 5, {std::string(10'000, 'x')}), "corruption");
  EXPECT_EQ(item("k", 0, {"x"}), "corruption");
}

std::string health(StoreState state, uint32_t permille = 0, std::string_view reason = {}) {
  Health health;
  health.state = state;
  health.progress_permille = permille;
  health.reason = reason;
  EXPECT_EQ(is_healthy(health), state == StoreState::kServing);
  return std::string(HealthBody(health).text());
}

TEST(HealthBody, TellsState) {
  EXPECT_EQ(health(StoreState::kServing), R"({"ok":true})");
  EXPECT_EQ(health(StoreState::kStarting), R"({"ok":false,"state":"starting"})");
  EXPECT_EQ(health(StoreState::kReadOnly, 0, "log: sync failed"),
            R"({"ok":false,"state":"read-only","reason":"log: sync failed"})");
  EXPECT_EQ(health(StoreState::kRefused, 0, "logfile.3 is \"damaged\"\n\xff"),
            R"({"ok":false,"state":"refused","reason":"logfile.3 is \"damaged\"??"})");
  EXPECT_EQ(health(StoreState::kHandedOver), R"({"ok":false,"state":"handed-over"})");
}

TEST(HealthBody, TellsOfAFullDiskWhileItServes) {
  Health health;
  health.state = StoreState::kServing;
  health.disk_full = true;
  EXPECT_EQ(HealthBody(health).text(), R"({"ok":true,"disk_full":true})");
  health.state = StoreState::kReadOnly;
  EXPECT_EQ(HealthBody(health).text(), R"({"ok":false,"state":"read-only"})");
}

TEST(HealthBody, TellsProgressWhileLoading) {
  const std::pair<uint32_t, const char*> cases[] = {{0, "0"},     {5, "0.005"},   {420, "0.42"},
                                                    {100, "0.1"}, {999, "0.999"}, {1000, "1"},
                                                    {5000, "1"},  {10, "0.01"}};
  for (const auto& [permille, progress] : cases) {
    EXPECT_EQ(health(StoreState::kLoading, permille),
              std::string(R"({"ok":false,"state":"loading","progress":)") + progress + "}");
  }
}

TEST(HealthBody, HasRoomForTheLongestReason) {
  const std::string reason(kReasonBytes * 2, '"');
  const auto body = nlohmann::json::parse(health(StoreState::kRefused, 0, reason));
  EXPECT_EQ(body["reason"].get<std::string>(), reason.substr(0, kReasonBytes));
}

TEST(HealthBody, NamesAStateOutOfRange) {
  EXPECT_EQ(health(static_cast<StoreState>(77)), R"({"ok":false,"state":"unknown"})");
}

TEST(RoleBody, NamesTheRole) {
  EXPECT_EQ(role_body(Role::kUnknown), R"({"role":"unknown"})");
  EXPECT_EQ(role_body(Role::kPrimary), R"({"role":"primary"})");
  EXPECT_EQ(role_body(Role::kBackup), R"({"role":"backup"})");
  EXPECT_EQ(role_body(Role::kFenced), R"({"role":"fenced"})");
}

TEST(TextItemBody, ShowsTheValueAsText) {
  const std::string_view value = "a\"\n\xc3\xa4";
  for (const auto& [key, shown] : {std::pair("k", R"("key":"k")"),
                                   std::pair("\xff", R"("key":"/w==","key_encoding":"base64")")}) {
    const TextItemBody body(as_bytes(key), value);
    std::string text(body.bytes(), '#');
    EXPECT_EQ(body.write(text.data()), text.data() + text.size());
    EXPECT_EQ(text, std::string("{") + shown + R"(,"value":"a\"\n)" + "\xc3\xa4" +
                        R"(","encoding":"utf-8"})");
  }
}

}  // namespace
}  // namespace small_db
