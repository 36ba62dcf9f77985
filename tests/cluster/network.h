// The network of a simulated cluster: connections that carry one request and its answer. A step
// moves one thing a little: a request arrives, a node makes a piece of its answer, a piece of it
// (cut anywhere) comes to who asked.
//
// A connection keeps its order, as TCP does; connections overtake each other. A link works in one
// direction, in both, or in none. A connection that breaks is noticed by either side at a time of
// its own; a request whose sender has given up may still arrive, much later; a report may arrive
// twice.
#pragma once

#include <array>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/replication/upstream.h"
#include "tests/sim/sim_fs_random.h"

namespace small_db {

inline constexpr size_t kClusterNodesMax = 3;

struct NetRequest {
  enum class Kind : uint8_t { kLog, kCheckpoint, kAck };
  Kind kind = Kind::kLog;
  Hello hello;              // of kLog
  Uid node_id{};            // of the others
  uint64_t offset = 0;      // of kCheckpoint
  std::string etag;         // of kCheckpoint
  Uid cluster_id{};         // of kAck
  uint64_t epoch = 0;       // of kAck
  FollowerProgress report;  // of kAck
};

// A piece of an answer.
struct NetPiece {
  std::optional<UpstreamHead> head = std::nullopt;
  std::string bytes = {};
  bool is_end = false;
};

// What a node's workers do for one request, once its head is sent.
class NetAnswer {
 public:
  virtual ~NetAnswer() = default;
  enum class Next : uint8_t { kMore, kEnd, kBroken };
  virtual Next produce(std::string* bytes) = 0;
};

// A node as others reach it.
class NetListener {
 public:
  virtual ~NetListener() = default;
  virtual bool listens() const = 0;
  // The answer's head; and what makes its body, if it has one.
  virtual UpstreamHead accept(const NetRequest& request, std::unique_ptr<NetAnswer>* body) = 0;
};

class Network {
 public:
  struct Connection {
    size_t from = 0;
    size_t to = 0;
    NetRequest request;
    bool is_asked_for = true;  // who asked still waits
    bool has_arrived = false;
    bool is_broken = false;
    std::unique_ptr<NetAnswer> answer = nullptr;
    std::deque<NetPiece> on_its_way = {};
    std::deque<NetPiece> here = {};
  };

  explicit Network(SimRandom& random);

  void add(NetListener& listener) { listeners_.push_back(&listener); }
  std::shared_ptr<Connection> connect(size_t from, size_t to, const NetRequest& request);

  void step();
  // One direction of the line between two nodes.
  void set_link(size_t from, size_t to, bool works) { works_[from][to] = works; }
  // From now on everything arrives, once and soon.
  void calm_down();
  // Breaks one connection.
  void cut();
  // Whatever the node was at is over; its own requests may be on their way.
  void lose(size_t node);
  // And those, too.
  void forget_requests(size_t node);

 private:
  void arrive(Connection& connection);
  void linger(Connection& connection);
  void produce(Connection& connection);
  void deliver(Connection& connection);

  SimRandom& random_;
  std::vector<NetListener*> listeners_;
  std::vector<std::shared_ptr<Connection>> connections_;
  std::array<std::array<bool, kClusterNodesMax>, kClusterNodesMax> works_{};
  bool is_calm_ = false;
};

// A node's way to another: calls that block, in a fiber.
class SimUpstream : public Upstream {
 public:
  SimUpstream(Network& network, const uint64_t& now_us, size_t from, size_t to)
      : network_(network), now_us_(now_us), from_(from), to_(to) {}

  Status get_log(const Hello& hello, UpstreamBody& body) override;
  Status get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                        UpstreamBody& body) override;
  Status post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                  const FollowerProgress& progress, UpstreamHead* head) override;
  void interrupt() noexcept override { interrupted_ = true; }
  void resume() noexcept override { interrupted_ = false; }
  std::string failure() const override { return "cut"; }

 private:
  Status ask(const NetRequest& request, UpstreamBody& body);

  Network& network_;
  const uint64_t& now_us_;
  const size_t from_;
  const size_t to_;
  bool interrupted_ = false;
};

}  // namespace small_db
