#include "tests/nginx/reserved_port.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <random>
#include <string>
#include <utility>

namespace small_db::testing {
namespace {

constexpr int kFirst = 20'000;
constexpr int kCount = 10'000;
constexpr int kAttempts = 100;

// An abstract name (unix(7)), which only one socket can have. -1: another process has it.
int reserve(int port) {
  const int reservation = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  const std::string name = "small-db-test-port-" + std::to_string(port);
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::copy(name.begin(), name.end(), address.sun_path + 1);
  const auto bytes = static_cast<socklen_t>(offsetof(sockaddr_un, sun_path) + 1 + name.size());
  if (bind(reservation, reinterpret_cast<sockaddr*>(&address), bytes) == 0) return reservation;
  close(reservation);
  return -1;
}

bool is_free(int port) {
  const int probe = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(static_cast<uint16_t>(port));
  const bool free = bind(probe, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0;
  close(probe);
  return free;
}

}  // namespace

ReservedPort::ReservedPort() {
  for (int attempt = 0; attempt < kAttempts; attempt++) {
    const int port = kFirst + static_cast<int>(std::random_device()() % kCount);
    const int reservation = reserve(port);
    if (reservation != -1 && is_free(port)) {
      number_ = port;
      reservation_ = reservation;
      return;
    }
    if (reservation != -1) close(reservation);
  }
  ADD_FAILURE() << "no port is free";
}

ReservedPort::ReservedPort(ReservedPort&& other) noexcept
    : number_(std::exchange(other.number_, 0)),
      reservation_(std::exchange(other.reservation_, -1)) {}

ReservedPort& ReservedPort::operator=(ReservedPort&& other) noexcept {
  std::swap(number_, other.number_);
  std::swap(reservation_, other.reservation_);
  return *this;
}

ReservedPort::~ReservedPort() {
  if (reservation_ != -1) close(reservation_);
}

}  // namespace small_db::testing
