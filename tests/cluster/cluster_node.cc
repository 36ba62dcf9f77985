#include "tests/cluster/cluster_node.h"

#include <algorithm>
#include <cstring>

namespace small_db {

void ClusterWorld::tell(const std::string& line) {
  if (story != nullptr) story->push_back(std::to_string(now_us % 1'000'000'000) + " " + line);
}

std::string cluster_key(uint32_t key) { return "key" + std::to_string(key); }

// Some are longer than a piece of the network.
std::string cluster_value(uint32_t write) {
  return std::to_string(write) + std::string(write % 7 == 0 ? 900 : write % 30, 'v');
}

ClusterNode::ClusterNode(ClusterWorld& world, size_t index)
    : world_(world),
      index_(index),
      disk_(world.random.next()),
      disk_number_(world.model.add_disk()),
      region_(kRegionBytesMin, 8, static_cast<uint32_t>(world.random.next()) | 1) {
  world_.network.add(*this);
  watch_disk();
}

// Much may happen while the log is synced.
void ClusterNode::watch_disk() {
  disk_.observe([this](SimCall call, SimMoment) -> std::optional<SimFault> {
    const bool is_log = sync_ != nullptr && sync_->is_running();
    if (is_log && call == SimCall::kSyncData && world_.random.chance(30)) Fiber::pause();
    return std::nullopt;
  });
}

ClusterNode::~ClusterNode() {
  if (is_up()) fall(false);
}

void ClusterNode::write(Severity, std::string_view line) noexcept {
  world_.tell("node " + std::to_string(index_) + ": " + std::string(line));
  if (line.find("content is not its primary's") != std::string_view::npos ||
      line.find("could not be applied") != std::string_view::npos) {
    world_.model.wrong("node " + std::to_string(index_) + ": " + std::string(line));
  }
}

std::string ClusterNode::primary_name() const {
  if (!primary_) return "";
  return "http://node" + std::to_string(*primary_) + (other_spelling_ ? ".example/" : "/");
}

void ClusterNode::spell_otherwise() {
  if (history().set_aside == primary_name()) other_spelling_ = !other_spelling_;
}

void ClusterNode::start() {
  world_.tell("start of node " + std::to_string(index_) + ", which follows " +
              (primary_ ? std::to_string(*primary_) : "nobody"));
  region_.format(static_cast<uint32_t>(world_.random.next()) | 1);
  by_sequence_.clear();
  by_cookie_.clear();
  next_sequence_ = 1;
  client_ = attach_client(region_.region());
  open();
  end_what_fell();
}

void ClusterNode::open() {
  seen_ = {};
  StoreOptions options = world_.options;
  options.replication.primary_name = primary_name();
  directory_ = disk_.mount();
  store_ = std::make_unique<Store>(region_.region(),
                                   StoreEnvironment{*directory_, *this, *this, *this}, options);
  ending_ = false;
  in_sync_ = nullptr;
  drained_ = Committer::Drained::kAll;
  bootstrap_.reset();
  commit_ = std::make_unique<Fiber>([this] { run_commit(); });
  sync_ = std::make_unique<Fiber>([this] { run_sync(); });
  const Status status = store_->open();
  if (!status.is_ok()) {
    if (!disk_.powered_off()) world_.model.wrong("a node refuses to serve: " + status.text());
    return;
  }
  observe();
  if (!primary_) return;
  log_upstream_ = std::make_unique<SimUpstream>(world_.network, world_.now_us, index_, *primary_);
  ack_upstream_ = std::make_unique<SimUpstream>(world_.network, world_.now_us, index_, *primary_);
  receiver_ = std::make_unique<Fiber>([this] { run_receiver(); });
  acknowledger_ = std::make_unique<Fiber>([this] { run_acknowledger(); });
}

// Ends the fibers: what they wait for will not come.
void ClusterNode::unwind() {
  ending_ = true;
  store_->stop_waiting();
  if (log_upstream_ != nullptr) {
    log_upstream_->interrupt();
    ack_upstream_->interrupt();
    store_->replicated().close();
  }
  for (auto* fiber : {&commit_, &sync_, &receiver_, &acknowledger_}) {
    while (*fiber != nullptr && !(*fiber)->has_ended()) (*fiber)->resume();
    fiber->reset();
  }
  log_upstream_.reset();
  ack_upstream_.reset();
}

void ClusterNode::fall(bool power) {
  world_.tell("node " + std::to_string(index_) + (power ? " loses power" : " is killed"));
  disk_.crash_at(disk_.operations());
  unwind();
  store_->abandon_checkpoint();
  store_.reset();
  forget_process(power);
}

void ClusterNode::forget_process(bool power) {
  client_.reset();
  world_.network.lose(index_);
  power ? disk_.crash(world_.random.next()) : disk_.kill_process();
}

// A planned fall has come, in whatever was done.
void ClusterNode::end_what_fell() {
  if (!disk_.powered_off()) return;
  if (is_up()) return fall(falls_by_power_);
  forget_process(falls_by_power_);
}

void ClusterNode::fall_later(bool power) {
  falls_by_power_ = power;
  disk_.crash_at(disk_.operations() + world_.random.below(80));
}

void ClusterNode::lose_disk() {
  world_.tell("node " + std::to_string(index_) + " loses its disk");
  if (is_up()) fall(false);
  world_.network.forget_requests(index_);
  world_.model.note_lost_disk(disk_number_);
  disk_ = SimDisk(world_.random.next());
  disk_number_ = world_.model.add_disk();
  watch_disk();
}

// What the fibers do while they end is none of the killed process's doing: memory and disk stay as
// they were.
void ClusterNode::kill_owner() {
  world_.tell("the storage process of node " + std::to_string(index_) + " is killed");
  const MutableBytes memory = region_.memory();
  const std::vector<std::byte> before(memory.begin(), memory.end());
  disk_.crash_at(disk_.operations());
  unwind();
  store_->abandon_checkpoint();
  store_.reset();
  std::memcpy(memory.data(), before.data(), before.size());
  release_slots_of_the_killed();
  world_.network.lose(index_);
  disk_.kill_process();
  open();
  end_what_fell();
}

// What a sweep does for a process that is gone: this process lives.
void ClusterNode::release_slots_of_the_killed() {
  const Region region = region_.region();
  for (uint32_t slot = 0; slot < region.slot_count(); ++slot) {
    const SlotHolder holder = slot_holder(region, slot);
    if (holder.is_held() && slot != client_->slot()) release_slot(region, {slot, holder});
  }
}

void ClusterNode::reload() {
  world_.tell("reload of node " + std::to_string(index_) + ", which follows " +
              (primary_ ? std::to_string(*primary_) : "nobody"));
  end_life();
  bootstrap_.reset();
  store_.reset();
  if (!disk_.powered_off()) open();
  end_what_fell();
}

// As at the end of the commit thread, with its helpers.
void ClusterNode::end_life() {
  ending_ = true;
  store_->stop_waiting();
  while (!commit_->has_ended()) commit_->resume();
  while (!sync_->has_ended()) sync_->resume();
  while (store_->has_work() && !store_->left_a_batch()) {
    note_open_batch();
    store_->maintain();
    if (store_->has_work()) store_->finish(store_->seal());
  }
  store_->maintain();
  observe();
  unwind();
  store_->abandon_checkpoint();
  store_->let_go();
  observe();
}

void ClusterNode::install() {
  const Bootstrap bootstrap = *std::exchange(bootstrap_, std::nullopt);
  if (store_->role() != Role::kBackup) return;
  const std::vector<Place> given_up =
      world_.model.note_install(disk_number_, bootstrap.history.terms);
  std::string saved_as;
  region_.region().header().distrust.store(1, std::memory_order_release);
  const Status status = install_bootstrap(*directory_, bootstrap, wall_ms(), &saved_as);
  if (disk_.powered_off()) return;
  if (!status.is_ok()) return world_.model.wrong("a checkpoint can't be put in force");
  region_.region().replication().bootstraps.fetch_add(1, std::memory_order_relaxed);
  world_.tell("node " + std::to_string(index_) + " took a checkpoint; saved: " + saved_as);
  ++world_.bootstraps;
  if (!given_up.empty()) ++world_.saved_tails;
  check_saved(given_up);
}

void ClusterNode::step() {
  take_step(world_.random.below(16));
  if (is_up() && !disk_.powered_off() && must_end()) {
    const bool installs = bootstrap_.has_value();
    end_life();
    if (installs && bootstrap_ && !disk_.powered_off()) install();
    store_.reset();
    if (!disk_.powered_off()) open();
  }
  end_what_fell();
}

void ClusterNode::take_step(uint64_t which) {
  switch (which) {
    case 0:
    case 1:
    case 2:
    case 3:
    case 4:
      commit_->resume();
      break;
    case 5:
    case 6:
    case 7:
      sync_->resume();
      break;
    case 8:
      if (store_->wants_preparation() || drained_ == Committer::Drained::kNoSpace) {
        (void)store_->prepare();
      }
      break;
    case 9:
      if (store_->checkpoint_is_due()) store_->request_checkpoint();
      (void)store_->checkpoint_step();
      break;
    case 10:
    case 11:
    case 12:
    case 13:
      if (receiver_ != nullptr) receiver_->resume();
      break;
    case 14:
      if (acknowledger_ != nullptr) acknowledger_->resume();
      break;
    default:
      take_outcomes();
      break;
  }
  if (!disk_.powered_off()) observe();
}

// What the commit thread may do next. It may wait for backups in there.
void ClusterNode::commit_step() {
  const bool sync_is_idle = in_sync_ == nullptr;
  const uint64_t dice = world_.random.below(8);
  if (dice < 4) {
    drained_ = store_->drain();
  } else if (!sync_is_idle || store_->left_a_batch()) {
    return;
  } else if (dice < 6) {
    note_open_batch();
    if (!store_->maintain() && store_->has_work() && !store_->left_a_batch()) seal();
  } else if (dice == 6) {
    if (!store_->has_work() && store_->wants_log_switch()) store_->switch_log();
  } else if (world_.random.chance(10)) {
    store_->write_idle_frame();
  }
}

void ClusterNode::run_commit() {
  for (; !ending_; Fiber::pause()) commit_step();
}

void ClusterNode::seal() {
  if (role() == Role::kPrimary && store_->open_requests() != 0 && is_fenced()) {
    world_.model.wrong("node " + std::to_string(index_) + " writes, and is fenced");
  }
  in_sync_ = &store_->seal();
}

bool ClusterNode::is_fenced() const {
  return region_.region().replication().heard_epoch.load() > epoch();
}

// What is in the open batch may be on its way to the disk before anybody looks again.
void ClusterNode::note_open_batch() {
  if (role() != Role::kPrimary || store_->open_requests() == 0) return;
  const FrameBuilder& frame = store_->open_batch().frame;
  std::vector<uint32_t> writes;
  for (const RequestRun& run : frame.runs()) {
    for (uint64_t i = 0; i < run.count; ++i) {
      writes.push_back(by_sequence_.at(run.first_sequence + i));
    }
  }
  world_.tell("node " + std::to_string(index_) + " frame " +
              std::to_string(frame.first_revision()) + " n " + std::to_string(writes.size()) +
              " from " + std::to_string(writes[0]));
  world_.model.note_frame(disk_number_, history(), frame.first_revision(), writes);
}

void ClusterNode::run_sync() {
  for (;; Fiber::pause()) {
    if (in_sync_ != nullptr) {
      store_->finish(*in_sync_);
      in_sync_ = nullptr;
    } else if (ending_) {
      return;
    }
  }
}

bool ClusterNode::serves() const {
  const RegionHeader& header = region_.region().header();
  const auto state = static_cast<StoreState>(header.state.load());
  return (state == StoreState::kServing || state == StoreState::kReadOnly) &&
         header.published_root.load() != 0;
}

bool ClusterNode::is_quiet() const { return by_cookie_.empty() && in_sync_ == nullptr; }

std::string ClusterNode::state() const {
  std::string text = "node " + std::to_string(index_);
  if (!is_up()) return text + " is down";
  const ReplicationState& state = region_.region().replication();
  return text + " " + role_name(role()) + " follows " +
         (primary_ ? std::to_string(*primary_) : "nobody") + " " +
         describe(Lineage{history().terms, state.durable_revision.load()}) + " shows " +
         std::to_string(revision()) + " heard " + std::to_string(state.heard_epoch.load()) + " " +
         follow_phase_name(static_cast<FollowPhase>(state.follow_phase.load())) + ": " +
         state.follow_problem.get() + region_.region().reason() + " unanswered " +
         std::to_string(by_cookie_.size());
}

bool ClusterNode::write(uint32_t key, bool is_erase) {
  if (client_ == nullptr) return false;
  const uint32_t id = world_.model.add_write(key, is_erase);
  const uint64_t cookie = next_cookie_++;
  const std::string name = cluster_key(key);
  const std::string value = cluster_value(id);
  const Status status = is_erase ? client_->erase(cookie, as_bytes(name))
                                 : client_->put(cookie, as_bytes(name), as_bytes(value), 0);
  if (!status.is_ok()) return false;
  world_.tell("node " + std::to_string(index_) + " takes write " + std::to_string(id) + " seq " +
              std::to_string(next_sequence_));
  by_sequence_[next_sequence_++] = id;
  by_cookie_[cookie] = id;
  return true;
}

bool ClusterNode::ask_for_checkpoint() {
  if (client_ == nullptr || !client_->checkpoint(next_cookie_++).is_ok()) return false;
  ++next_sequence_;
  return true;
}

bool ClusterNode::ask_for_promotion() {
  if (client_ == nullptr || !client_->promote(next_cookie_++).is_ok()) return false;
  ++next_sequence_;
  world_.tell("node " + std::to_string(index_) + " is to be promoted");
  return true;
}

void ClusterNode::take_outcomes() {
  WriteOutcome outcome;
  while (client_->poll(&outcome)) {
    const auto write = by_cookie_.find(outcome.cookie);
    if (write == by_cookie_.end()) continue;
    world_.tell("node " + std::to_string(index_) + " answers " + std::to_string(write->second) +
                ": " + code_name(outcome.code) + " " + std::to_string(outcome.revision));
    world_.model.note_answer(disk_number_, write->second, outcome.code, outcome.revision);
    by_cookie_.erase(write);
  }
}

}  // namespace small_db
