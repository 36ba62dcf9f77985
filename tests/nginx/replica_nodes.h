// Whole nginx servers that follow one another, and what tests ask all of them.
#pragma once

#include <map>
#include <memory>
#include <nlohmann/json.hpp>
#include <string>

#include "tests/nginx/http_client.h"
#include "tests/nginx/nginx_server.h"

namespace small_db::testing {

std::string backup_of_line(int port);

// An empty object when the node does not answer.
nlohmann::json status_of_node(int port);
// "" when the node does not answer.
std::string role_of_node(int port);
HttpResponse post_to(int port, const std::string& target);

// SIGKILL to the process that holds the storage; waits for one first, and until it is gone.
void kill_storage(NginxServer& server);

// Every key with the revision of its last change and its value.
std::map<std::string, std::string> content_of_node(int port);

// Waits until the backup is at the revision of its primary, to which nobody writes.
bool catches_up(int backup_port, int primary_port, int timeout_ms = 60'000);

// The same keys; with the same answers to GET, headers and all.
void expect_same_content(int port, int other_port);
void expect_same_answers(int port, int other_port);

// Two nodes, the second one a backup of the first. Options are the test's; without store_lines,
// there are checkpoints when they are asked for.
class ReplicaPair {
 public:
  explicit ReplicaPair(NginxOptions primary = {}, NginxOptions backup = {});

  void start_primary();
  // port: where it is to find its primary; 0: where that is.
  void start_backup(int port = 0, Until until = Until::kServing);
  // Both, and waits until the backup follows.
  void start();

  NginxServer& primary() { return *primary_; }
  NginxServer& backup() { return *backup_; }
  HttpClient& client() { return *client_; }  // of the primary
  nlohmann::json primary_status() { return status_of_node(primary_->port()); }
  nlohmann::json backup_status() { return status_of_node(backup_->port()); }
  // As the nodes run, with this beside what the test has set.
  NginxOptions backup_options(const std::string& more_store_lines) const;
  NginxOptions primary_options(const std::string& more_store_lines) const;

  void put(const std::string& key, const std::string& value);
  bool backup_catches_up(int timeout_ms = 60'000) {
    return catches_up(backup_->port(), primary_->port(), timeout_ms);
  }
  bool backup_streams();
  void expect_same() { expect_same_content(backup_->port(), primary_->port()); }
  std::string logs() const;

 private:
  NginxOptions primary_options_;
  NginxOptions backup_options_;
  std::unique_ptr<NginxServer> primary_;
  std::unique_ptr<NginxServer> backup_;
  std::unique_ptr<HttpClient> client_;
};

}  // namespace small_db::testing
