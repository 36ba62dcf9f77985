// A backup that reaches its primary by https, with a name and a password.
#include <gtest/gtest.h>

#include "tests/nginx/certificates.h"
#include "tests/nginx/processes.h"
#include "tests/nginx/replica_nodes.h"
#include "tests/nginx/reserved_port.h"

namespace small_db::testing {
namespace {

constexpr const char* kPassword = "pa55word";

// A primary whose replication needs TLS and a password; its clients need neither.
class ReplicationTls : public ::testing::Test {
 protected:
  void SetUp() override {
    write_file(certificates_.path("users"), std::string("backup:{PLAIN}") + kPassword + "\n");
    NginxOptions options = {.store_lines = "checkpoint off;\n"};
    options.http_lines = "server {\n  listen 127.0.0.1:" + std::to_string(port_.number()) +
                         " ssl;\n  ssl_certificate " + certificates_.path("server.pem") +
                         ";\n  ssl_certificate_key " + certificates_.path("server.key") +
                         ";\n  location /private/ {\n    small_db main;\n    auth_basic db;\n"
                         "    auth_basic_user_file " +
                         certificates_.path("users") + ";\n  }\n}\n";
    primary_ = std::make_unique<NginxServer>(options);
    primary_->start();
    client_ = std::make_unique<HttpClient>(primary_->port());
    expect_ok(client_->put("/v1/kv/before?raw", "value"));
  }
  std::string store_lines(const std::string& user, const std::string& authority) {
    return "checkpoint off;\nbackup_of https://" + user +
           "127.0.0.1:" + std::to_string(port_.number()) +
           "/private/ ca=" + certificates_.path(authority) + ";\n";
  }
  void start_backup(const std::string& user, const std::string& authority = "ca.pem") {
    backup_ =
        std::make_unique<NginxServer>(NginxOptions{.store_lines = store_lines(user, authority)});
    backup_->start(Until::kListening);
  }
  // One line, which holds no secret.
  void expect_told(const std::string& words) {
    EXPECT_TRUE(poll_until([&] { return backup_->error_log().find(words) != std::string::npos; }))
        << backup_->error_log();
    const nlohmann::json status = status_of_node(backup_->port());
    EXPECT_NE(status["replication"]["following"].value("problem", "").find(words),
              std::string::npos)
        << status;
    for (const std::string& text : {backup_->error_log(), status.dump(),
                                    HttpClient(backup_->port()).put("/v1/kv/k?raw", "v").body}) {
      EXPECT_EQ(text.find("pa55"), std::string::npos) << text;
      EXPECT_EQ(text.find("wrong-one"), std::string::npos) << text;
    }
    expect_problem(HttpClient(backup_->port()).get("/v1/kv/before"), 503, "unavailable");
  }

  const Certificates certificates_;
  ReservedPort port_;
  std::unique_ptr<NginxServer> primary_;
  std::unique_ptr<NginxServer> backup_;
  std::unique_ptr<HttpClient> client_;
};

TEST_F(ReplicationTls, TheBackupFollows) {
  start_backup(std::string("backup:") + kPassword + "@");
  ASSERT_TRUE(catches_up(backup_->port(), primary_->port())) << backup_->error_log();
  expect_ok(client_->put("/v1/kv/large?raw", std::string(1'000'000, 'v')));
  ASSERT_TRUE(catches_up(backup_->port(), primary_->port())) << backup_->error_log();
  expect_same_answers(backup_->port(), primary_->port());
  ASSERT_TRUE(poll_until([&] {
    return status_of_node(primary_->port())["replication"]["followers"][0]["behind"] == 0;
  }));
  EXPECT_EQ(backup_->error_log().find(kPassword), std::string::npos);
  EXPECT_EQ(status_of_node(backup_->port()).dump().find(kPassword), std::string::npos);
  const HttpResponse refused = HttpClient(backup_->port()).put("/v1/kv/k?raw", "v");
  expect_problem(refused, 403, "not-primary", "https://127.0.0.1");
  EXPECT_EQ(refused.body.find(kPassword), std::string::npos);
}

TEST_F(ReplicationTls, AWrongPasswordIsToldWithoutIt) {
  start_backup("backup:wrong-one@");
  expect_told("401");
  // Once it is right, a reload is enough.
  backup_->reload({.store_lines = store_lines(std::string("backup:") + kPassword + "@", "ca.pem")});
  ASSERT_TRUE(catches_up(backup_->port(), primary_->port())) << backup_->error_log();
}

TEST_F(ReplicationTls, AnAuthorityThatDidNotSignItIsTold) {
  start_backup(std::string("backup:") + kPassword + "@", "other.pem");
  expect_told("certificate");
}

TEST_F(ReplicationTls, ThePromotedFencesThePrimaryThroughIt) {
  start_backup(std::string("backup:") + kPassword + "@");
  ASSERT_TRUE(catches_up(backup_->port(), primary_->port())) << backup_->error_log();
  EXPECT_EQ(post_to(backup_->port(), "/v1/promote").status, 200);
  EXPECT_TRUE(poll_until([&] { return role_of_node(primary_->port()) == "fenced"; }));
}

}  // namespace
}  // namespace small_db::testing
