// Certificates for tests, made by openssl(1): valid for two days, with elliptic keys.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <string>

#include "tests/nginx/nginx_server.h"

namespace small_db::testing {

// An authority, a server's certificate from it, a client's, and an authority that nobody trusts.
class Certificates {
 public:
  Certificates() {
    make_authority("ca");
    make_authority("other");
    make_certificate("server", "IP:127.0.0.1");
    make_certificate("elsewhere", "DNS:elsewhere.invalid");
    make_certificate("client", "DNS:client.invalid");
  }
  std::string path(const std::string& name) const { return directory_.path() + "/" + name; }
  std::string text(const std::string& name) const { return read_file(path(name)); }

 private:
  void openssl(const std::string& arguments) {
    const std::string command =
        "cd " + directory_.path() + " && openssl " + arguments + " >log 2>&1";
    EXPECT_EQ(std::system(command.c_str()), 0) << arguments << text("log");
  }
  void make_authority(const std::string& name) {
    openssl(
        "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes "
        "-days 2 -subj /CN=" +
        name + " -keyout " + name + ".key -out " + name + ".pem");
  }
  void make_certificate(const std::string& name, const std::string& alternative) {
    openssl("req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj /CN=" + name +
            " -keyout " + name + ".key -out " + name + ".csr");
    write_file(path(name + ".ext"), "subjectAltName=" + alternative + "\n");
    openssl("x509 -req -days 2 -CA ca.pem -CAkey ca.key -CAcreateserial -in " + name +
            ".csr -extfile " + name + ".ext -out " + name + ".pem");
  }
  TempDirectory directory_;
};

}  // namespace small_db::testing
