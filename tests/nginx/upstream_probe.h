// What the tests of HttpUpstream share: a body that keeps what comes, settings with short times,
// and a server that says whatever it is told to.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "ngx_module/http_upstream.h"

namespace small_db::testing {

constexpr const char* kPassword = "s3cret word";

// The headers of a node, as HTTP has them on the wire.
inline std::string node_headers() {
  const std::string one(32, '1');
  return "Small-Db-Cluster: " + one + "\r\nSmall-Db-Node: " + one +
         "\r\nSmall-Db-Epoch: 3\r\nSmall-Db-Role: primary\r\nSmall-Db-History: 1:" + one + ":0\r\n";
}

inline UpstreamSettings upstream_settings(const std::string& url) {
  UpstreamSettings settings;
  const char* must = parse_upstream_url(url, &settings);
  EXPECT_EQ(must, nullptr) << url;
  settings.user = "user";
  settings.password = kPassword;
  settings.connect_timeout_ms = 1'000;
  settings.timeout_ms = 500;
  return settings;
}

inline std::unique_ptr<Upstream> make_upstream(const UpstreamSettings& settings) {
  std::signal(SIGPIPE, SIG_IGN);  // as in nginx
  return HttpUpstreamFactory(settings).make();
}

class CollectedBody : public UpstreamBody {
 public:
  bool begin(const UpstreamHead& head) override {
    begun++;
    this->head = head;
    return wants_body;
  }
  bool take(Bytes bytes) override {
    total += bytes.size();
    if (text.size() < 1024 * 1024) text += as_text(bytes);
    return total < bytes_max;
  }

  std::atomic<int> begun = 0;
  UpstreamHead head;
  std::atomic<size_t> total = 0;
  std::string text;  // the first of it
  bool wants_body = true;
  size_t bytes_max = SIZE_MAX;
};

inline int64_t milliseconds_of(const std::function<void()>& call) {
  const auto begin = std::chrono::steady_clock::now();
  call();
  return std::chrono::duration_cast<std::chrono::milliseconds>(std::chrono::steady_clock::now() -
                                                               begin)
      .count();
}

// One end of a connection, in the server's thread.
class Peer {
 public:
  Peer(int socket, int stop) : socket_(socket), stop_(stop) {}
  ~Peer() { close(socket_); }
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // Up to the empty line; what has come when the other side closes, or the server stops.
  std::string read_request() {
    std::string text;
    char byte = 0;
    while (text.find("\r\n\r\n") == std::string::npos && ready(POLLIN, -1) &&
           recv(socket_, &byte, 1, 0) == 1) {
      text += byte;
    }
    return text;
  }

  // False: the other side has closed, or the server stops.
  bool send(std::string_view bytes) {
    while (!bytes.empty()) {
      if (!ready(POLLOUT, -1)) return false;
      const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
      if (sent < 0) return false;
      bytes.remove_prefix(static_cast<size_t>(sent));
      sent_ += static_cast<size_t>(sent);
    }
    return true;
  }

  // Says nothing for so long. False: the other side has closed, or the server stops.
  bool wait(int milliseconds) {
    char byte = 0;
    if (!ready(POLLIN, milliseconds)) return !stopped_;
    return recv(socket_, &byte, 1, 0) == 1;
  }
  void wait_for_close() {
    while (wait(-1)) {
    }
  }
  size_t sent() const { return sent_; }

 private:
  bool ready(short events, int milliseconds) {
    pollfd polled[2] = {{socket_, events, 0}, {stop_, POLLIN, 0}};
    poll(polled, 2, milliseconds);
    stopped_ = polled[1].revents != 0;
    return !stopped_ && polled[0].revents != 0;
  }

  int socket_;
  int stop_;
  bool stopped_ = false;
  size_t sent_ = 0;
};

// Runs `talk` with each connection, one after the other.
class TalkingServer {
 public:
  using Talk = std::function<void(Peer&)>;
  explicit TalkingServer(Talk talk) : talk_(std::move(talk)), stop_(eventfd(0, EFD_CLOEXEC)) {
    listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t bytes = sizeof(address);
    EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), bytes), 0);
    EXPECT_EQ(listen(listener_, 8), 0);
    EXPECT_EQ(getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { run(); });
  }
  ~TalkingServer() {
    eventfd_write(stop_, 1);
    thread_.join();
    close(listener_);
    close(stop_);
  }
  TalkingServer(const TalkingServer&) = delete;
  TalkingServer& operator=(const TalkingServer&) = delete;

  int port() const { return port_; }
  std::string url(const char* scheme = "http") const {
    return std::string(scheme) + "://127.0.0.1:" + std::to_string(port_) + "/v1/";
  }
  int connections() const { return connections_; }

 private:
  void run() {
    for (;;) {
      pollfd polled[2] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
      poll(polled, 2, -1);
      if (polled[1].revents != 0) return;
      const int socket = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (socket == -1) continue;
      connections_++;
      Peer peer(socket, stop_);
      talk_(peer);
    }
  }

  Talk talk_;
  int stop_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<int> connections_ = 0;
  std::thread thread_;
};

}  // namespace small_db::testing
