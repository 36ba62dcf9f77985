#include "tests/sim/store_sim.h"

#include <algorithm>

namespace small_db {
namespace {

// Steps that a read-only store gets to heal by itself before it is restarted.
constexpr uint32_t kStepsToHeal = 1500;
// Steps in which something must have gone on.
constexpr uint32_t kStepsToAnswer = 100'000;

}  // namespace

StoreSim::StoreSim(SimDisk& disk, History& history, uint64_t seed, const StoreSimOptions& options)
    : disk_(disk),
      history_(history),
      options_(options),
      random_(seed),
      // No two regions of one directory are alike: the log tells their requests apart by it.
      region_(options.region_bytes, options.slots, static_cast<uint32_t>(random_()) | 1),
      test_(std::make_unique<SteppedStore>(disk, region_.region(), options.store)),
      next_id_(static_cast<uint32_t>(history.last_revision()) + 1),
      calm_(options.weather_every == 0),
      steps_to_weather_(options.weather_every) {}

Status StoreSim::open() {
  ++owners_;
  SMALL_DB_RETURN_IF_ERROR(test_->open());
  while (clients_.size() < options_.clients) {
    clients_.emplace_back();
    clients_.back().client = attach_client(region_.region());
  }
  watch_state();
  return Status::ok();
}

void StoreSim::run_steps(uint32_t steps) {
  to_submit_ = UINT32_MAX;
  for (uint32_t i = 0; i < steps && problem_.empty(); ++i) step();
  to_submit_ = 0;
}

void StoreSim::run(uint32_t operations) {
  to_submit_ = operations;
  uint32_t left = to_submit_;
  for (uint32_t steps = 0; !idle() && problem_.empty() && !disk_.powered_off(); ++steps) {
    if (to_submit_ != left) steps = 0;
    left = to_submit_;
    if (steps == kStepsToAnswer) wrong("a request is never answered");
    step();
  }
}

void StoreSim::calm_down(uint32_t operations) {
  calm_ = true;
  checkpoints_on_ = true;
  disk_.clear_faults();
  to_submit_ = std::min(to_submit_, operations);
}

void StoreSim::run_until_quiet(uint32_t steps_max) {
  for (uint32_t i = 0; i < steps_max && problem_.empty(); ++i) {
    if (idle() && state() == StoreState::kServing && !store().checkpointer().is_requested()) return;
    step();
  }
}

Status StoreSim::replace_owner() {
  // A store in the middle of a call is as dead as can be, but its stack still uses it.
  if (in_step_) {
    killed_.push_back(std::move(test_));
    release_slots_of_the_killed();
  }
  test_.reset();
  in_sync_ = nullptr;
  drained_ = Committer::Drained::kAll;
  disk_.kill_process();
  test_ = std::make_unique<SteppedStore>(disk_, region_.region(), options_.store);
  ++owners_;
  SMALL_DB_RETURN_IF_ERROR(test_->open());
  if (!history_.settle_at(revision())) {
    wrong("an owner took over at revision " + std::to_string(revision()));
  }
  last_state_ = state();
  return Status::ok();
}

// What a sweep does for a process that is gone: its checkpoint's pin would be held for ever, since
// this process lives.
void StoreSim::release_slots_of_the_killed() {
  const Region region = region_.region();
  for (uint32_t slot = 0; slot < region.slot_count(); ++slot) {
    const bool is_client =
        std::any_of(clients_.begin(), clients_.end(),
                    [slot](const ClientSim& sim) { return sim.client->slot() == slot; });
    const SlotHolder holder = slot_holder(region, slot);
    if (holder.is_held() && !is_client) release_slot(region, {slot, holder});
  }
}

uint32_t StoreSim::random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

void StoreSim::wrong(const std::string& what) {
  if (problem_.empty()) {
    problem_ = what + " (published " + std::to_string(history_.published_revision()) +
               ", written " + std::to_string(history_.last_revision()) + ")";
  }
}

SimChange StoreSim::random_put() {
  SimChange put;
  put.key = random(options_.keys);
  const bool is_long = random(options_.long_value_every) == 0;
  put.value = sim_value(next_id_,
                        is_long ? options_.long_value_bytes : random(options_.value_bytes_max + 1));
  const bool expires = put.key + options_.expiring_keys >= options_.keys && random(2) == 0;
  if (expires) {
    put.expires_at_ms = test_->environment().wall_ms() + 1 + random(options_.expires_ms_max);
  }
  return put;
}

// A set deletes only keys that never expire: whether another one is there depends on the moment at
// which the store looks. And it puts something, so that it takes a revision.
SimOperation StoreSim::random_operation() {
  using Kind = SimChange::Kind;
  SimOperation operation;
  operation.id = next_id_++;
  if (random(options_.set_every) != 0) {
    SimChange change = random_put();
    if (random(5) == 0) change = {Kind::kErase, change.key};
    operation.changes.push_back(std::move(change));
    return operation;
  }
  const uint32_t lasting = options_.keys - std::min(options_.keys, options_.expiring_keys);
  for (uint32_t i = random(4); i != 0 && lasting != 0; --i) {
    const uint32_t key = random(lasting);
    const uint32_t end = std::min(lasting, key + 1 + random(4));
    operation.changes.push_back(random(2) == 0 ? SimChange{Kind::kErase, key}
                                               : SimChange{Kind::kEraseRange, key, end});
  }
  for (uint32_t i = 1 + random(4); i != 0; --i) operation.changes.push_back(random_put());
  return operation;
}

Status StoreSim::submit_to(Client& client, uint64_t cookie, const SimOperation& operation,
                           WriteSetBuilder& set) {
  const SimChange& first = operation.changes.front();
  const std::string only = sim_key(first.key);
  if (operation.changes.size() == 1 && first.kind == SimChange::Kind::kErase)
    return client.erase(cookie, as_bytes(only));
  if (operation.changes.size() == 1)
    return client.put(cookie, as_bytes(only), as_bytes(*first.value), first.expires_at_ms);
  for (const SimChange& change : operation.changes) {
    const std::string key = sim_key(change.key);
    if (change.kind == SimChange::Kind::kPut) {
      set.put(as_bytes(key), as_bytes(*change.value), change.expires_at_ms);
    } else if (change.kind == SimChange::Kind::kErase) {
      set.erase(as_bytes(key));
    } else {
      set.erase_range(as_bytes(key), as_bytes(sim_key(change.end)));
    }
  }
  return client.write(cookie, set.bytes());
}

void StoreSim::submit() {
  ClientSim& sim = clients_[random(static_cast<uint32_t>(clients_.size()))];
  const uint64_t cookie = next_cookie_++;
  SimOperation operation = random_operation();
  WriteSetBuilder& set = sim.sets[cookie];
  const Status status = submit_to(*sim.client, cookie, operation, set);
  --to_submit_;
  if (status.is_ok()) {
    sim.operations[sim.next_sequence++] = operation;
    sim.waiting[cookie] = std::move(operation);
  } else {
    sim.sets.erase(cookie);
    ++outcomes_[static_cast<size_t>(status.code())];
  }
}

void StoreSim::submit_checkpoint() {
  ClientSim& sim = clients_[random(static_cast<uint32_t>(clients_.size()))];
  if (sim.client->checkpoint(next_cookie_++).is_ok()) ++sim.next_sequence;
}

void StoreSim::seal() {
  in_sync_ = &store().seal();
  if (!in_sync_->has_frame()) return;
  for (const RequestRun& run : in_sync_->frame.runs()) {
    if (run.slot == kNoSlot) {
      const uint64_t now_ms = region_.region().header().expiry_clock_ms.load();
      history_.add({0, {{SimChange::Kind::kRemoveExpired, 0, 0, now_ms}}});
      continue;
    }
    const auto owner = std::find_if(clients_.begin(), clients_.end(), [&](const ClientSim& client) {
      return client.client->slot() == run.slot;
    });
    SMALL_DB_ASSERT(owner != clients_.end());
    for (uint64_t i = 0; i < run.count; ++i)
      history_.add(owner->operations.at(run.first_sequence + i));
  }
  history_.end_frame();
}

void StoreSim::finish() {
  store().finish(*in_sync_);
  in_sync_ = nullptr;
}

void StoreSim::poll(ClientSim& sim) {
  WriteOutcome outcome;
  while (sim.client->poll(&outcome)) {
    ++outcomes_[static_cast<size_t>(outcome.code)];
    const auto operation = sim.waiting.find(outcome.cookie);
    if (operation == sim.waiting.end()) continue;  // a checkpoint
    if (outcome.code == Code::kOk) {
      ++writes_ok_;
      note_published();
      if (outcome.revision > history_.published_revision() ||
          history_.id_at(outcome.revision) != operation->second.id) {
        wrong("operation " + std::to_string(operation->second.id) + " was answered with revision " +
              std::to_string(outcome.revision) + ", which it does not have");
      }
    }
    sim.waiting.erase(operation);
    sim.sets.erase(outcome.cookie);
  }
}

// A wish for a checkpoint dies with the owner that took it, and is not waited for.
bool StoreSim::idle() const {
  return to_submit_ == 0 && in_sync_ == nullptr && !test_->store().has_work() &&
         std::all_of(clients_.begin(), clients_.end(),
                     [](const ClientSim& client) { return client.waiting.empty(); });
}

void StoreSim::step() {
  test_->environment().now_us += 1 + random(1000);
  if (!calm_ && --steps_to_weather_ == 0) {
    steps_to_weather_ = 1 + random(2 * options_.weather_every);
    change_weather();
  }
  in_step_ = true;
  take_step(random(12));
  in_step_ = false;
  watch_state();
}

void StoreSim::take_step(uint32_t which) {
  switch (which) {
    case 0:
    case 1:
      // Whom a read-only store refuses comes back seldom.
      if (to_submit_ != 0 && (state() == StoreState::kServing || random(50) == 0)) submit();
      break;
    case 2:
    case 3:
      drained_ = store().drain();
      break;
    case 4:
      if (in_sync_ == nullptr && !store().maintain() && store().has_work()) seal();
      break;
    case 5:
      if (in_sync_ != nullptr) finish();
      break;
    case 6:
      if (store().wants_preparation() || drained_ == Committer::Drained::kNoSpace)
        (void)store().prepare();
      break;
    case 7:
      poll(clients_[random(static_cast<uint32_t>(clients_.size()))]);
      if (in_sync_ == nullptr && random(20) == 0) store().write_idle_frame();
      break;
    case 8:
    case 9:
      if (checkpoints_on_ && store().checkpoint_is_due()) store().request_checkpoint();
      (void)store().checkpoint_step();
      break;
    case 10:
      if (in_sync_ == nullptr && !store().has_work() && store().wants_log_switch())
        store().switch_log();
      break;
    default:
      if (to_submit_ != 0 && random(400) == 0) submit_checkpoint();
      break;
  }
}

void StoreSim::note_published() {
  if (!history_.publish(revision())) {
    wrong("revision " + std::to_string(revision()) + " is published, but no frame ends there");
  }
}

// What a step made of the store: a state that serves again after a failure has settled what the
// failure left open.
void StoreSim::watch_state() {
  note_published();
  const StoreState now = state();
  if (last_state_ == StoreState::kReadOnly && now == StoreState::kServing) {
    ++heals_;
    if (!history_.settle_at(revision())) wrong("the store serves again at a revision it never had");
  }
  if (last_state_ != StoreState::kReadOnly && now == StoreState::kReadOnly) ++read_only_times_;
  if (now == StoreState::kRefused) wrong("the store refuses: " + log_lines().back());
  last_state_ = now;
  const uint64_t generation = region_.region().header().generation.load();
  if (generation > last_generation_) ++checkpoints_;
  last_generation_ = generation;
  steps_read_only_ = now == StoreState::kReadOnly ? steps_read_only_ + 1 : 0;
  if (!calm_ && steps_read_only_ > kStepsToHeal) open_again("restart of a read-only store");
}

std::string StoreSim::compare() {
  note_published();
  if (!problem_.empty()) return problem_;
  return compare_published(region_.region(), history_.published());
}

}  // namespace small_db
