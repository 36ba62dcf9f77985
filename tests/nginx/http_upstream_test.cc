// HttpUpstream against nginx: what it asks for, what it makes of the answers, and TLS.
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>

#include "tests/nginx/certificates.h"
#include "tests/nginx/nginx_server.h"
#include "tests/nginx/upstream_probe.h"

namespace small_db::testing {
namespace {

// node_headers() as nginx's directives.
std::string add_node_headers() {
  const std::string one(32, '1');
  return "add_header Small-Db-Cluster " + one + " always;\nadd_header Small-Db-Node " + one +
         " always;\nadd_header Small-Db-Epoch 3 always;\n"
         "add_header Small-Db-Role fenced always;\n"
         "add_header Small-Db-History '1:" +
         one + ":0' always;\n";
}

std::string location(const std::string& path, const std::string& lines) {
  return "location = " + path + " {\n" + lines + "}\n";
}

std::string url_of(const NginxServer& server, const std::string& mount) {
  return "http://127.0.0.1:" + std::to_string(server.port()) + mount;
}

Uid uid_of(char byte) {
  Uid uid;
  uid.fill(static_cast<std::byte>(byte));
  return uid;
}

TEST(HttpUpstreamAtNginx, AsksForTheLog) {
  NginxOptions options;
  options.server_lines = location(
      "/a/b/replication/log", add_node_headers() + "return 200 '$request $http_authorization';\n");
  NginxServer server(options);
  server.start();
  const auto upstream = make_upstream(upstream_settings(url_of(server, "/a/b/")));
  CollectedBody body;
  const Hello hello{uid_of(0x11), uid_of(0x2f), 7, 123456, uid_of(0)};
  EXPECT_TRUE(upstream->get_log(hello, body).is_ok()) << upstream->failure();
  EXPECT_EQ(body.text,
            "GET /a/b/replication/log?from=123456&cluster=11111111111111111111111111111111&"
            "node=2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f2f&epoch=7&"
            "term=00000000000000000000000000000000 HTTP/1.1 Basic dXNlcjpzM2NyZXQgd29yZA==");
  EXPECT_EQ(body.head.status, 200);
  ASSERT_TRUE(body.head.node.has_value());
  EXPECT_EQ(body.head.node->role, Role::kFenced);
  EXPECT_EQ(body.head.node->epoch, 3u);
  EXPECT_EQ(upstream->failure(), "");
}

TEST(HttpUpstreamAtNginx, PostsAcknowledgementsOverOneConnection) {
  NginxOptions options;
  options.server_lines = location(
      "/v/replication/ack",
      add_node_headers() +
          "add_header Small-Db-Generation $connection always;\n"
          "add_header Small-Db-Common $connection_requests always;\n"
          "if ($request != 'POST "
          "/v/replication/"
          "ack?cluster=22222222222222222222222222222222&node=11111111111111111111111111111111&"
          "epoch=4&received=30&flushed=20&applied=10 HTTP/1.1') { return 400; }\n"
          "if ($content_length != 0) { return 411; }\n"
          "if ($content_type) { return 415; }\n"
          "return 200 '{\"ok\":true}';\n");
  NginxServer server(options);
  server.start();
  const auto upstream = make_upstream(upstream_settings(url_of(server, "/v/")));
  uint64_t connection = 0;
  for (uint64_t i = 1; i <= 5; i++) {
    UpstreamHead head;
    EXPECT_TRUE(upstream->post_ack(uid_of(0x22), uid_of(0x11), 4, {30, 20, 10}, &head).is_ok());
    EXPECT_EQ(head.status, 200) << upstream->failure();
    EXPECT_TRUE(head.node.has_value());
    if (i == 1) connection = head.generation;
    EXPECT_EQ(head.generation, connection);
    EXPECT_EQ(head.common_revision, i);
  }
}

TEST(HttpUpstreamAtNginx, TakesACheckpointWholeOrFromWhereItWas) {
  const TempDirectory files;
  std::string checkpoint;
  for (int i = 0; i < 300'000; i++) checkpoint += std::to_string(i) + " ";
  write_file(files.path() + "/checkpoint", checkpoint);
  NginxOptions options;
  options.server_lines =
      location("/v/replication/checkpoint", add_node_headers() +
                                                "add_header Small-Db-Generation 12 always;\n"
                                                "alias " +
                                                files.path() + "/checkpoint;\n");
  NginxServer server(options);
  server.start();
  const auto upstream = make_upstream(upstream_settings(url_of(server, "/v/")));

  CollectedBody whole;
  EXPECT_TRUE(upstream->get_checkpoint(uid_of(1), 0, "", whole).is_ok()) << upstream->failure();
  EXPECT_EQ(whole.head.status, 200);
  EXPECT_EQ(whole.head.generation, 12u);
  EXPECT_EQ(whole.head.total_bytes, checkpoint.size());
  EXPECT_EQ(whole.total, checkpoint.size());
  const std::string etag = whole.head.etag;
  ASSERT_GE(etag.size(), 3u);

  CollectedBody rest;
  const size_t offset = checkpoint.size() - 1000;
  EXPECT_TRUE(upstream->get_checkpoint(uid_of(1), offset, etag, rest).is_ok());
  EXPECT_EQ(rest.head.status, 206);
  EXPECT_EQ(rest.head.total_bytes, checkpoint.size());
  EXPECT_EQ(rest.head.etag, etag);
  EXPECT_EQ(rest.text, checkpoint.substr(offset));

  for (const std::string other : {"\"other\"", "", "W/\"x\"", "\"x\r\nX: y\""}) {
    CollectedBody again;
    EXPECT_TRUE(upstream->get_checkpoint(uid_of(1), offset, other, again).is_ok());
    EXPECT_EQ(again.head.status, 200) << other;
    EXPECT_EQ(again.total, checkpoint.size()) << other;
  }

  CollectedBody beyond;
  EXPECT_TRUE(upstream->get_checkpoint(uid_of(1), checkpoint.size(), etag, beyond).is_ok())
      << upstream->failure();
  EXPECT_EQ(beyond.head.status, 416);
  EXPECT_EQ(beyond.total, 0u);
}

TEST(HttpUpstreamAtNginx, PassesOnWhatANodeRefuses) {
  NginxOptions options;
  options.server_lines =
      location("/v/replication/log",
               add_node_headers() +
                   "add_header Small-Db-Common 41 always;\n"
                   "default_type application/problem+json;\n"
                   "return 409 '{\"type\":\"urn:small-db:problem:diverged\",\"title\":\"x\","
                   "\"status\":409,\"detail\":\"It holds other data.\"}';\n") +
      location("/v/replication/ack", "return 502;\n") +
      location("/v/replication/checkpoint", "return 301 https://elsewhere.invalid/;\n");
  NginxServer server(options);
  server.start();
  const auto upstream = make_upstream(upstream_settings(url_of(server, "/v/")));

  CollectedBody diverged;
  EXPECT_TRUE(upstream->get_log(Hello{}, diverged).is_ok()) << upstream->failure();
  EXPECT_EQ(diverged.begun, 1);
  EXPECT_EQ(diverged.total, 0u);
  EXPECT_EQ(diverged.head.status, 409);
  EXPECT_EQ(diverged.head.problem, "diverged");
  EXPECT_EQ(diverged.head.detail, "It holds other data.");
  EXPECT_EQ(diverged.head.common_revision, 41u);
  EXPECT_TRUE(diverged.head.node.has_value());
  EXPECT_EQ(upstream->failure(),
            url_of(server, "/v/") + ": the answer is 409 diverged: It holds other data.");

  UpstreamHead head;
  EXPECT_TRUE(upstream->post_ack(Uid{}, Uid{}, 1, {}, &head).is_ok());
  EXPECT_EQ(head.status, 502);
  EXPECT_FALSE(head.node.has_value());
  EXPECT_EQ(head.problem, "");

  CollectedBody moved;
  EXPECT_TRUE(upstream->get_checkpoint(Uid{}, 0, "", moved).is_ok());
  EXPECT_EQ(moved.head.status, 301);
  EXPECT_FALSE(moved.head.node.has_value());
}

TEST(HttpUpstreamAtNginx, GivesUserAndPasswordAndNeverTellsThem) {
  const TempDirectory files;
  write_file(files.path() + "/right", "user:{PLAIN}" + std::string(kPassword) + "\n");
  write_file(files.path() + "/wrong", "user:{PLAIN}other\n");
  const auto guarded = [&](const std::string& mount, const std::string& file) {
    return location(mount + "replication/log",
                    add_node_headers() + "auth_basic x;\nauth_basic_user_file " + files.path() +
                        file + ";\nalias " + files.path() + "/right;\n");
  };
  NginxOptions options;
  options.server_lines = guarded("/right/", "/right") + guarded("/wrong/", "/wrong");
  NginxServer server(options);
  server.start();

  CollectedBody body;
  EXPECT_TRUE(
      make_upstream(upstream_settings(url_of(server, "/right/")))->get_log(Hello{}, body).is_ok());
  EXPECT_EQ(body.head.status, 200);

  const auto upstream = make_upstream(upstream_settings(url_of(server, "/wrong/")));
  CollectedBody refused;
  EXPECT_TRUE(upstream->get_log(Hello{}, refused).is_ok());
  EXPECT_EQ(refused.head.status, 401);
  EXPECT_NE(upstream->failure().find("401"), std::string::npos) << upstream->failure();
  EXPECT_EQ(upstream->failure().find("s3cret"), std::string::npos);
  EXPECT_EQ(upstream->failure().find("user"), std::string::npos);
}

// Of a server that listens with TLS as well.
class TlsServer {
 public:
  explicit TlsServer(const Certificates& certificates, const std::string& name) {
    {
      const TalkingServer probe([](Peer&) {});
      port_ = probe.port();
    }
    NginxOptions options;
    options.server_lines =
        "listen 127.0.0.1:" + std::to_string(port_) + " ssl;\n" + "ssl_certificate " +
        certificates.path(name + ".pem") + ";\nssl_certificate_key " +
        certificates.path(name + ".key") + ";\nssl_client_certificate " +
        certificates.path("ca.pem") + ";\nssl_verify_client optional;\n" +
        location("/v/replication/log",
                 add_node_headers() + "return 200 '$ssl_client_verify $ssl_client_s_dn';\n");
    server_ = std::make_unique<NginxServer>(options);
    server_->start();
  }
  std::string url() const { return "https://127.0.0.1:" + std::to_string(port_) + "/v/"; }

 private:
  int port_ = 0;
  std::unique_ptr<NginxServer> server_;
};

TEST(HttpUpstreamAtNginx, TrustsTheAuthorityThatIsNamedAndShowsItsCertificate) {
  const Certificates certificates;
  const TlsServer server(certificates, "server");
  UpstreamSettings settings = upstream_settings(server.url());
  settings.ca_pem = certificates.text("ca.pem");
  CollectedBody without;
  EXPECT_TRUE(make_upstream(settings)->get_log(Hello{}, without).is_ok());
  EXPECT_EQ(without.text, "NONE ");

  settings.certificate_pem = certificates.text("client.pem");
  settings.key_pem = certificates.text("client.key");
  CollectedBody with;
  EXPECT_TRUE(make_upstream(settings)->get_log(Hello{}, with).is_ok());
  EXPECT_EQ(with.text, "SUCCESS CN=client");

  settings.certificate_pem += settings.key_pem;
  settings.key_pem.clear();
  CollectedBody in_one_file;
  EXPECT_TRUE(make_upstream(settings)->get_log(Hello{}, in_one_file).is_ok());
  EXPECT_EQ(in_one_file.text, "SUCCESS CN=client");
}

void expect_untrusted(const UpstreamSettings& settings, const std::string& words) {
  const auto upstream = make_upstream(settings);
  CollectedBody body;
  EXPECT_EQ(upstream->get_log(Hello{}, body).code(), Code::kUnavailable);
  EXPECT_EQ(body.begun, 0);
  EXPECT_NE(upstream->failure().find(words), std::string::npos) << upstream->failure();
  EXPECT_EQ(upstream->failure().find("PRIVATE"), std::string::npos);
}

TEST(HttpUpstreamAtNginx, TrustsNobodyElse) {
  const Certificates certificates;
  const TlsServer server(certificates, "server");
  UpstreamSettings settings = upstream_settings(server.url());
  expect_untrusted(settings, "certificate");
  settings.ca_pem = certificates.text("other.pem");
  expect_untrusted(settings, "certificate");
  settings.ca_pem = "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
  expect_untrusted(settings, "");

  const TlsServer elsewhere(certificates, "elsewhere");
  settings = upstream_settings(elsewhere.url());
  settings.ca_pem = certificates.text("ca.pem");
  expect_untrusted(settings, "127.0.0.1");
}

TEST(HttpUpstreamAtNginx, SaysThatItsOwnCertificateIsOfNoUse) {
  const Certificates certificates;
  const TlsServer server(certificates, "server");
  UpstreamSettings settings = upstream_settings(server.url());
  settings.ca_pem = certificates.text("ca.pem");
  settings.certificate_pem = certificates.text("client.pem");
  settings.key_pem = certificates.text("server.key");  // another's
  expect_untrusted(settings, "private key");
  // An encrypted key asks nobody at the terminal.
  const std::string encrypt = "openssl pkcs8 -topk8 -passout pass:x -in " +
                              certificates.path("client.key") + " -out " +
                              certificates.path("encrypted.key") + " 2>/dev/null";
  ASSERT_EQ(std::system(encrypt.c_str()), 0);
  settings.key_pem = certificates.text("encrypted.key");
  expect_untrusted(settings, "private key");
}

}  // namespace
}  // namespace small_db::testing
