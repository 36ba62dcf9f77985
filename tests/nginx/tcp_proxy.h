// A TCP proxy on loopback that mistreats what goes through it. One thread of its own.
#pragma once

#include <atomic>
#include <cstdint>
#include <random>
#include <thread>
#include <vector>

namespace small_db::testing {

class TcpProxy {
 public:
  enum class Mode : int {
    kPass,
    kStall,   // nothing goes on, in either direction
    kCut,     // each connection ends after a random number of bytes from the server
    kDrip,    // the server's bytes go on one by one
    kSpoil,   // one of the server's bytes behind the first kSpoilBehindBytes is another
    kRefuse,  // every connection ends at once
  };
  static constexpr size_t kSpoilBehindBytes = 2000;

  explicit TcpProxy(int server_port);
  ~TcpProxy();
  TcpProxy(const TcpProxy&) = delete;
  TcpProxy& operator=(const TcpProxy&) = delete;

  int port() const { return port_; }
  // For the connections that there are, too, but for kCut and kSpoil.
  void set_mode(Mode mode) { mode_.store(mode); }
  // How much a connection has of the server's bytes in kCut, or before the damage in kSpoil.
  void set_bytes(size_t least, size_t most) {
    bytes_min_.store(least);
    bytes_max_.store(most);
  }
  // Ends all connections.
  void cut() { cut_.store(true); }

  uint64_t connections() const { return connections_.load(); }
  uint64_t cuts() const { return cuts_.load(); }      // connections that kCut has ended
  uint64_t spoilt() const { return spoilt_.load(); }  // connections that kSpoil has changed
  uint64_t bytes() const { return bytes_.load(); }    // of the server's that went on

 private:
  struct Connection {
    int client = -1;
    int server = -1;
    Mode made_in = Mode::kPass;
    size_t limit = 0;  // of kCut and kSpoil
    size_t passed = 0;
  };

  void run();
  void accept_one();
  bool serve(Connection* connection);
  bool pass(int from, int to, Connection* connection);
  void spoil(char* bytes, size_t count, Connection* connection);
  static void close_both(const Connection& connection);

  const int server_port_;
  int listener_ = -1;
  int port_ = 0;
  std::atomic<Mode> mode_{Mode::kPass};
  std::atomic<size_t> bytes_min_{1};
  std::atomic<size_t> bytes_max_{100'000};
  std::atomic<bool> cut_{false};
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> connections_{0};
  std::atomic<uint64_t> cuts_{0};
  std::atomic<uint64_t> spoilt_{0};
  std::atomic<uint64_t> bytes_{0};
  std::minstd_rand random_{12345};
  std::vector<Connection> all_;
  std::thread thread_;
};

}  // namespace small_db::testing
