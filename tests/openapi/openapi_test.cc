// The OpenAPI document against what the whole-nginx tests saw: every answer of the store that
// occurred is documented, and every documented one occurred. Runs after those tests, on the file
// that SMALL_DB_RESPONSES names (tests/nginx/seen_responses.h).
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "ngx_module/api/openapi_document.h"
#include "ngx_module/api/problem.h"
#include "ngx_module/api/routes.h"

namespace small_db {
namespace {

using Json = nlohmann::json;

const Json& document() {
  static const Json parsed = Json::parse(openapi_document());
  return parsed;
}

std::string lower_case(std::string text) {
  for (char& character : text) character = static_cast<char>(std::tolower(character));
  return text;
}

// "GET /kv/{key} 200"
using Answers = std::set<std::string>;

Answers documented_answers() {
  Answers answers;
  for (const auto& [path, operations] : document()["paths"].items()) {
    for (const auto& [method, operation] : operations.items()) {
      if (method == "parameters") continue;
      for (const auto& [status, response] : operation["responses"].items()) {
        answers.insert(method + " " + path + " " + status);
      }
    }
  }
  return answers;
}

// The document's name for a path; empty for what is not the store's.
std::string template_of(const std::string& target) {
  const std::string path = target.substr(0, target.find('?'));
  const std::string query = target.size() > path.size() ? target.substr(path.size()) : "";
  const std::string below = path.substr(std::string("/v1").size());
  if (below.rfind("/kv/", 0) == 0) return "/kv/{key}";
  if (below == "/kv") return query.find("key=") == std::string::npos ? "/kv" : "/kv/{key}";
  return document()["paths"].contains(below) ? below : "";
}

// What nginx itself answers (limits, access, error pages) is not the store's.
bool is_from_the_store(int status, const std::string& type) {
  if (status == 204 || status == 304) return true;
  if (status >= 400) return type == "application/problem+json" || type == "application/json";
  return type == "application/json" || type == "application/octet-stream" || type == "text/plain";
}

Answers seen_answers() {
  Answers answers;
  const char* const file = std::getenv("SMALL_DB_RESPONSES");
  std::ifstream lines(file == nullptr ? "" : file);
  std::string method;
  std::string target;
  std::string type;
  int status = 0;
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    if (!(words >> method >> target >> status >> type)) continue;
    const std::string path = template_of(target);
    // A method that a resource does not have, 405, has no place in a document of this kind.
    if (path.empty() || status == 405 || !is_from_the_store(status, type)) continue;
    answers.insert(lower_case(method) + " " + path + " " + std::to_string(status));
  }
  return answers;
}

class SeenAnswers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (std::getenv("SMALL_DB_RESPONSES") == nullptr) {
      GTEST_SKIP() << "SMALL_DB_RESPONSES names no file: run `./dev test`";
    }
    ASSERT_GT(seen_answers().size(), 10u);
  }
};

TEST_F(SeenAnswers, AreAllDocumented) {
  const Answers documented = documented_answers();
  for (const std::string& answer : seen_answers()) {
    EXPECT_EQ(documented.count(answer), 1u) << answer << " occurred and is not documented";
  }
}

TEST_F(SeenAnswers, AreAllThatIsDocumented) {
  const Answers seen = seen_answers();
  for (const std::string& answer : documented_answers()) {
    EXPECT_EQ(seen.count(answer), 1u) << answer << " is documented and occurs in no test";
  }
}

TEST(OpenApi, DocumentsEveryMethodOfEveryResource) {
  const std::pair<const char*, Route> resources[] = {
      {"/kv/{key}", Route::kItem},
      {"/kv", Route::kCollection},
      {"/txn", Route::kTransaction},
      {"/checkpoint", Route::kCheckpoint},
      {"/snapshot", Route::kSnapshot},
      {"/role", Route::kRole},
      {"/status", Route::kStatus},
      {"/metrics", Route::kMetrics},
      {"/openapi.json", Route::kOpenApi},
      {"/health", Route::kHealth},
      {"/replication/log", Route::kReplicationLog},
      {"/replication/checkpoint", Route::kReplicationCheckpoint},
      {"/replication/ack", Route::kReplicationAck},
      {"/promote", Route::kPromote}};
  EXPECT_EQ(document()["paths"].size(), std::size(resources));
  for (const auto& [path, route] : resources) {
    std::set<std::string> documented;
    for (const auto& [method, operation] : document()["paths"][path].items()) {
      if (method != "parameters") documented.insert(method);
    }
    std::set<std::string> allowed;
    std::istringstream words(lower_case(allowed_methods(route)));
    for (std::string word; words >> word;) {
      if (word.back() == ',') word.pop_back();
      allowed.insert(word);
    }
    EXPECT_EQ(documented, allowed) << path;
  }
}

// Every reference leads somewhere, and nothing stands there that nobody refers to.
TEST(OpenApi, RefersToWhatItDefines) {
  std::set<std::string> used;
  std::vector<const Json*> open = {&document()};
  while (!open.empty()) {
    const Json* node = open.back();
    open.pop_back();
    for (const auto& [name, child] : node->items()) {
      if (name == "$ref") used.insert(child.get<std::string>());
      if (child.is_structured()) open.push_back(&child);
    }
  }
  std::set<std::string> defined;
  for (const auto& [group, members] : document()["components"].items()) {
    for (const auto& [name, member] : members.items()) {
      defined.insert("#/components/" + group + "/" + name);
    }
  }
  EXPECT_EQ(used, defined);
}

}  // namespace
}  // namespace small_db
