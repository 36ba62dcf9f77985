#include "tests/nginx/nginx_server.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

std::string from_environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value != nullptr && *value != '\0' ? value : otherwise;
}

// In the child: nginx in the foreground, its output in a file, gone when the test is.
[[noreturn]] void exec_nginx(const std::string& directory, const std::vector<std::string>& more) {
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  const std::string output = directory + "/output";
  const int file = open(output.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0644);
  dup2(file, STDOUT_FILENO);
  dup2(file, STDERR_FILENO);
  const std::string binary = nginx_binary();
  const std::string conf = directory + "/nginx.conf";
  const std::string log = directory + "/error.log";
  std::vector<std::string> texts = {binary, "-p", directory, "-c", conf, "-e", log};
  texts.insert(texts.end(), more.begin(), more.end());
  close_range(3, ~0u, 0);  // libcurl's sockets are not close-on-exec
  std::vector<char*> arguments;
  for (std::string& text : texts) arguments.push_back(text.data());
  arguments.push_back(nullptr);
  execvp(binary.c_str(), arguments.data());
  _exit(127);
}

pid_t spawn_nginx(const std::string& directory, const std::vector<std::string>& more = {}) {
  const pid_t child = fork();
  if (child == 0) exec_nginx(directory, more);
  EXPECT_GT(child, 0);
  return child;
}

// The user that workers run as, so that they are not the tests' own when those run as root.
std::string user_line() { return geteuid() == 0 ? "user nobody nogroup;\n" : ""; }

std::string temp_paths(const std::string& directory) {
  std::string lines;
  for (const char* name : {"client_body", "proxy", "fastcgi", "uwsgi", "scgi"}) {
    lines += std::string("  ") + name + "_temp_path " + directory + "/temp_" + name + ";\n";
  }
  return lines;
}

bool is_worker_title(const std::string& title) {
  return title.rfind("nginx: worker process", 0) == 0 &&
         title.find("shutting down") == std::string::npos;
}

}  // namespace

TempDirectory::TempDirectory() {
  char name[] = "/tmp/small-db-nginx-XXXXXX";
  EXPECT_NE(mkdtemp(name), nullptr);
  path_ = name;
  EXPECT_EQ(chmod(name, 0755), 0);
}

TempDirectory::~TempDirectory() {
  if (std::getenv("SMALL_DB_KEEP_DIRECTORIES") != nullptr) return;
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string nginx_binary() { return from_environment("SMALL_DB_NGINX", SMALL_DB_NGINX_BINARY); }
std::string module_file() { return from_environment("SMALL_DB_MODULE", SMALL_DB_MODULE_FILE); }

std::string read_file(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

void write_file(const std::string& path, const std::string& text) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  file << text;
  EXPECT_TRUE(file.flush()) << path;
}

std::string check_configuration(const std::string& directory, const std::string& text,
                                int* exit_code) {
  write_file(directory + "/nginx.conf", text);
  const pid_t child = spawn_nginx(directory, {"-t"});
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  *exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : -1;
  return read_file(directory + "/output");
}

// Orphans become this process's children: a daemon, what a killed master leaves, a new binary.
NginxServer::NginxServer(NginxOptions options) : options_(std::move(options)) {
  prctl(PR_SET_CHILD_SUBREAPER, 1);
}

NginxServer::~NginxServer() {
  stop();
  check_log();
}

void NginxServer::write_configuration() {
  std::ostringstream conf;
  conf << "load_module " << module_file() << ";\n"
       << user_line() << "daemon " << (options_.daemon ? "on" : "off") << ";\n"
       << "master_process " << (options_.master_process ? "on" : "off") << ";\n"
       << "worker_processes " << options_.workers << ";\n"
       << "pid " << directory() << "/nginx.pid;\n"
       << "error_log " << directory() << "/error.log info;\n"
       << options_.main_lines << "events {\n  worker_connections " << options_.connections << ";\n"
       << options_.events_lines << "}\n"
       << "http {\n"
       << "  access_log off;\n"
       << "  client_max_body_size 512m;\n"
       << temp_paths(directory()) << "  small_db_store " << options_.store_name << " {\n"
       << "    dir " << data_directory() << ";\n"
       << "    memory " << options_.memory << ";\n"
       << options_.store_lines << "  }\n"
       << options_.http_lines << "  server {\n"
       << "    listen 127.0.0.1:" << port() << ";\n"
       << "    listen 127.0.0.1:" << http2_port() << " http2;\n"
       << "    location /v1/ {\n      small_db " << options_.store_name << ";\n"
       << options_.location_lines << "    }\n"
       << "    location = /static { return 200 \"static\\n\"; }\n"
       << options_.server_lines << "  }\n}\n";
  write_file(directory() + "/nginx.conf", conf.str());
}

bool NginxServer::has_exited() {
  if (master_ <= 0 || waitpid(master_, nullptr, WNOHANG) == 0) return false;
  master_ = -1;
  return true;
}

bool NginxServer::is_serving() { return HttpClient(port()).get("/v1/health").status == 200; }

// Something that is no test may have taken the port before nginx binds it: then once more.
void NginxServer::launch() {
  for (int attempt = 0; attempt < 3; attempt++) {
    if (attempt > 0) {
      port_ = ReservedPort();
      http2_port_ = ReservedPort();
    }
    write_configuration();
    master_ = spawn_nginx(directory());
    if (options_.daemon) await_daemon();
    const bool answers = poll_until(
        [this] { return has_exited() || HttpClient(port()).get("/static").status == 200; });
    if (answers && master_ > 0) return;
    const std::string output = read_file(directory() + "/output");
    if (output.find("Address already in use") == std::string::npos) break;
  }
  ADD_FAILURE() << "nginx does not start: " << read_file(directory() + "/output") << error_log();
}

bool NginxServer::try_start_again() {
  write_configuration();
  master_ = spawn_nginx(directory());
  // Somebody else may answer on the port: only its pid file tells that it runs.
  const auto runs = [this] {
    return std::atoi(read_file(directory() + "/nginx.pid").c_str()) == master_;
  };
  return poll_until([&] { return has_exited() || runs(); }) && master_ > 0;
}

// The process that was started ends when the daemon has written its pid.
void NginxServer::await_daemon() {
  int status = 0;
  waitpid(master_, &status, 0);
  if (!WIFEXITED(status) || WEXITSTATUS(status) != 0) {
    master_ = -1;
    return;
  }
  follow_pid_file();
}

pid_t NginxServer::follow_pid_file() {
  master_ = std::atoi(read_file(directory() + "/nginx.pid").c_str());
  return master_;
}

std::vector<pid_t> NginxServer::kill_master() {
  const std::vector<pid_t> children = children_of(master_);
  kill(master_, SIGKILL);
  waitpid(master_, nullptr, 0);
  master_ = -1;
  return children;
}

void NginxServer::start(Until until) {
  launch();
  if (master_ <= 0 || until == Until::kListening) return;
  if (!poll_until([this] { return is_serving(); })) {
    ADD_FAILURE() << "the store does not serve: " << HttpClient(port()).get("/v1/health").body
                  << "\n"
                  << error_log();
  }
}

void NginxServer::stop() { stop_with(SIGQUIT); }

void NginxServer::stop_with(int signal) {
  if (master_ <= 0 || has_exited()) return;
  const pid_t master = master_;
  const std::vector<pid_t> children = children_of(master);
  kill(master, signal);
  if (!poll_until([this] { return has_exited(); })) {
    ADD_FAILURE() << "nginx does not stop\n" << error_log();
    kill_everything();
  }
  for (const pid_t child : children) {
    EXPECT_TRUE(poll_until([child] { return !is_running(child); })) << title_of(child);
  }
}

void NginxServer::kill_everything() {
  if (master_ <= 0) return;
  freeze(master_);  // so that it replaces nobody
  const std::vector<pid_t> children = children_of(master_);
  for (const pid_t child : children) kill(child, SIGKILL);
  kill(master_, SIGKILL);
  waitpid(master_, nullptr, 0);
  master_ = -1;
  for (const pid_t child : children) {
    EXPECT_TRUE(poll_until([child] { return !is_running(child); }));
  }
}

void NginxServer::reload(NginxOptions options) {
  options_ = std::move(options);
  reload();
}

void NginxServer::reload() {
  write_configuration();
  const std::vector<pid_t> old_workers = workers();
  kill(master_, SIGHUP);
  const bool done = poll_until([&] {
    const std::vector<pid_t> now = workers();
    return now.size() == static_cast<size_t>(options_.workers) &&
           std::none_of(now.begin(), now.end(), [&](pid_t pid) {
             return std::find(old_workers.begin(), old_workers.end(), pid) != old_workers.end();
           });
  });
  EXPECT_TRUE(done) << "the reload does not end\n" << error_log();
}

std::string NginxServer::error_log() const { return read_file(directory() + "/error.log"); }

std::vector<pid_t> NginxServer::workers() const {
  std::vector<pid_t> workers;
  if (master_ <= 0) return workers;
  for (const pid_t child : children_of(master_)) {
    if (is_worker_title(title_of(child))) workers.push_back(child);
  }
  return workers;
}

pid_t NginxServer::storage_process() const {
  for (const pid_t child : children_of(master_)) {
    if (title_of(child).rfind("nginx: cache manager process", 0) == 0) return child;
  }
  return -1;
}

void NginxServer::check_log() const {
  std::istringstream log(error_log());
  for (std::string line; std::getline(log, line);) {
    const bool bad = line.find("[alert]") != std::string::npos ||
                     line.find("[emerg]") != std::string::npos ||
                     line.find("[crit]") != std::string::npos;
    const bool allowed = std::any_of(allowed_.begin(), allowed_.end(), [&](const auto& text) {
      return line.find(text) != std::string::npos;
    });
    if (!bad || allowed) continue;
    // The whole of it, since a failed assertion is told in a line of its own before.
    ADD_FAILURE() << "in the error log: " << line << "\nof which the whole is:\n" << error_log();
    return;
  }
}

}  // namespace small_db::testing
