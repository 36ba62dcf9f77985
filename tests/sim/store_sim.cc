#include "tests/sim/store_sim.h"

#include <algorithm>

namespace small_db {

StoreSim::StoreSim(SimDisk& disk, History& history, uint64_t seed, const StoreSimOptions& options)
    : disk_(disk),
      history_(history),
      options_(options),
      random_(seed),
      region_(options.region_bytes),
      test_(std::make_unique<SteppedStore>(disk, region_.region(), options.store)),
      next_id_(static_cast<uint32_t>(history.last_revision()) + 1) {}

Status StoreSim::open() {
  SMALL_DB_RETURN_IF_ERROR(test_->open());
  while (clients_.size() < options_.clients) {
    clients_.emplace_back();
    clients_.back().client = attach_client(region_.region());
  }
  return Status::ok();
}

void StoreSim::run_steps(uint32_t steps) {
  to_submit_ = UINT32_MAX;
  for (uint32_t i = 0; i < steps; ++i) step();
  to_submit_ = 0;
}

Status StoreSim::replace_owner() {
  in_sync_ = nullptr;
  drained_ = Committer::Drained::kAll;
  disk_.kill_process();
  test_ = std::make_unique<SteppedStore>(disk_, region_.region(), options_.store);
  SMALL_DB_RETURN_IF_ERROR(test_->open());
  history_.settle_at(revision());
  return Status::ok();
}

uint32_t StoreSim::random(uint32_t below) { return static_cast<uint32_t>(random_() % below); }

void StoreSim::submit() {
  ClientSim& sim = clients_[random(static_cast<uint32_t>(clients_.size()))];
  SimOperation operation;
  operation.id = next_id_;
  operation.key = "key/" + std::to_string(random(options_.keys));
  operation.is_put = random(5) != 0;
  operation.value_bytes = random(options_.value_bytes_max + 1);
  if (operation.is_put && random(options_.long_value_every) == 0)
    operation.value_bytes = options_.long_value_bytes;
  const uint64_t cookie = next_cookie_++;
  Status status;
  if (operation.is_put) {
    const std::string& value = sim.values[cookie] = operation.value();
    status = sim.client->put(cookie, as_bytes(operation.key), as_bytes(value), 0);
  } else {
    status = sim.client->erase(cookie, as_bytes(operation.key));
  }
  --to_submit_;
  ++next_id_;
  if (status.is_ok()) {
    sim.operations[sim.next_sequence++] = operation;
  } else {
    sim.values.erase(cookie);
    ++outcomes_[static_cast<size_t>(status.code())];
  }
}

void StoreSim::seal() {
  in_sync_ = &store().seal();
  if (!in_sync_->has_frame()) return;
  for (const RequestRun& run : in_sync_->frame.runs()) {
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
    if (outcome.code == Code::kOk) history_.acknowledge(outcome.revision);
    sim.values.erase(outcome.cookie);
  }
}

void StoreSim::collect_answers() {
  for (ClientSim& client : clients_) poll(client);
}

bool StoreSim::idle() const {
  return to_submit_ == 0 && in_sync_ == nullptr && !test_->store().has_work() &&
         std::all_of(clients_.begin(), clients_.end(),
                     [](const ClientSim& client) { return client.client->in_flight() == 0; });
}

void StoreSim::step() {
  test_->environment().now_us += 1 + random(1000);
  switch (random(10)) {
    case 0:
    case 1:
      if (to_submit_ != 0) submit();
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
    case 8:
      if (store().checkpoint_is_due()) store().request_checkpoint();
      (void)store().checkpoint_step();
      break;
    case 9:
      if (in_sync_ == nullptr && !store().has_work() && store().wants_log_switch())
        store().switch_log();
      break;
    case 7:
      poll(clients_[random(static_cast<uint32_t>(clients_.size()))]);
      if (in_sync_ == nullptr && random(20) == 0) store().write_idle_frame();
      break;
  }
}

void StoreSim::run(uint32_t operations) {
  to_submit_ = operations;
  while (!idle() && !disk_.powered_off()) step();
}

std::string StoreSim::compare() const {
  const uint64_t revision = this->revision();
  if (!history_.may_end_at(revision)) {
    return "revision " + std::to_string(revision) + ", acknowledged " +
           std::to_string(history_.acknowledged_revision()) + ", written " +
           std::to_string(history_.last_revision());
  }
  const std::map<std::string, uint64_t> expected = history_.state_at(revision);
  Result<Snapshot> snapshot = clients_.front().client->snapshot();
  if (!snapshot.is_ok()) return snapshot.status().text();
  if (snapshot.value().root().keys != expected.size()) {
    return std::to_string(snapshot.value().root().keys) + " keys instead of " +
           std::to_string(expected.size());
  }
  for (const auto& [key, put_revision] : expected) {
    const Result<StoredRecord> record = snapshot.value().find(as_bytes(key));
    if (!record.is_ok()) return key + ": " + record.status().text();
    if (record.value().revision != put_revision) return key + ": another revision";
    std::string value(record.value().value.bytes(), '\0');
    if (!record.value().value.copy_to(reinterpret_cast<std::byte*>(value.data())).is_ok())
      return key + ": unreadable";
    if (value != history_.at(put_revision).value()) return key + ": another value";
  }
  return "";
}

}  // namespace small_db
