#include "tests/nginx/tcp_proxy.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>

namespace small_db::testing {
namespace {

constexpr int kPollMs = 5;
constexpr size_t kPieceBytes = 64 * 1024;
constexpr size_t kDripBytes = 2000;  // in one turn

sockaddr_in loopback(int port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  return address;
}

int connect_to(int port) {
  const int descriptor = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const sockaddr_in address = loopback(port);
  if (connect(descriptor, reinterpret_cast<const sockaddr*>(&address), sizeof address) == 0) {
    return descriptor;
  }
  close(descriptor);
  return -1;
}

void tune(int descriptor) {
  const int on = 1;
  setsockopt(descriptor, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  const timeval limit{1, 0};
  setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof limit);
}

bool is_ready(int descriptor, short what) {
  pollfd one{descriptor, what, 0};
  return poll(&one, 1, 0) > 0;
}

bool send_all(int to, const char* bytes, size_t count, size_t step) {
  while (count > 0) {
    const ssize_t sent = send(to, bytes, std::min(count, step), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes += sent;
    count -= static_cast<size_t>(sent);
  }
  return true;
}

}  // namespace

TcpProxy::TcpProxy(int server_port) : server_port_(server_port) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address = loopback(0);
  EXPECT_EQ(bind(listener_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  EXPECT_EQ(listen(listener_, 64), 0);
  socklen_t bytes = sizeof address;
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &bytes);
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

TcpProxy::~TcpProxy() {
  stopping_.store(true);
  thread_.join();
  for (const Connection& connection : all_) close_both(connection);
  close(listener_);
}

void TcpProxy::close_both(const Connection& connection) {
  close(connection.client);
  close(connection.server);
}

void TcpProxy::run() {
  while (!stopping_.load()) {
    std::vector<pollfd> wanted = {{listener_, POLLIN, 0}};
    if (mode_.load() != Mode::kStall) {
      for (const Connection& each : all_) {
        wanted.push_back({each.client, POLLIN, 0});
        wanted.push_back({each.server, POLLIN, 0});
      }
    }
    poll(wanted.data(), wanted.size(), kPollMs);
    if (is_ready(listener_, POLLIN)) accept_one();
    const bool cut_all = cut_.exchange(false);
    std::erase_if(all_, [&](Connection& each) {
      if (!cut_all && (mode_.load() == Mode::kStall || serve(&each))) return false;
      close_both(each);
      return true;
    });
  }
}

void TcpProxy::accept_one() {
  Connection connection;
  connection.client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection.client == -1) return;
  connections_.fetch_add(1);
  connection.made_in = mode_.load();
  connection.server = connection.made_in == Mode::kRefuse ? -1 : connect_to(server_port_);
  if (connection.server == -1) {
    close(connection.client);
    return;
  }
  tune(connection.client);
  tune(connection.server);
  const size_t least = bytes_min_.load();
  connection.limit = least + random_() % (bytes_max_.load() - least + 1);
  all_.push_back(connection);
}

// False: it has ended.
bool TcpProxy::serve(Connection* connection) {
  if (is_ready(connection->client, POLLIN) &&
      !pass(connection->client, connection->server, nullptr)) {
    return false;
  }
  const bool both_ready =
      is_ready(connection->server, POLLIN) && is_ready(connection->client, POLLOUT);
  return !both_ready || pass(connection->server, connection->client, connection);
}

// connection: its server's bytes; nullptr: its client's.
bool TcpProxy::pass(int from, int to, Connection* connection) {
  const bool drips = connection != nullptr && mode_.load() == Mode::kDrip;
  char bytes[kPieceBytes];
  const ssize_t got = recv(from, bytes, drips ? kDripBytes : kPieceBytes, 0);
  if (got <= 0) return false;
  auto count = static_cast<size_t>(got);
  if (connection == nullptr) return send_all(to, bytes, count, count);
  const bool cuts =
      connection->made_in == Mode::kCut && connection->passed + count >= connection->limit;
  if (cuts) count = connection->limit - connection->passed;
  if (connection->made_in == Mode::kSpoil) spoil(bytes, count, connection);
  connection->passed += count;
  bytes_.fetch_add(count);
  if (!send_all(to, bytes, count, drips ? 1 : count)) return false;
  if (cuts) cuts_.fetch_add(1);
  return !cuts;
}

// One byte, once the connection has had `limit` of them behind the first ones.
void TcpProxy::spoil(char* bytes, size_t count, Connection* connection) {
  const size_t at = kSpoilBehindBytes + connection->limit;
  if (at < connection->passed || at >= connection->passed + count) return;
  bytes[at - connection->passed] ^= static_cast<char>(1 + random_() % 255);
  spoilt_.fetch_add(1);
}

}  // namespace small_db::testing
