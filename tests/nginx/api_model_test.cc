// The whole API against a plain model in memory: random requests, one client, every answer
// compared; between them reloads, killed storage processes and whole restarts, which must change
// nothing. And what must be atomic, with many clients at once.
#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <random>
#include <thread>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

std::string percent_encoded(std::string_view text) {
  std::string result;
  for (const char character : text) {
    char escape[4];
    std::snprintf(escape, sizeof(escape), "%%%02X", static_cast<unsigned char>(character));
    result += escape;
  }
  return result;
}

std::string item(std::string_view key, const std::string& parameters = "") {
  return "/v1/kv?key=" + percent_encoded(key) + parameters;
}

std::string etag(uint64_t revision) { return "\"" + std::to_string(revision) + "\""; }

uint64_t etag_of(const HttpResponse& response) {
  const std::string text = response.header("ETag");
  return text.size() < 3 ? 0 : std::strtoull(text.c_str() + 1, nullptr, 10);
}

struct Entry {
  std::string value;
  uint64_t revision = 0;
};

class ApiModel : public ::testing::Test {
 public:
  ApiModel() : server_({.workers = 2}) {
    server_.start();
    client_ = std::make_unique<HttpClient>(server_.port());
  }

  uint32_t random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }
  std::string random_key() {
    const char* const groups[] = {"a/", "b/", "b/c/", "d"};
    return groups[random(4)] + std::to_string(random(12));
  }
  std::string random_value() {
    return std::string(random(40), static_cast<char>('a' + random(26)));
  }

  // Everything that this test writes takes one revision more than what it wrote before.
  void wrote(uint64_t revision) {
    EXPECT_EQ(revision, revision_ + 1);
    revision_ = revision;
  }

  void put_raw();
  void put_envelope();
  void put_conditional();
  void erase();
  void add();
  void batch();
  void replace();
  void erase_prefix();
  void transaction();
  void get();
  void list();
  void disturb();

  std::map<std::string, Entry> keys_with(const std::string& prefix) const {
    std::map<std::string, Entry> found;
    for (auto at = model_.lower_bound(prefix); at != model_.end(); ++at) {
      if (at->first.rfind(prefix, 0) != 0) break;
      found.insert(*at);
    }
    return found;
  }
  std::string random_prefix() {
    const char* const prefixes[] = {"a/", "b/", "b/c/", "d1", "nothing"};
    return prefixes[random(5)];
  }

  std::mt19937 random_{11};
  NginxServer server_;
  std::unique_ptr<HttpClient> client_;
  std::map<std::string, Entry> model_;
  uint64_t revision_ = 0;
};

void ApiModel::put_raw() {
  const std::string key = random_key();
  const std::string value = random_value();
  const HttpResponse response = client_->put(item(key, "&raw"), value);
  ASSERT_EQ(response.status, 200) << response.body;
  wrote(etag_of(response));
  model_[key] = {value, revision_};
}

void ApiModel::put_envelope() {
  const std::string key = random_key();
  const std::string value = random_value();
  const HttpResponse response =
      client_->put(item(key), Json{{"value", value}, {"encoding", "utf-8"}}.dump());
  ASSERT_EQ(response.body, R"({"ok":true})") << response.error;
  wrote(etag_of(response));
  model_[key] = {value, revision_};
}

void ApiModel::put_conditional() {
  const std::string key = random_key();
  const std::string value = random_value();
  const auto found = model_.find(key);
  const uint64_t current = found == model_.end() ? 0 : found->second.revision;
  const struct {
    std::string header;
    bool holds;
  } conditions[] = {{"If-Match: " + etag(current), current != 0},
                    {"If-Match: \"0\", " + etag(current + 1), false},
                    {"If-Match: *", current != 0},
                    {"If-None-Match: *", current == 0},
                    {"If-None-Match: " + etag(current), current == 0},
                    {"If-None-Match: " + etag(current + 1), true}};
  const auto& condition = conditions[random(6)];
  const HttpResponse response = client_->send(
      {.method = "PUT", .target = item(key, "&raw"), .body = value, .headers = {condition.header}});
  ASSERT_EQ(response.status, condition.holds ? 200 : 412) << condition.header << response.body;
  if (condition.holds) {
    wrote(etag_of(response));
    model_[key] = {value, revision_};
  } else {
    EXPECT_EQ(etag_of(response), current) << response.body;
  }
}

void ApiModel::erase() {
  const std::string key = random_key();
  ASSERT_EQ(client_->del(item(key)).status, 200);
  model_.erase(key);
  ++revision_;
}

void ApiModel::add() {
  const std::string key = random_key();
  const int step = static_cast<int>(random(100)) - 50;
  const HttpResponse response =
      client_->send({.method = "POST",
                     .target = item(key, "&incr=" + std::to_string(step) + "&init=7"),
                     .body = ""});
  const auto found = model_.find(key);
  const std::string& text = found == model_.end() ? "7" : found->second.value;
  char* end = nullptr;
  const long before = std::strtol(text.c_str(), &end, 10);
  if (text.empty() || *end != '\0') {
    ASSERT_EQ(response.status, 409) << text;
    return;
  }
  ASSERT_EQ(response.status, 200) << response.body;
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["value"], std::to_string(before + step));
  wrote(body["revision"]);
  model_[key] = {std::to_string(before + step), revision_};
}

void ApiModel::batch() {
  std::map<std::string, std::optional<std::string>> changes;
  for (uint32_t i = 1 + random(6); i != 0; --i) {
    changes[random_key()] = random(3) == 0 ? std::nullopt : std::optional(random_value());
  }
  std::string lines;
  uint64_t count = 0;
  for (const auto& [key, value] : changes) {
    lines += value ? Json{{"key", key}, {"value", *value}, {"encoding", "utf-8"}}.dump()
                   : Json{{"op", "delete"}, {"key", key}}.dump();
    lines += "\n";
    if (value || model_.count(key) != 0) ++count;
  }
  const HttpResponse response = client_->send({.method = "POST",
                                               .target = "/v1/kv",
                                               .body = lines,
                                               .headers = {"Content-Type: application/x-ndjson"}});
  ASSERT_EQ(response.status, 200) << response.body;
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["count"], count);
  if (count == 0) return;
  wrote(body["revision"]);
  for (const auto& [key, value] : changes) {
    model_.erase(key);
    if (value) model_[key] = {*value, revision_};
  }
}

void ApiModel::replace() {
  const std::string prefix = random(2) == 0 ? "b/" : "b/c/";
  std::map<std::string, std::string> wanted;
  for (uint32_t i = random(6); i != 0; --i) {
    wanted[prefix + std::to_string(random(12))] = std::string(random(3), 'x');
  }
  std::string lines;
  for (const auto& [key, value] : wanted) {
    lines += Json{{"key", key}, {"value", value}, {"encoding", "utf-8"}}.dump() + "\n";
  }
  const HttpResponse response = client_->send(
      {.method = "PUT", .target = "/v1/kv?replace=true&prefix=" + prefix, .body = lines});
  ASSERT_EQ(response.status, 200) << response.body;
  uint64_t count = 0;
  std::map<std::string, Entry> next;
  for (const auto& [key, value] : wanted) {
    const auto found = model_.find(key);
    if (found != model_.end() && found->second.value == value) {
      next[key] = found->second;
    } else {
      next[key] = {value, revision_ + 1};
      ++count;
    }
  }
  for (const auto& [key, entry] : keys_with(prefix)) {
    if (next.count(key) == 0) ++count;
    model_.erase(key);
  }
  model_.insert(next.begin(), next.end());
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["count"], count);
  if (count != 0) wrote(body["revision"]);
}

void ApiModel::erase_prefix() {
  const std::string prefix = random_prefix();
  const HttpResponse response = client_->del("/v1/kv?prefix=" + prefix);
  ASSERT_EQ(response.status, 200) << response.body;
  const std::map<std::string, Entry> gone = keys_with(prefix);
  const Json body = Json::parse(response.body);
  EXPECT_EQ(body["count"], gone.size());
  if (!gone.empty()) wrote(body["revision"]);
  for (const auto& [key, entry] : gone) model_.erase(key);
}

void ApiModel::transaction() {
  const std::string guarded = random_key();
  const std::string changed = random_key();
  const std::string value = random_value();
  const auto found = model_.find(guarded);
  const bool exists = found != model_.end();
  Json condition = {{"key", guarded}};
  bool holds = false;
  switch (random(3)) {
    case 0:
      condition["exists"] = true;
      holds = exists;
      break;
    case 1:
      condition["revision"] = exists ? found->second.revision : 1'000'000'000;
      holds = exists;
      break;
    default:
      condition["value"] = "xx";
      condition["encoding"] = "utf-8";
      holds = exists && found->second.value == "xx";
      break;
  }
  const Json request = {
      {"if", {condition}},
      {"then", {{{"op", "put"}, {"key", changed}, {"value", value}, {"encoding", "utf-8"}}}},
      {"else", {{{"op", "get"}, {"key", changed}, {"encoding", "utf-8"}}}}};
  const HttpResponse response = client_->send({.method = "POST",
                                               .target = "/v1/txn",
                                               .body = request.dump(),
                                               .headers = {"Content-Type: application/json"}});
  ASSERT_EQ(response.status, 200) << response.body;
  const Json body = Json::parse(response.body);
  ASSERT_EQ(body["succeeded"], holds) << request << response.body;
  if (holds) {
    wrote(body["revision"]);
    model_[changed] = {value, revision_};
    return;
  }
  const auto shown = model_.find(changed);
  EXPECT_EQ(body["results"][0]["found"], shown != model_.end());
  if (shown != model_.end()) {
    EXPECT_EQ(body["results"][0]["value"], shown->second.value);
    EXPECT_EQ(body["results"][0]["revision"], shown->second.revision);
  }
}

void ApiModel::get() {
  const std::string key = random_key();
  const HttpResponse response = client_->get(item(key, "&raw"));
  const auto found = model_.find(key);
  if (found == model_.end()) {
    EXPECT_EQ(response.status, 404);
    return;
  }
  ASSERT_EQ(response.status, 200) << response.body;
  EXPECT_EQ(response.body, found->second.value);
  EXPECT_EQ(etag_of(response), found->second.revision);
}

// All pages of a prefix, in one direction or the other.
void ApiModel::list() {
  const std::string prefix = random_prefix();
  const bool reverse = random(2) == 0;
  const std::string target = "/v1/kv?prefix=" + prefix +
                             "&values=true&encoding=utf-8&limit=" + std::to_string(1 + random(5)) +
                             (reverse ? "&reverse=true" : "");
  std::vector<std::pair<std::string, Entry>> listed;
  std::string cursor;
  do {
    const HttpResponse response =
        client_->get(target + (cursor.empty() ? "" : "&cursor=" + percent_encoded(cursor)));
    ASSERT_EQ(response.status, 200) << response.body;
    const Json body = Json::parse(response.body);
    EXPECT_EQ(body["revision"], revision_);
    for (const Json& entry : body["items"]) {
      EXPECT_EQ(entry["size"], entry["value"].get<std::string>().size());
      listed.push_back({entry["key"], {entry["value"], entry["revision"]}});
    }
    cursor = body.value("cursor", "");
  } while (!cursor.empty());
  if (reverse) std::reverse(listed.begin(), listed.end());
  const std::map<std::string, Entry> expected = keys_with(prefix);
  ASSERT_EQ(listed.size(), expected.size()) << prefix;
  size_t at = 0;
  for (const auto& [key, entry] : expected) {
    EXPECT_EQ(listed[at].first, key);
    EXPECT_EQ(listed[at].second.value, entry.value);
    EXPECT_EQ(listed[at].second.revision, entry.revision);
    ++at;
  }
  const Json count = Json::parse(client_->get("/v1/kv?count=true&prefix=" + prefix).body);
  EXPECT_EQ(count["count"], expected.size());
}

void ApiModel::disturb() {
  switch (random(4)) {
    case 0:
      server_.reload();
      break;
    case 1:
      kill(server_.storage_process(), SIGKILL);
      break;
    case 2:
      ASSERT_EQ(client_->send({.method = "POST", .target = "/v1/checkpoint", .body = ""}).status,
                200);
      break;
    default:
      server_.kill_everything();
      server_.start();
      break;
  }
}

TEST_F(ApiModel, EveryAnswerIsTheModels) {
  server_.allow_log("exited on signal 9");
  using Step = void (ApiModel::*)();
  const Step steps[] = {&ApiModel::put_raw,     &ApiModel::put_envelope, &ApiModel::put_conditional,
                        &ApiModel::erase,       &ApiModel::add,          &ApiModel::batch,
                        &ApiModel::replace,     &ApiModel::transaction,  &ApiModel::get,
                        &ApiModel::get,         &ApiModel::list,         &ApiModel::put_raw,
                        &ApiModel::erase_prefix};
  for (int i = 0; i < 3000 && !HasFailure(); ++i) {
    if (i % 300 == 299) disturb();
    (this->*steps[random(std::size(steps))])();
  }
}

// Transfers between accounts, each a transaction on what was read before: the sum never changes,
// not even for a list that runs meanwhile.
TEST_F(ApiModel, TransfersKeepTheSumForWhoeverLooks) {
  constexpr int kAccounts = 6;
  constexpr int kThreads = 4;
  for (int i = 0; i < kAccounts; ++i) {
    const HttpResponse put = client_->put("/v1/kv/account/" + std::to_string(i) + "?raw", "100");
    ASSERT_EQ(put.status, 200) << put.error << put.body;
  }
  std::atomic<int> done{0};
  std::atomic<int> moved{0};
  std::vector<std::thread> threads;
  for (int thread = 0; thread < kThreads; ++thread) {
    threads.emplace_back([&, thread] {
      HttpClient client(server_.port());
      std::mt19937 random(static_cast<uint32_t>(thread));
      for (int i = 0; i < 60; ++i) {
        const std::string from = "account/" + std::to_string(random() % kAccounts);
        const std::string to = "account/" + std::to_string(random() % kAccounts);
        if (from == to) continue;
        const HttpResponse source = client.get("/v1/kv/" + from + "?raw");
        const HttpResponse target = client.get("/v1/kv/" + to + "?raw");
        const Json request = {{"if",
                               {{{"key", from}, {"revision", etag_of(source)}},
                                {{"key", to}, {"revision", etag_of(target)}}}},
                              {"then",
                               {{{"op", "put"},
                                 {"key", from},
                                 {"encoding", "utf-8"},
                                 {"value", std::to_string(std::stoi(source.body) - 1)}},
                                {{"op", "put"},
                                 {"key", to},
                                 {"encoding", "utf-8"},
                                 {"value", std::to_string(std::stoi(target.body) + 1)}}}}};
        const HttpResponse response = client.send({.method = "POST",
                                                   .target = "/v1/txn",
                                                   .body = request.dump(),
                                                   .headers = {"Content-Type: application/json"}});
        if (response.status != 200) ADD_FAILURE() << response.status << response.body;
        if (response.body.find("\"succeeded\":true") != std::string::npos) ++moved;
      }
      ++done;
    });
  }
  int looks = 0;
  do {
    const Json body =
        Json::parse(client_->get("/v1/kv?prefix=account/&values=true&encoding=utf-8").body);
    int sum = 0;
    for (const Json& account : body["items"]) sum += std::stoi(account["value"].get<std::string>());
    EXPECT_EQ(sum, 100 * kAccounts) << body;
    ++looks;
  } while (done < kThreads && !HasFailure());
  for (std::thread& thread : threads) thread.join();
  EXPECT_GT(moved, 0);
  EXPECT_GT(looks, 1);
}

}  // namespace
}  // namespace small_db::testing
