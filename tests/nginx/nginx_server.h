// A whole nginx with the module, in a directory of its own, on loopback ports of its own.
//
// The binary is SMALL_DB_NGINX, the module SMALL_DB_MODULE, from the environment or as built.
// Everything that a server leaves behind is checked when it goes: its error log must hold no line
// [alert], [emerg] or [crit] but those that the test has declared.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "tests/nginx/http_client.h"
#include "tests/nginx/reserved_port.h"

namespace small_db::testing {

// What a test varies of nginx.conf. Texts are whole lines.
struct NginxOptions {
  int workers = 1;
  int connections = 512;  // of a worker
  bool master_process = true;
  bool daemon = false;
  std::string store_name = "main";
  std::string memory = "16m";
  std::string data_directory = "";  // of the store; empty: within the server's directory
  std::string store_lines = "";     // within small_db_store
  std::string main_lines = "";      // before events
  std::string events_lines = "";    // within events
  std::string http_lines = "";      // within http, before the server
  std::string server_lines = "";    // within server
  std::string location_lines = "";  // within location /v1/
};

// A directory below /tmp that nginx's workers may enter; removed with all it holds.
class TempDirectory {
 public:
  TempDirectory();
  ~TempDirectory();
  TempDirectory(const TempDirectory&) = delete;
  TempDirectory& operator=(const TempDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::string nginx_binary();
std::string module_file();

// Runs `nginx -t` on a configuration. Returns what it printed, and its exit code in *exit_code.
std::string check_configuration(const std::string& directory, const std::string& text,
                                int* exit_code);

std::string read_file(const std::string& path);
void write_file(const std::string& path, const std::string& text);

enum class Until { kServing, kListening };

class NginxServer {
 public:
  explicit NginxServer(NginxOptions options = {});
  ~NginxServer();  // stop, and check the error log
  NginxServer(const NginxServer&) = delete;
  NginxServer& operator=(const NginxServer&) = delete;

  // Starts nginx, and waits until /v1/health answers 200, or until anything answers.
  void start(Until until = Until::kServing);
  // For the next start or reload.
  void configure(NginxOptions options) { options_ = std::move(options); }
  // QUIT, and waits for the end. stop_with: another signal.
  void stop();
  void stop_with(int signal);
  // SIGKILL to the master and all of its children at once, and waits until none is left.
  void kill_everything();
  // Writes the configuration anew, sends HUP, and waits until only new workers take connections.
  void reload();
  void reload(NginxOptions options);
  // Starts nginx on the same ports once. False: it ends by itself.
  bool try_start_again();
  // SIGKILL to the master alone. The children that it leaves behind, which are the caller's now.
  std::vector<pid_t> kill_master();
  // The master in nginx.pid, and from now on this server's. REQUIRES: it descends from the former.
  pid_t follow_pid_file();

  // Declares a text that lines [alert], [emerg] or [crit] of this test may hold.
  void allow_log(std::string text) { allowed_.push_back(std::move(text)); }
  std::string error_log() const;

  int port() const { return port_.number(); }
  int http2_port() const { return http2_port_.number(); }
  const std::string& directory() const { return directory_.path(); }
  std::string data_directory() const {
    return options_.data_directory.empty() ? directory() + "/data/main" : options_.data_directory;
  }

  pid_t master() const { return master_; }
  // Workers that take connections; the process that holds the storage.
  std::vector<pid_t> workers() const;
  pid_t storage_process() const;

  bool is_serving();

 private:
  void write_configuration();
  void launch();
  void await_daemon();
  bool has_exited();
  void check_log() const;

  NginxOptions options_;
  TempDirectory directory_;
  ReservedPort port_;
  ReservedPort http2_port_;
  pid_t master_ = -1;
  std::vector<std::string> allowed_;
};

}  // namespace small_db::testing
