#include "tests/sim/nodes.h"

#include <dirent.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>

#include "engine/platform/futex.h"
#include "engine/platform/posix_file_system.h"
#include "engine/recovery/data_directory.h"
#include "engine/replication/handshake.h"
#include "engine/replication/log_feed.h"
#include "engine/shm/doorbell.h"

namespace small_db::testing {
namespace {

constexpr uint64_t kDeadlineUs = 30'000'000;
constexpr uint64_t kRegionBytes = 16 * kMiB;

void wait_a_moment() {
  std::atomic<uint32_t> never{0};
  futex_wait(never, 0, 500);
}

// A slot in a node's memory. REQUIRES: node.memory is held.
class NodeVisit {
 public:
  explicit NodeVisit(Node& node) : node_(node), slot_(claim_slot(node.region()).value()) {}
  ~NodeVisit() { release_slot(node_.region(), slot_); }
  NodeVisit(const NodeVisit&) = delete;
  NodeVisit& operator=(const NodeVisit&) = delete;
  const ClaimedSlot& slot() const { return slot_; }

 private:
  Node& node_;
  ClaimedSlot slot_;
};

// A node as another one reaches it.
class MemoryUpstream : public Upstream {
 public:
  explicit MemoryUpstream(Node& node) : node_(node) {}

  Status get_log(const Hello& hello, UpstreamBody& body) override;
  Status get_checkpoint(const Uid& node_id, uint64_t offset, std::string_view etag,
                        UpstreamBody& body) override;
  Status post_ack(const Uid& cluster_id, const Uid& node_id, uint64_t epoch,
                  const FollowerProgress& progress, UpstreamHead* head) override;
  void interrupt() noexcept override { interrupted_.store(true); }
  void resume() noexcept override { interrupted_.store(false); }
  std::string failure() const override { return "cut"; }

 private:
  bool is_cut() const { return interrupted_.load() || !node_.is_reachable() || !node_.serves(); }
  Status cut() const {
    return {interrupted_.load() ? Code::kInterrupted : Code::kUnavailable, "cut"};
  }
  NodeIdentity identity() const;
  UpstreamHead head(int status, std::string problem) const;
  Status send_log(const Hello& hello, UpstreamBody& body);
  void announce_state(SlotPins& pins, LogFeed& feed) const;

  Node& node_;
  std::atomic<bool> interrupted_{false};
};

NodeIdentity MemoryUpstream::identity() const {
  const ReplicationState& state = node_.region().replication();
  NodeIdentity identity;
  identity.cluster_id = load_uid(state.cluster_id);
  identity.node_id = load_uid(state.node_id);
  identity.epoch = state.epoch.load();
  identity.role = node_.role();
  identity.terms = parse_terms(state.terms.get()).value_or(std::vector<Term>());
  return identity;
}

UpstreamHead MemoryUpstream::head(int status, std::string problem) const {
  UpstreamHead head;
  head.status = status;
  head.node = identity();
  head.problem = std::move(problem);
  return head;
}

Status MemoryUpstream::get_log(const Hello& hello, UpstreamBody& body) {
  const std::shared_lock<std::shared_mutex> here(node_.memory);
  if (is_cut()) return cut();
  const std::unique_ptr<PosixDirectory> directory = PosixDirectory::open(node_.path()).value();
  const Result<uint64_t> oldest = LogFeed::oldest_revision(*directory);
  if (!oldest.is_ok()) return cut();
  const uint64_t durable = node_.region().replication().durable_revision.load();
  const Judgement judgement = judge(identity(), durable, oldest.value(), hello);
  if (judgement.verdict == Verdict::kResume) return send_log(hello, body);
  UpstreamHead refused =
      head(judgement.verdict == Verdict::kBootstrap ? 410 : 409, verdict_name(judgement.verdict));
  refused.common_revision = judgement.common_revision;
  body.begin(refused);
  return Status::ok();
}

void MemoryUpstream::announce_state(SlotPins& pins, LogFeed& feed) const {
  const Result<Snapshot> snapshot = Snapshot::take(pins);
  if (!snapshot.is_ok()) return;
  Hash128 content = snapshot.value().root().content;
  if (node_.lies()) content.low ^= 1;
  feed.announce_state(snapshot.value().root().revision, content);
}

Status MemoryUpstream::send_log(const Hello& hello, UpstreamBody& body) {
  if (!body.begin(head(200, ""))) return Status::ok();
  const std::unique_ptr<PosixDirectory> directory = PosixDirectory::open(node_.path()).value();
  LogFeed feed(*directory, hello.revision);
  const NodeVisit visit(node_);
  SlotPins pins(node_.region(), visit.slot().index);
  while (!is_cut() && node_.role() == Role::kPrimary) {
    std::string bytes;
    const uint64_t durable = node_.region().replication().durable_revision.load();
    announce_state(pins, feed);
    const Result<bool> more = feed.step(durable, 64 * kKiB, &bytes);
    if (!more.is_ok()) return cut();
    // In pieces that end anywhere.
    for (size_t at = 0; at < bytes.size(); at += 1000) {
      if (!body.take(as_bytes(std::string_view(bytes).substr(at, 1000)))) return Status::ok();
    }
    if (!more.value()) wait_a_moment();
  }
  return cut();
}

Status MemoryUpstream::get_checkpoint(const Uid&, uint64_t offset, std::string_view etag,
                                      UpstreamBody& body) {
  const std::shared_lock<std::shared_mutex> here(node_.memory);
  if (is_cut()) return cut();
  const std::unique_ptr<PosixDirectory> directory = PosixDirectory::open(node_.path()).value();
  UpstreamHead answer = head(200, "");
  answer.generation = list_data_directory(*directory).value().version_generation;
  if (answer.generation == 0) {
    body.begin(head(503, "no-checkpoint"));
    return Status::ok();
  }
  const std::string file =
      read_file(*directory, "checkpoint." + std::to_string(answer.generation), 64 * kMiB).value();
  answer.etag = std::to_string(answer.generation);
  answer.total_bytes = file.size();
  if (offset != 0 && etag == answer.etag) answer.status = 206;
  if (!body.begin(answer)) return Status::ok();
  for (size_t at = answer.status == 206 ? offset : 0; at < file.size(); at += 10'000) {
    if (is_cut()) return cut();
    if (!body.take(as_bytes(std::string_view(file).substr(at, 10'000)))) return Status::ok();
  }
  return Status::ok();
}

Status MemoryUpstream::post_ack(const Uid&, const Uid& node_id, uint64_t epoch,
                                const FollowerProgress& progress, UpstreamHead* answer) {
  const std::shared_lock<std::shared_mutex> here(node_.memory);
  if (is_cut()) return cut();
  ReplicationState& state = node_.region().replication();
  *answer = head(200, "");
  if (epoch > state.epoch.load()) {
    state.heard_epoch.store(epoch);
    ring_doorbell(node_.region());
    *answer = head(409, "fenced");
  } else if (epoch < state.epoch.load()) {
    *answer = head(409, "stale-epoch");
  } else if (FollowerState* follower =
                 find_follower(state, node_id, system_clock().monotonic_us())) {
    follower->seen_us.store(system_clock().monotonic_us());
    note_ack(state, *follower, epoch, progress.received, progress.flushed, progress.applied);
  }
  return Status::ok();
}

}  // namespace

bool eventually(const std::function<bool()>& condition) {
  const uint64_t deadline = system_clock().monotonic_us() + kDeadlineUs;
  while (!condition()) {
    if (system_clock().monotonic_us() > deadline) return false;
    wait_a_moment();
  }
  return true;
}

class Node::Bells : public WorkerBells {
 public:
  void ring(uint32_t) noexcept override {}
};

class Node::Lines : public EventLog {
 public:
  void write(Severity, std::string_view line) noexcept override {
    const std::lock_guard<std::mutex> guard(mutex_);
    lines_ += std::string(line) + "\n";
  }
  std::string lines() {
    const std::lock_guard<std::mutex> guard(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::string lines_;
};

class Node::Factory : public UpstreamFactory {
 public:
  explicit Factory(Node& primary) : primary_(primary) {}
  std::unique_ptr<Upstream> make() override { return std::make_unique<MemoryUpstream>(primary_); }
  const std::string& name() const override { return primary_.name(); }

 private:
  Node& primary_;
};

Node::Node(std::string name, uint32_t region_id)
    : name_(std::move(name)),
      region_(kRegionBytes, 2 * kSlotsMin, region_id),
      bells_(std::make_unique<Bells>()),
      lines_(std::make_unique<Lines>()) {
  std::string pattern = ::testing::TempDir() + "node_XXXXXX";
  path_ = mkdtemp(pattern.data());
  options.log_ahead_bytes = kMiB;
}

Node::~Node() {
  stop();
  if (DIR* directory = opendir(path_.c_str())) {
    while (const dirent* entry = readdir(directory)) unlink((path_ + "/" + entry->d_name).c_str());
    closedir(directory);
  }
  rmdir(path_.c_str());
}

void Node::start() {
  launch();
  ASSERT_TRUE(eventually([&] { return serves(); })) << name_ << ": " << region().reason();
}

void Node::launch() {
  stopping_.store(false);
  options.replication.primary_name = primary_ == nullptr ? "" : primary_->name();
  factory_ = primary_ == nullptr ? nullptr : std::make_unique<Factory>(*primary_);
  worker_ =
      std::make_unique<StorageWorker>(region(), path_, options, *bells_, *lines_, factory_.get());
  worker_->start();
  client_ = attach_client(region());
}

void Node::stop() {
  stopping_.store(true);
  { const std::unique_lock<std::shared_mutex> nobody_else(memory); }
  client_.reset();
  worker_.reset();
}

void Node::restart() {
  stop();
  region_.format();
  start();
}

void Node::replace_owner() {
  stopping_.store(true);
  { const std::unique_lock<std::shared_mutex> nobody_else(memory); }
  worker_.reset();
  worker_ =
      std::make_unique<StorageWorker>(region(), path_, options, *bells_, *lines_, factory_.get());
  const uint64_t epoch = region().header().owner_epoch.load();
  worker_->start();
  EXPECT_TRUE(
      eventually([&] { return region().header().owner_epoch.load() != epoch && serves(); }));
  stopping_.store(false);
}

Role Node::role() const { return static_cast<Role>(region().replication().role.load()); }

bool Node::serves() const {
  return region().header().state.load() == static_cast<uint32_t>(StoreState::kServing);
}

std::string Node::log() { return lines_->lines(); }

void Node::take_outcomes() {
  WriteOutcome outcome;
  while (client_->poll(&outcome)) outcomes_[outcome.cookie] = outcome;
}

bool Node::has_outcome(uint64_t cookie) {
  take_outcomes();
  return outcomes_.count(cookie) != 0;
}

WriteOutcome Node::await(uint64_t cookie) {
  if (!eventually([&] { return has_outcome(cookie); })) {
    ADD_FAILURE() << name_ << " does not answer\n" << log();
    WriteOutcome unknown;
    unknown.code = Code::kOutcomeUnknown;
    return unknown;
  }
  return outcomes_[cookie];
}

WriteOutcome Node::outcome(uint64_t cookie, const Status& submitted) {
  if (submitted.is_ok()) return await(cookie);
  WriteOutcome refused;
  refused.cookie = cookie;
  refused.code = submitted.code();
  return refused;
}

uint64_t Node::submit_put(std::string_view key, std::string_view value) {
  const uint64_t cookie = next_cookie_++;
  EXPECT_TRUE(client_->put(cookie, as_bytes(key), as_bytes(value), 0).is_ok());
  return cookie;
}

WriteOutcome Node::put(std::string_view key, std::string_view value) {
  const uint64_t cookie = next_cookie_++;
  return outcome(cookie, client_->put(cookie, as_bytes(key), as_bytes(value), 0));
}

WriteOutcome Node::checkpoint() {
  const uint64_t cookie = next_cookie_++;
  return outcome(cookie, client_->checkpoint(cookie));
}

WriteOutcome Node::promote() {
  const uint64_t cookie = next_cookie_++;
  return outcome(cookie, client_->promote(cookie));
}

uint64_t Node::submit_promote() {
  const uint64_t cookie = next_cookie_++;
  EXPECT_TRUE(client_->promote(cookie).is_ok());
  return cookie;
}

std::optional<std::string> Node::get(std::string_view key) { return read_value(*client_, key); }

std::string Node::content() {
  const Result<Snapshot> snapshot = client_->snapshot();
  if (!snapshot.is_ok()) return "no state";
  std::string content;
  Cursor cursor = snapshot.value().cursor();
  if (!cursor.seek_first().is_ok()) return "damaged";
  while (cursor.is_valid()) {
    const StoredRecord record = cursor.record().value();
    std::string value(record.value.bytes(), 0);
    if (!record.value.copy_to(reinterpret_cast<std::byte*>(value.data())).is_ok()) return "damaged";
    content += std::string(as_text(record.key)) + "=" + value + "@" +
               std::to_string(record.revision) + "\n";
    if (!cursor.next().is_ok()) return "damaged";
  }
  return content;
}

}  // namespace small_db::testing
