// What a node's workers answer to other nodes, as ngx_module does: log_stream.cc,
// replication_log_handler.cc, replication_checkpoint_handler.cc, replication_ack_handler.cc.
#include <algorithm>
#include <array>

#include "engine/base/crc32c.h"
#include "engine/recovery/data_directory.h"
#include "engine/replication/log_feed.h"
#include "engine/replication/stream.h"
#include "ngx_module/api/follower_request.h"
#include "ngx_module/api/replication_figures.h"
#include "tests/cluster/cluster_node.h"

namespace small_db {
namespace {

constexpr size_t kPieceBytes = 2000;
constexpr uint64_t kStateEveryUs = 5'000;
constexpr uint64_t kAliveEveryUs = 20'000;

}  // namespace

class ClusterNode::LogAnswer : public NetAnswer {
 public:
  LogAnswer(ClusterNode& node, const Hello& hello)
      : node_(node),
        node_id_(hello.node_id),
        epoch_(node.epoch()),
        directory_(node.disk_.mount()),
        feed_(*directory_, hello.revision) {
    note_follower();
  }

  Next produce(std::string* bytes) override {
    const ReplicationState& state = node_.region_.region().replication();
    if (!node_.serves() || told_role(state) != Role::kPrimary || state.epoch.load() != epoch_) {
      return Next::kEnd;
    }
    const uint64_t durable = state.durable_revision.load();
    announce_state();
    const Result<bool> more = feed_.step(durable, kPieceBytes, bytes);
    note_follower();
    if (!more.is_ok()) return Next::kEnd;
    if (node_.world_.now_us >= next_alive_us_) put_alive(durable, bytes);
    return Next::kMore;
  }

 private:
  void note_follower() {
    if (FollowerState* follower = node_.follower(node_id_)) {
      follower->log_generation.store(feed_.generation());
    }
  }

  void announce_state() {
    if (node_.world_.now_us < next_state_us_) return;
    next_state_us_ = node_.world_.now_us + kStateEveryUs;
    const Result<Snapshot> snapshot = node_.client_->snapshot();
    if (!snapshot.is_ok()) return;
    feed_.announce_state(snapshot.value().root().revision, snapshot.value().root().content);
  }

  void put_alive(uint64_t durable, std::string* bytes) {
    if (feed_.revision() > durable) return;
    next_alive_us_ = node_.world_.now_us + kAliveEveryUs;
    std::array<std::byte, kAliveBodyBytes> body;
    encode_alive_body(0, body.data());
    StreamMessage message;
    message.type = StreamMessageType::kAlive;
    message.epoch = epoch_;
    message.first_revision = feed_.revision() + 1;
    message.durable_revision = durable;
    message.time_ms = node_.wall_ms();
    message.body = body;
    append_message(message, bytes);
  }

  ClusterNode& node_;
  const Uid node_id_;
  const uint64_t epoch_;
  const std::unique_ptr<Directory> directory_;
  LogFeed feed_;
  uint64_t next_state_us_ = 0;
  uint64_t next_alive_us_ = 0;
};

class ClusterNode::CheckpointAnswer : public NetAnswer {
 public:
  CheckpointAnswer(ClusterNode& node, const Uid& node_id, uint64_t generation, std::string bytes)
      : node_(node), node_id_(node_id), generation_(generation), rest_(std::move(bytes)) {
    note_follower();
  }

  Next produce(std::string* bytes) override {
    note_follower();
    *bytes = rest_.substr(0, kPieceBytes);
    rest_.erase(0, bytes->size());
    return rest_.empty() ? Next::kEnd : Next::kMore;
  }

 private:
  void note_follower() {
    if (FollowerState* follower = node_.follower(node_id_)) {
      follower->log_generation.store(generation_);
    }
  }

  ClusterNode& node_;
  const Uid node_id_;
  const uint64_t generation_;
  std::string rest_;
};

NodeIdentity ClusterNode::identity() const {
  const ReplicationState& state = region_.region().replication();
  NodeIdentity identity;
  identity.cluster_id = load_uid(state.cluster_id);
  identity.node_id = load_uid(state.node_id);
  identity.epoch = state.epoch.load();
  identity.role = told_role(state);
  identity.terms = parse_terms(state.terms.get()).value_or(std::vector<Term>());
  return identity;
}

UpstreamHead ClusterNode::head(int status, std::string problem) const {
  UpstreamHead head;
  head.status = status;
  head.node = identity();
  head.problem = std::move(problem);
  return head;
}

FollowerState* ClusterNode::follower(const Uid& node_id) const {
  FollowerState* follower = find_follower(region_.region().replication(), node_id, world_.now_us);
  if (follower != nullptr) follower->seen_us.store(world_.now_us);
  return follower;
}

UpstreamHead ClusterNode::accept(const NetRequest& request, std::unique_ptr<NetAnswer>* body) {
  switch (request.kind) {
    case NetRequest::Kind::kLog:
      return answer_log(request.hello, body);
    case NetRequest::Kind::kCheckpoint:
      return answer_checkpoint(request, body);
    case NetRequest::Kind::kAck:
      break;
  }
  return answer_ack(request);
}

UpstreamHead ClusterNode::answer_log(const Hello& hello, std::unique_ptr<NetAnswer>* body) {
  const uint64_t durable = region_.region().replication().durable_revision.load();
  const std::unique_ptr<Directory> directory = disk_.mount();
  const Result<uint64_t> oldest = LogFeed::oldest_revision(*directory);
  if (!oldest.is_ok()) return head(503, "unavailable");
  const Judgement judgement = judge(identity(), durable, oldest.value(), hello);
  if (judgement.verdict != Verdict::kResume) {
    UpstreamHead refused =
        head(judgement.verdict == Verdict::kBootstrap ? 410 : 409, verdict_name(judgement.verdict));
    refused.common_revision = judgement.common_revision;
    return refused;
  }
  if (follower(hello.node_id) == nullptr) return head(503, "overloaded");
  *body = std::make_unique<LogAnswer>(*this, hello);
  return head(200, "");
}

UpstreamHead ClusterNode::answer_checkpoint(const NetRequest& request,
                                            std::unique_ptr<NetAnswer>* body) {
  if (identity().role != Role::kPrimary) return head(409, "not-primary");
  const std::unique_ptr<Directory> directory = disk_.mount();
  const Result<DirectoryListing> listing = list_data_directory(*directory);
  if (!listing.is_ok()) return head(503, "io-error");
  const uint64_t generation = listing.value().version_generation;
  const Result<std::string> file =
      read_file(*directory, "checkpoint." + std::to_string(generation), kMiB);
  if (!file.is_ok()) {
    (void)ask_for_checkpoint();
    return head(503, "unavailable");
  }
  UpstreamHead answer = head(200, "");
  answer.generation = generation;
  answer.etag = std::to_string(generation) + "-" + std::to_string(crc32c(as_bytes(file.value())));
  answer.total_bytes = file.value().size();
  const bool goes_on = request.offset != 0 && request.etag == answer.etag;
  if (goes_on) answer.status = 206;
  *body = std::make_unique<CheckpointAnswer>(*this, request.node_id, generation,
                                             file.value().substr(goes_on ? request.offset : 0));
  return answer;
}

UpstreamHead ClusterNode::answer_ack(const NetRequest& request) {
  ReplicationState& state = region_.region().replication();
  const AckReport report = {request.cluster_id, request.node_id, request.epoch, request.report};
  const NodeIdentity before = identity();
  const bool same_cluster = report.cluster_id == before.cluster_id;
  if (same_cluster && report.epoch > before.epoch && before.role != Role::kBackup) {
    state.heard_epoch.store(std::max(state.heard_epoch.load(), report.epoch));
  }
  if (const std::optional<Problem> problem = ack_problem(identity(), report)) {
    return head(problem->status, problem->type);
  }
  FollowerState* place = follower(report.node_id);
  if (place == nullptr) return head(503, "overloaded");
  const FollowerProgress& progress = report.progress;
  note_ack(state, *place, report.epoch, progress.received, progress.flushed, progress.applied);
  return head(200, "");
}

}  // namespace small_db
