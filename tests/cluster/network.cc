#include "tests/cluster/network.h"

#include <algorithm>

#include "tests/cluster/fiber.h"

namespace small_db {
namespace {

constexpr size_t kPiecesOnTheWay = 4;
// An asker hears nothing for so long and gives up.
constexpr uint64_t kSilenceUs = 200'000;

}  // namespace

Network::Network(SimRandom& random) : random_(random) {
  for (auto& from : works_) from.fill(true);
}

std::shared_ptr<Network::Connection> Network::connect(size_t from, size_t to,
                                                      const NetRequest& request) {
  auto connection = std::make_shared<Connection>(Connection{from, to, request});
  connections_.push_back(connection);
  return connection;
}

void Network::step() {
  std::erase_if(connections_, [](const auto& each) {
    return !each->is_asked_for && each->has_arrived && each->answer == nullptr;
  });
  if (connections_.empty()) return;
  // What is added meanwhile may move the list.
  const std::shared_ptr<Connection> picked = connections_[random_.below(connections_.size())];
  Connection& connection = *picked;
  if (!connection.is_asked_for) return linger(connection);
  if (!connection.has_arrived) return arrive(connection);
  if (connection.is_broken) return;  // it will see that
  random_.chance(50) ? produce(connection) : deliver(connection);
}

// The node does not know that nobody waits for this any more.
void Network::linger(Connection& connection) {
  const unsigned dice = static_cast<unsigned>(random_.below(100));
  if (!connection.has_arrived) {
    if (is_calm_ || dice < 5) {
      connection.has_arrived = true;  // lost
    } else if (dice < 20) {
      arrive(connection);
    }
  } else if (is_calm_ || dice < 10) {
    connection.answer.reset();
  } else {
    produce(connection);
  }
}

void Network::arrive(Connection& connection) {
  if (!works_[connection.from][connection.to]) return;
  NetListener& listener = *listeners_[connection.to];
  connection.has_arrived = true;
  if (!listener.listens()) {
    connection.is_broken = true;
    return;
  }
  if (connection.request.kind == NetRequest::Kind::kAck && !is_calm_ && random_.chance(10)) {
    connect(connection.from, connection.to, connection.request)->is_asked_for = false;
  }
  const UpstreamHead head = listener.accept(connection.request, &connection.answer);
  connection.on_its_way.push_back({head});
  if (connection.answer == nullptr) connection.on_its_way.push_back({{}, {}, true});
}

void Network::produce(Connection& connection) {
  if (connection.answer == nullptr || connection.on_its_way.size() >= kPiecesOnTheWay) return;
  NetPiece piece;
  const NetAnswer::Next next = connection.answer->produce(&piece.bytes);
  if (!piece.bytes.empty()) connection.on_its_way.push_back(std::move(piece));
  if (next == NetAnswer::Next::kMore) return;
  connection.answer.reset();
  if (next == NetAnswer::Next::kEnd) {
    connection.on_its_way.push_back({{}, {}, true});
  } else {
    connection.is_broken = true;
  }
}

void Network::deliver(Connection& connection) {
  if (connection.on_its_way.empty() || !works_[connection.to][connection.from]) return;
  NetPiece& piece = connection.on_its_way.front();
  if (piece.bytes.size() > 1 && random_.chance(is_calm_ ? 5 : 40)) {
    const size_t cut = 1 + random_.below(piece.bytes.size() - 1);
    connection.here.push_back({{}, piece.bytes.substr(0, cut)});
    piece.bytes.erase(0, cut);
    return;
  }
  connection.here.push_back(std::move(piece));
  connection.on_its_way.pop_front();
}

void Network::calm_down() {
  is_calm_ = true;
  for (auto& from : works_) from.fill(true);
}

void Network::cut() {
  if (connections_.empty()) return;
  Connection& connection = *connections_[random_.below(connections_.size())];
  connection.is_broken = true;
  connection.on_its_way.clear();
}

void Network::lose(size_t node) {
  for (const auto& connection : connections_) {
    if (connection->from == node) connection->is_asked_for = false;
    if (connection->to != node || !connection->has_arrived) continue;
    connection->answer.reset();
    connection->is_broken = true;
  }
}

void Network::forget_requests(size_t node) {
  std::erase_if(connections_, [node](const auto& each) {
    return each->from == node && !each->is_asked_for && !each->has_arrived;
  });
}

Status SimUpstream::ask(const NetRequest& request, UpstreamBody& body) {
  if (interrupted_) return {Code::kInterrupted, "cluster: interrupted"};
  const auto connection = network_.connect(from_, to_, request);
  uint64_t heard_us = now_us_;
  Status status = {Code::kUnavailable, "cluster: cut"};
  for (;; Fiber::pause()) {
    if (interrupted_) {
      status = {Code::kInterrupted, "cluster: interrupted"};
      break;
    }
    if (connection->here.empty()) {
      if (connection->is_broken || now_us_ - heard_us > kSilenceUs) break;
      continue;
    }
    heard_us = now_us_;
    const NetPiece piece = std::move(connection->here.front());
    connection->here.pop_front();
    const bool wants_more = piece.is_end ? false
                            : piece.head ? body.begin(*piece.head)
                                         : body.take(as_bytes(piece.bytes));
    if (wants_more) continue;
    status = Status::ok();
    break;
  }
  connection->is_asked_for = false;
  return status;
}

Status SimUpstream::get_log(const Hello& hello, UpstreamBody& body) {
  NetRequest request;
  request.hello = hello;
  return ask(request, body);
}

Status SimUpstream::get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                                   UpstreamBody& body) {
  NetRequest request;
  request.kind = NetRequest::Kind::kCheckpoint;
  request.node_id = node_id;
  request.offset = offset;
  request.etag = etag;
  return ask(request, body);
}

Status SimUpstream::post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                             const FollowerProgress& progress, UpstreamHead* head) {
  struct Head : UpstreamBody {
    explicit Head(UpstreamHead* into) : into(into) {}
    bool begin(const UpstreamHead& head) override {
      *into = head;
      return true;
    }
    bool take(Bytes) override { return true; }
    UpstreamHead* into;
  } body(head);
  NetRequest request;
  request.kind = NetRequest::Kind::kAck;
  request.cluster_id = cluster_id;
  request.node_id = node_id;
  request.epoch = epoch;
  request.report = progress;
  return ask(request, body);
}

}  // namespace small_db
