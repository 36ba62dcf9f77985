#include "engine/replication/follower.h"

#include <algorithm>
#include <random>

#include "engine/shm/doorbell.h"

namespace small_db {
namespace {

constexpr int kOk = 200;
constexpr int kPartial = 206;

}  // namespace

Follower::Follower(Region region, Directory& directory, Clock& clock, EventLog& log,
                   Upstream& upstream, ReplicatedFrames& frames, FollowerHost& host)
    : region_(region),
      directory_(directory),
      clock_(clock),
      log_(log),
      upstream_(upstream),
      frames_(frames),
      host_(host) {}

Follower::~Follower() { set_phase(FollowPhase::kIdle); }

Follower::Next Follower::follow() {
  set_phase(FollowPhase::kConnecting);
  fetch_ = Fetch::kLog;
  head_ = UpstreamHead();
  failure_ = Status::ok();
  progressed_ = false;
  is_ahead_ = false;
  is_copy_ = false;
  hello_ = host_.hello();
  return after_log(upstream_.get_log(hello_, *this));
}

Follower::Next Follower::after_log(const Status& status) {
  if (progressed_) failures_ = 0;
  region_.replication().reconnects.fetch_add(1, std::memory_order_relaxed);
  if (is_copy_) {
    const Status renewed = host_.renew_node_id();
    return renewed.is_ok() ? Next::kAgain : fail("no new node id: " + renewed.text());
  }
  if (is_ahead_) return fetch_checkpoint(false);
  if (!failure_.is_ok()) return fail("the primary's log can't be followed: " + failure_.text());
  if (!status.is_ok()) return fail("the primary can't be reached: " + upstream_.failure());
  if (head_.status == kOk) return progressed_ ? Next::kAgain : Next::kLater;
  return refused();
}

Follower::Next Follower::refused() {
  if (head_.problem == "bootstrap-needed") return fetch_checkpoint(false);
  if (head_.problem == "diverged") return fetch_checkpoint(true);
  return fail_by_answer();
}

Follower::Next Follower::fail_by_answer() {
  return fail("the primary answers " + std::to_string(head_.status) +
              (head_.problem.empty() ? "" : " " + head_.problem) +
              (head_.detail.empty() ? "" : ": " + head_.detail));
}

bool Follower::begin(const UpstreamHead& head) {
  head_ = head;
  region_.replication().contact_us.store(clock_.monotonic_us(), std::memory_order_relaxed);
  return fetch_ == Fetch::kLog ? begin_log(head) : begin_checkpoint(head);
}

bool Follower::take(Bytes bytes) {
  region_.replication().contact_us.store(clock_.monotonic_us(), std::memory_order_relaxed);
  return fetch_ == Fetch::kLog ? take_log(bytes) : take_checkpoint(bytes);
}

bool Follower::begin_log(const UpstreamHead& head) {
  if (head.status != kOk) return false;
  if (head.node && head.node->node_id == hello_.node_id) {
    is_copy_ = true;
    return false;
  }
  if (!head.node) {
    failure_ = {Code::kWrongFormat, "replication: the answer is not a node's"};
    return false;
  }
  if (head.node->cluster_id != hello_.cluster_id || head.node->epoch < hello_.epoch) {
    failure_ = {Code::kCorruption, "replication: cluster or epoch of the answer"};
    return false;
  }
  const Term* next = term_of(head.node->terms, hello_.revision + 1);
  if (next != nullptr && next->epoch < hello_.log_epoch) {
    is_ahead_ = true;
    return false;
  }
  failure_ = host_.adopt(*head.node);
  if (!failure_.is_ok()) return false;
  parser_ = std::make_unique<StreamParser>();
  set_phase(FollowPhase::kStreaming);
  set_problem("");
  return true;
}

bool Follower::take_log(Bytes bytes) {
  parser_->feed(bytes);
  StreamMessage message;
  for (;;) {
    const Result<bool> more = parser_->next(&message);
    if (!more.is_ok()) {
      failure_ = more.status();
      return false;
    }
    if (!more.value()) return true;
    if (!handle(message)) return false;
  }
}

bool Follower::handle(const StreamMessage& message) {
  ReplicationState& state = region_.replication();
  if (message.epoch > head_.node->epoch) {
    failure_ = {Code::kCorruption, "replication: epoch of a message"};
    return false;
  }
  progressed_ = true;
  state.primary_revision.store(message.durable_revision, std::memory_order_relaxed);
  if (message.type != StreamMessageType::kAlive) return take_frame(message);
  state.bytes_behind.store(message.bytes_behind(), std::memory_order_relaxed);
  return !frames_.is_closed();
}

bool Follower::take_frame(const StreamMessage& message) {
  ReplicationState& state = region_.replication();
  const uint64_t visible = region_.header().revision.load(std::memory_order_relaxed);
  if (visible + 1 >= message.first_revision) {
    state.behind_since_ms.store(message.time_ms, std::memory_order_relaxed);
  }
  ReplicatedFrame frame;
  frame.epoch = message.epoch;
  frame.first_revision = message.first_revision;
  frame.requests = message.requests;
  frame.records = message.records;
  frame.time_ms = message.time_ms;
  frame.body.assign(message.body.begin(), message.body.end());
  if (!frames_.push(std::move(frame))) return false;
  ring_doorbell(region_);
  return true;
}

Follower::Next Follower::fetch_checkpoint(bool diverged) {
  if (!head_.node) return fail("the primary's answer does not say which node it is");
  bootstrap_.history = host_.history();
  bootstrap_.history.terms = head_.node->terms;
  bootstrap_.history.follows = true;
  bootstrap_.history.set_aside.clear();
  bootstrap_.history.heard_epoch = std::max(bootstrap_.history.heard_epoch, head_.node->epoch);
  bootstrap_.diverged = diverged;
  bootstrap_.common_revision = head_.common_revision;
  fetch_ = Fetch::kCheckpoint;
  set_phase(FollowPhase::kBootstrapping);
  const Status status = upstream_.get_checkpoint(hello_.node_id, offset_, etag_, *this);
  if (!failure_.is_ok()) return fail("the checkpoint can't be stored: " + failure_.text());
  if (!status.is_ok()) return fail("the checkpoint can't be fetched: " + upstream_.failure());
  if (head_.status != kOk && head_.status != kPartial) return fail_by_answer();
  if (total_ && offset_ != *total_) return fail("the primary cut the checkpoint off");
  Status verified = file_->sync_data();
  if (verified.is_ok()) verified = verify_bootstrap(directory_, bootstrap_.generation);
  file_.reset();
  etag_.clear();
  offset_ = 0;
  if (!verified.is_ok()) return fail("the primary's checkpoint: " + verified.text());
  return Next::kInstall;
}

bool Follower::begin_checkpoint(const UpstreamHead& head) {
  const bool goes_on = head.status == kPartial && file_ != nullptr && head.etag == etag_;
  if (head.status != kOk && !goes_on) return false;
  if (!goes_on) {
    Result<std::unique_ptr<File>> file = directory_.open(kBootstrapFile, OpenMode::kCreate);
    failure_ = file.status();
    if (!failure_.is_ok()) return false;
    file_ = std::move(file).value();
    offset_ = 0;
    etag_ = head.etag;
  }
  total_ = head.total_bytes;
  bootstrap_.generation = head.generation;
  region_.replication().download_total.store(total_.value_or(0), std::memory_order_relaxed);
  return true;
}

bool Follower::take_checkpoint(Bytes bytes) {
  failure_ = file_->write_at(offset_, bytes);
  if (!failure_.is_ok()) {
    // What the kernel did with it is unknown: not gone on with.
    file_.reset();
    etag_.clear();
    offset_ = 0;
    return false;
  }
  offset_ += bytes.size();
  progressed_ = true;
  region_.replication().download_bytes.store(offset_, std::memory_order_relaxed);
  return true;
}

// What has stopped it for good stays to be seen.
void Follower::rest() {
  const ReplicationState& state = region_.replication();
  if (state.role.load(std::memory_order_relaxed) == static_cast<uint32_t>(Role::kBackup)) return;
  set_phase(FollowPhase::kIdle);
  region_.replication().follow_problem.set("");
}

void Follower::set_phase(FollowPhase phase) {
  region_.replication().follow_phase.store(static_cast<uint32_t>(phase), std::memory_order_relaxed);
}

// Each problem has one line in the log, however often it is met.
void Follower::set_problem(const std::string& problem) {
  region_.replication().follow_problem.set(problem);
  if (problem == told_) return;
  if (problem.empty()) {
    log_.write(Severity::kNotice, "following the primary again");
  } else {
    log_.write(Severity::kWarning, "not following: " + problem);
  }
  told_ = problem;
}

Follower::Next Follower::fail(const std::string& problem) {
  failures_ = progressed_ ? 1 : failures_ + 1;
  if (frames_.is_closed()) return Next::kLater;  // the store has ended it, and says why
  set_phase(FollowPhase::kConnecting);
  set_problem(problem);
  return Next::kLater;
}

uint64_t Follower::pause_us() {
  const uint32_t doublings = std::min<uint32_t>(failures_, 6);
  const uint64_t pause = std::min(kPauseMinUs << doublings, kPauseMaxUs);
  thread_local std::minstd_rand random{std::random_device()()};
  return pause / 2 + random() % (pause / 2 + 1);
}

}  // namespace small_db
