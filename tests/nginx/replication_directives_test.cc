// The directives of replication: each wrong value is refused by `nginx -t` with directive, value
// and line, and no message ever shows a password.
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {
namespace {

constexpr const char* kCertificate =
    "-----BEGIN CERTIFICATE-----\nMII=\n-----END CERTIFICATE-----\n";
constexpr const char* kKey = "-----BEGIN PRIVATE KEY-----\nMII=\n-----END PRIVATE KEY-----\n";
constexpr const char* kEncryptedKey =
    "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMII=\n-----END ENCRYPTED PRIVATE KEY-----\n";

class ReplicationDirectives : public ::testing::Test {
 protected:
  ReplicationDirectives() {
    write_file(path("ca.pem"), kCertificate);
    write_file(path("certificate.pem"), kCertificate);
    write_file(path("key.pem"), kKey);
    write_file(path("both.pem"), std::string(kCertificate) + kKey);
    write_file(path("encrypted.pem"), kEncryptedKey);
    write_file(path("rsa.pem"),
               "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\n"
               "-----END RSA PRIVATE KEY-----\n");
    write_file(path("text.pem"), "no certificate\n");
    write_file(path("empty.pem"), "");
    write_file(path("long.pem"), kCertificate + std::string(1024 * 1024, 'x'));
    EXPECT_EQ(mkfifo(path("fifo.pem").c_str(), 0600), 0);
  }

  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }

  // What `nginx -t` says. The lines stand in line 9 of the file.
  std::string check(const std::string& lines, int* exit_code) {
    return check_configuration(
        directory_.path(),
        "load_module " + module_file() + ";\npid " + path("nginx.pid") + ";\nerror_log " +
            path("error.log") + ";\nevents {}\nhttp {\nsmall_db_store main {\ndir " + path("data") +
            ";\nmemory 16m;\n" + lines + "\n}\n" +
            "server { listen 127.0.0.1:1; location /v1/ { small_db main; } }\n}\n",
        exit_code);
  }

  void expect_taken(const std::string& lines) {
    int exit_code = 0;
    const std::string output = check(lines, &exit_code);
    EXPECT_EQ(exit_code, 0) << lines << "\n" << output;
  }

  void expect_refused(const std::string& lines, const std::vector<std::string>& texts) {
    int exit_code = 0;
    const std::string output = check(lines, &exit_code);
    EXPECT_EQ(exit_code, 1) << lines << "\n" << output;
    EXPECT_NE(output.find("[emerg]"), std::string::npos) << output;
    EXPECT_NE(output.find("nginx.conf:9"), std::string::npos) << output;
    EXPECT_EQ(output.find("secret"), std::string::npos) << output;
    for (const std::string& text : texts) {
      EXPECT_NE(output.find(text), std::string::npos) << text << " is not in:\n" << output;
    }
  }

 private:
  TempDirectory directory_;
};

TEST_F(ReplicationDirectives, AreTakenInEveryFormThatIsDocumented) {
  const char* cases[] = {
      "backup_of http://10.0.0.1/v1/;",
      "backup_of https://user:secret@10.0.0.1:8443/flags/v1/;",
      "backup_of https://[::1]/ ca=ca.pem certificate=certificate.pem key=key.pem;",
      "backup_of https://primary/ certificate=both.pem connect_timeout=100ms timeout=10m;",
      "backup_of http://primary/ timeout=2s connect_timeout=60s;",
      "backup_of http://primary/ timeout=30;",
      "replication_ack 0;",
      "replication_ack 8 timeout=10ms on_timeout=degrade;",
      "replication_ack 1 on_timeout=refuse timeout=10m;",
      "replication_ack 0 timeout=5s;",
      "replication_log_size 1m;",
      "replication_log_size 4096g;",
      "replication_log_size 1g; replication_ack 1; backup_of http://primary/v1/;",
  };
  for (const char* lines : cases) expect_taken(lines);
  expect_taken("backup_of https://primary/ ca=" + path("ca.pem") + ";");
}

TEST_F(ReplicationDirectives, NameTheValueThatIsWrong) {
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"backup_of;", {"\"backup_of\"", "number of arguments"}},
      {"backup_of \"\";", {"\"backup_of\"", "http://"}},
      {"backup_of http://primary/ timeout=1s;", {"\"timeout=1s\"", "between 2s and 10m"}},
      {"backup_of http://primary/ timeout=11m;", {"\"timeout=11m\"", "between 2s and 10m"}},
      {"backup_of http://primary/ timeout=;", {"\"timeout=\"", "between 2s and 10m"}},
      {"backup_of http://primary/ connect_timeout=99ms;", {"\"connect_timeout=99ms\"", "100ms"}},
      {"backup_of http://primary/ connect_timeout=61s;", {"\"connect_timeout=61s\"", "60s"}},
      {"backup_of http://primary/ timeout=5s timeout=5s;", {"\"timeout=5s\"", "once"}},
      {"backup_of http://primary/ colour=blue;", {"unknown argument, number 2", "ca=FILE"}},
      {"replication_ack;", {"\"replication_ack\"", "number of arguments"}},
      {"replication_ack 9;", {"\"replication_ack\"", "\"9\"", "between 0 and 8"}},
      {"replication_ack -1;", {"\"replication_ack\"", "\"-1\"", "between 0 and 8"}},
      {"replication_ack all;", {"\"replication_ack\"", "\"all\""}},
      {"replication_ack 1 timeout=9ms;", {"\"timeout=9ms\"", "between 10ms and 10m"}},
      {"replication_ack 1 timeout=11m;", {"\"timeout=11m\"", "between 10ms and 10m"}},
      {"replication_ack 1 on_timeout=wait;", {"\"on_timeout=wait\"", "on_timeout=degrade"}},
      {"replication_ack 1 on_timeout=;", {"\"on_timeout=\"", "on_timeout=degrade"}},
      {"replication_ack 1 timeout=5s timeout=5s;", {"\"timeout=5s\"", "once"}},
      {"replication_ack 1 2;", {"\"replication_ack\"", "\"2\"", "timeout=TIME"}},
      {"replication_log_size 1;", {"\"replication_log_size\"", "\"1\"", "between 1m and 4096g"}},
      {"replication_log_size 4097g;", {"\"4097g\"", "between 1m and 4096g"}},
      {"replication_log_size much;", {"\"much\"", "between 1m and 4096g"}},
      {"replication_log_size 1g 2g;", {"\"replication_log_size\"", "number of arguments"}},
  };
  for (const auto& [lines, texts] : cases) expect_refused(lines, texts);
}

TEST_F(ReplicationDirectives, ReadTheirFilesWithTheConfiguration) {
  const std::string url = "backup_of https://primary/ ";
  const std::pair<const char*, std::vector<std::string>> cases[] = {
      {"ca=missing.pem;", {"\"backup_of\"", path("missing.pem"), "No such file"}},
      {"ca=/;", {"\"backup_of\"", "\"/\"", "Is a directory"}},
      {"ca=;", {"\"ca=\"", "PEM"}},
      {"ca=text.pem;", {"\"ca=text.pem\"", "PEM"}},
      {"ca=empty.pem;", {"\"ca=empty.pem\"", "PEM"}},
      {"ca=fifo.pem;", {"\"ca=fifo.pem\"", "PEM"}},
      {"ca=long.pem;", {"\"ca=long.pem\"", "at most 1m"}},
      {"certificate=certificate.pem key=ca.pem;", {"\"key=ca.pem\"", "private key"}},
      {"certificate=certificate.pem key=encrypted.pem;", {"encrypted.pem", "unencrypted"}},
      {"certificate=certificate.pem key=rsa.pem;", {"rsa.pem", "unencrypted"}},
      {"certificate=certificate.pem;", {"a \"certificate\" without a \"key\""}},
      {"key=key.pem;", {"a \"key\" without a \"certificate\""}},
  };
  for (const auto& [parameters, texts] : cases) expect_refused(url + parameters, texts);
  expect_refused("backup_of http://primary/ ca=ca.pem;", {"\"backup_of\"", "https"});
}

TEST_F(ReplicationDirectives, NeverShowAPassword) {
  const char* cases[] = {
      "backup_of https://user:secret@primary/v1;",
      "backup_of https://user:secret@primary/v1/?x;",
      "backup_of https://user:sec#secret@primary/v1/;",
      "backup_of ftp://user:secret@primary/v1/;",
      "backup_of user:secret@primary/v1/;",
      "backup_of https://user:secret/v1/;",
      "backup_of https://user: secret@primary/v1/;",
      "backup_of http://primary/ https://user:secret@primary/v1/;",
      "backup_of timeout=5s https://user:secret@primary/v1/;",
      "backup_of https://user:secret@primary/v1/ key=key.pem;",
      "backup_of https://user:secret@primary/v1/ timeout=1s;",
      "backup_of https://user:secret@primary/v1/ secret;",
  };
  for (const char* lines : cases) expect_refused(lines, {"\"backup_of\""});
}

TEST_F(ReplicationDirectives, AreNotRepeated) {
  for (const std::string line :
       {"backup_of http://primary/;", "replication_ack 1;", "replication_log_size 1g;"}) {
    const std::string name = line.substr(0, line.find(' '));
    expect_refused(line + line, {"\"" + name + "\" directive is duplicate"});
  }
}

}  // namespace
}  // namespace small_db::testing
