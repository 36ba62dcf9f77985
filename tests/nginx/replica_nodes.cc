#include "tests/nginx/replica_nodes.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <vector>

#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

using Json = nlohmann::json;

NginxOptions with_defaults(NginxOptions options) {
  if (options.store_lines.empty()) options.store_lines = "checkpoint off;\n";
  return options;
}

// How a key is shown: as base64 where it is no text.
std::string shown_key(const Json& item) {
  return (item.contains("key_encoding") ? "base64:" : "") + item["key"].get<std::string>();
}

std::string headers_of(const HttpResponse& response) {
  std::string text;
  for (const char* name : {"ETag", "Expires-At", "Content-Type", "Content-Length"}) {
    text += std::string(name) + ": " + response.header(name) + "\n";
  }
  return text;
}

}  // namespace

std::string backup_of_line(int port) {
  return "backup_of http://127.0.0.1:" + std::to_string(port) + "/v1/;\n";
}

Json status_of_node(int port) {
  const Json status = Json::parse(HttpClient(port).get("/v1/status").body, nullptr, false);
  return status.is_object() && status.contains("revision") ? status : Json::object();
}

std::string role_of_node(int port) {
  const Json role = Json::parse(HttpClient(port).get("/v1/role").body, nullptr, false);
  return role.is_object() ? role.value("role", "") : "";
}

HttpResponse post_to(int port, const std::string& target) {
  return HttpClient(port).send({.method = "POST", .target = target, .body = ""});
}

void kill_storage(NginxServer& server) {
  ASSERT_TRUE(poll_until([&] { return server.storage_process() > 1; })) << server.error_log();
  const pid_t storage = server.storage_process();
  kill(storage, SIGKILL);
  EXPECT_TRUE(poll_until([&] { return !is_running(storage); }));
}

std::map<std::string, std::string> content_of_node(int port) {
  std::map<std::string, std::string> content;
  HttpClient client(port);
  std::string cursor;
  do {
    const std::string target = "/v1/kv?values&limit=1000";
    const HttpResponse response =
        client.get(cursor.empty() ? target : target + "&cursor=" + percent_encoded(cursor));
    const Json page = Json::parse(response.body, nullptr, false);
    if (!page.is_object() || !page.contains("items")) {
      ADD_FAILURE() << response.status << " " << response.error << response.body;
      return content;
    }
    for (const Json& item : page["items"]) {
      content[shown_key(item)] = std::to_string(item["revision"].get<uint64_t>()) + " " +
                                 item.value("expires_at", "") + " " +
                                 item["value"].get<std::string>();
    }
    cursor = page.value("cursor", "");
  } while (!cursor.empty());
  return content;
}

bool catches_up(int backup_port, int primary_port, int timeout_ms) {
  return poll_until(
      [&] {
        const Json primary = status_of_node(primary_port);
        const Json backup = status_of_node(backup_port);
        return !primary.empty() && !backup.empty() && primary["state"] == "serving" &&
               backup["state"] == "serving" && backup["revision"] == primary["revision"] &&
               backup["replication"]["cluster"] == primary["replication"]["cluster"];
      },
      timeout_ms);
}

void expect_same_content(int port, int other_port) {
  const std::map<std::string, std::string> content = content_of_node(port);
  const std::map<std::string, std::string> other = content_of_node(other_port);
  EXPECT_EQ(content.size(), other.size());
  int differences = 0;
  for (const auto& [key, value] : other) {
    const auto found = content.find(key);
    if (found != content.end() && found->second == value) continue;
    if (++differences > 5) return;
    ADD_FAILURE() << key << ": " << value.substr(0, 100) << " there, here "
                  << (found == content.end() ? "nothing" : found->second.substr(0, 100));
  }
  for (const auto& [key, value] : content) {
    if (other.count(key) != 0 || ++differences > 10) continue;
    ADD_FAILURE() << key << ": " << value.substr(0, 100) << " here, nothing there";
  }
}

void expect_same_answers(int port, int other_port) {
  expect_same_content(port, other_port);
  HttpClient client(port);
  HttpClient other(other_port);
  for (const auto& [key, value] : content_of_node(port)) {
    if (key.rfind("base64:", 0) == 0) continue;
    const std::string target = "/v1/kv?raw&key=" + percent_encoded(key);
    const HttpResponse here = client.get(target);
    const HttpResponse there = other.get(target);
    EXPECT_EQ(here.status, 200) << key;
    EXPECT_EQ(headers_of(here), headers_of(there)) << key;
    EXPECT_TRUE(here.body == there.body) << key;
    const HttpResponse unchanged =
        client.send({.target = target, .headers = {"If-None-Match: " + there.header("ETag")}});
    EXPECT_EQ(unchanged.status, 304) << key;
  }
}

ReplicaPair::ReplicaPair(NginxOptions primary, NginxOptions backup)
    : primary_options_(with_defaults(std::move(primary))),
      backup_options_(with_defaults(std::move(backup))),
      primary_(std::make_unique<NginxServer>(primary_options_)) {}

void ReplicaPair::start_primary() {
  primary_->start();
  client_ = std::make_unique<HttpClient>(primary_->port());
}

void ReplicaPair::start_backup(int port, Until until) {
  backup_options_.store_lines += backup_of_line(port == 0 ? primary_->port() : port);
  backup_ = std::make_unique<NginxServer>(backup_options_);
  backup_->start(until);
}

void ReplicaPair::start() {
  start_primary();
  start_backup();
  ASSERT_TRUE(backup_streams()) << logs();
}

NginxOptions ReplicaPair::backup_options(const std::string& more_store_lines) const {
  NginxOptions options = backup_options_;
  options.store_lines += more_store_lines;
  return options;
}

NginxOptions ReplicaPair::primary_options(const std::string& more_store_lines) const {
  NginxOptions options = primary_options_;
  options.store_lines += more_store_lines;
  return options;
}

void ReplicaPair::put(const std::string& key, const std::string& value) {
  expect_ok(client_->put("/v1/kv/" + key + "?raw", value));
}

bool ReplicaPair::backup_streams() {
  return poll_until([this] {
    const Json status = backup_status();
    return !status.empty() && status["replication"].contains("following") &&
           status["replication"]["following"]["phase"] == "streaming";
  });
}

std::string ReplicaPair::logs() const {
  std::string text = "primary:\n" + primary_->error_log();
  if (backup_ != nullptr) text += "backup:\n" + backup_->error_log();
  return text;
}

}  // namespace small_db::testing
