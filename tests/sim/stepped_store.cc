#include "tests/sim/stepped_store.h"

#include <cstdlib>

namespace small_db {

StoreOptions small_store_options() {
  StoreOptions options;
  options.batch_bytes_max = 4 * kKiB;
  options.batch_requests_max = 6;
  options.log_ahead_bytes = 32 * kKiB;
  options.log_prepare_step_bytes = 16 * kKiB;
  options.log_reserve_bytes = 2 * kKiB;
  options.checkpoint_interval_us = 0;
  options.checkpoint_log_bytes = 0;
  options.checkpoint_step_bytes = kKiB;
  return options;
}

TestRegion::TestRegion(size_t bytes, uint32_t slots, uint32_t id)
    : bytes_(bytes),
      slots_(slots),
      id_(id),
      memory_(static_cast<std::byte*>(std::aligned_alloc(4096, bytes)), std::free) {
  format();
}

void TestRegion::format(uint32_t id) {
  id_ = id;
  format();
}

void TestRegion::format() {
  RegionConfig config;
  config.slot_count = slots_;
  config.region_id = id_;
  const MutableBytes memory(memory_.get(), bytes_);
  SMALL_DB_ASSERT(Region::format(memory, config).is_ok());
  region_ = std::move(Region::attach(memory)).value();
}

SteppedStore::SteppedStore(SimDisk& disk, Region region, const StoreOptions& options)
    : region_(region),
      environment_(disk.mount()),
      store_(region, environment_.environment(), options) {}

void SteppedStore::settle() {
  for (bool acted = true; acted;) {
    const Committer::Drained drained = store_.drain();
    acted = store_.maintain();
    if (store_.has_work()) {
      store_.finish(store_.seal());
      acted = true;
    }
    if (store_.checkpoint_is_due()) store_.request_checkpoint();
    if (store_.checkpoint_step() == Checkpointer::Step::kMore) acted = true;
    if (store_.wants_log_switch() && !store_.has_work()) {
      store_.switch_log();
      acted = true;
    }
    if (store_.wants_preparation()) {
      const Store::Prepared prepared = store_.prepare();
      acted = acted || prepared == Store::Prepared::kMore || prepared == Store::Prepared::kEnough;
      if (drained == Committer::Drained::kNoSpace) acted = true;
    }
    if (drained == Committer::Drained::kFull) acted = true;
  }
}

WriteOutcome SteppedStore::put(Client& client, std::string_view key, std::string_view value,
                               uint64_t expires_at_ms) {
  const uint64_t cookie = next_cookie_++;
  return outcome_of(client, cookie,
                    client.put(cookie, as_bytes(key), as_bytes(value), expires_at_ms));
}

WriteOutcome SteppedStore::write(Client& client, const WriteSetBuilder& set) {
  const uint64_t cookie = next_cookie_++;
  return outcome_of(client, cookie, client.write(cookie, set.bytes()));
}

WriteOutcome SteppedStore::erase(Client& client, std::string_view key) {
  const uint64_t cookie = next_cookie_++;
  return outcome_of(client, cookie, client.erase(cookie, as_bytes(key)));
}

WriteOutcome SteppedStore::outcome_of(Client& client, uint64_t cookie, const Status& submitted) {
  WriteOutcome outcome;
  outcome.cookie = cookie;
  outcome.code = submitted.code();
  if (!submitted.is_ok()) return outcome;
  outcome.code = Code::kInterrupted;  // no answer
  // A long value goes through the ring in several rounds.
  for (uint32_t in_flight = client.in_flight(); in_flight != 0; in_flight = client.in_flight()) {
    settle();
    const bool answered = client.poll(&outcome);
    if (answered && outcome.cookie == cookie) return outcome;
    if (!answered && !store_.ready()) break;
  }
  return outcome;
}

std::unique_ptr<Client> attach_client(Region region) {
  Result<std::unique_ptr<Client>> client = Client::attach(region);
  SMALL_DB_ASSERT(client.is_ok());
  return std::move(client).value();
}

std::optional<std::string> read_value(Client& client, std::string_view key) {
  Result<Snapshot> snapshot = client.snapshot();
  if (!snapshot.is_ok()) return std::nullopt;
  const Result<StoredRecord> record = snapshot.value().find(as_bytes(key));
  if (!record.is_ok()) return std::nullopt;
  std::string value(record.value().value.bytes(), '\0');
  if (!record.value().value.copy_to(reinterpret_cast<std::byte*>(value.data())).is_ok())
    return std::nullopt;
  return value;
}

}  // namespace small_db
