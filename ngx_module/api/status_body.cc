#include "ngx_module/api/status_body.h"

#include <ctime>
#include <nlohmann/json.hpp>

#include "engine/base/version.h"
#include "engine/shm/slot.h"
#include "engine/table/held_states.h"
#include "ngx_module/api/response_body.h"

namespace small_db {
namespace {

using Json = nlohmann::ordered_json;

template <typename T>
T figure(const std::atomic<T>& counter) noexcept {
  return counter.load(std::memory_order_relaxed);
}

uint32_t count_held_slots(const Region& region) noexcept {
  uint32_t held = 0;
  for (uint32_t slot = 0; slot < region.slot_count(); ++slot) {
    if (!slot_holder(region, slot).is_free()) ++held;
  }
  return held;
}

// RFC 3339, in UTC: 2026-01-31T12:00:00.250Z.
std::string timestamp(uint64_t unix_ms) {
  const auto seconds = static_cast<time_t>(unix_ms / 1000);
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char text[40];
  const size_t length = std::strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%S.", &parts);
  return std::string(text, length) + std::to_string(unix_ms % 1000 + 1000).substr(1) + "Z";
}

double seconds(uint64_t us) { return static_cast<double>(us) / 1e6; }

Json checkpoint_member(const StatusFigures& figures) {
  Json member = {{"running", figures.checkpoint_runs},
                 {"made", figures.checkpoints},
                 {"failed", figures.checkpoint_failures}};
  if (figures.checkpoint_generation == 0) return member;
  member["last"] = {{"generation", figures.checkpoint_generation},
                    {"revision", figures.checkpoint_revision},
                    {"bytes", figures.checkpoint_bytes},
                    {"seconds", seconds(figures.checkpoint_duration_us)},
                    {"finished_at", timestamp(figures.checkpoint_end_ms)}};
  return member;
}

}  // namespace

StatusFigures read_status(const Region& region) {
  const RegionHeader& header = region.header();
  StatusFigures figures;
  // Pairs with the release in Region::set_state.
  figures.state = static_cast<StoreState>(header.state.load(std::memory_order_acquire));
  figures.reason = region.reason();
  figures.progress_permille = figure(header.progress_permille);
  figures.owner_pid = figure(header.owner_pid);
  figures.owner_epoch = figure(header.owner_epoch);
  figures.revision = figure(header.revision);
  figures.epoch = figure(header.epoch);
  figures.generation = figure(header.generation);
  figures.keys = figure(header.keys);
  figures.memory_used_bytes = figure(header.arena_used_bytes);
  figures.memory_free_bytes = figure(header.arena_free_bytes);
  figures.memory_limit_bytes = header.arena_bytes;
  figures.slots_used = count_held_slots(region);
  figures.slots_limit = region.slot_count();
  const HeldStates held = look_at_held_states(region);
  figures.pins = held.pins;
  figures.oldest_revision = held.oldest_revision;
  figures.disk_full = figure(header.disk_full) != 0;
  figures.commits = figure(header.commits);
  figures.syncs = figure(header.syncs);
  figures.operations = figure(header.operations);
  figures.log_bytes = figure(header.log_bytes);
  figures.log_failures = figure(header.log_failures);
  for (size_t i = 0; i < kSyncCounts; ++i) figures.sync_counts[i] = figure(header.sync_counts[i]);
  figures.sync_us = figure(header.sync_us);
  figures.expired = figure(header.expired);
  figures.checkpoint_runs = figure(header.checkpoint_runs) != 0;
  figures.checkpoints = figure(header.checkpoints);
  figures.checkpoint_failures = figure(header.checkpoint_failures);
  figures.checkpoint_generation = figure(header.checkpoint_generation);
  figures.checkpoint_revision = figure(header.checkpoint_revision);
  figures.checkpoint_bytes = figure(header.checkpoint_bytes);
  figures.checkpoint_duration_us = figure(header.checkpoint_duration_us);
  figures.checkpoint_end_ms = figure(header.checkpoint_end_ms);
  figures.replication = read_replication(region);
  return figures;
}

std::string status_body(const StatusFigures& figures) {
  Json body = {{"role", role_name(figures.replication.role)}, {"state", state_name(figures.state)}};
  if (!figures.reason.empty()) body["reason"] = figures.reason;
  if (figures.state == StoreState::kLoading) {
    body["progress"] = static_cast<double>(figures.progress_permille) / 1000;
  }
  body["epoch"] = figures.epoch;
  body["revision"] = figures.revision;
  body["generation"] = figures.generation;
  body["keys"] = figures.keys;
  body["expired"] = figures.expired;
  body["memory"] = {{"used", figures.memory_used_bytes},
                    {"free", figures.memory_free_bytes},
                    {"limit", figures.memory_limit_bytes}};
  body["disk"] = {{"full", figures.disk_full}};
  body["log"] = {{"commits", figures.commits},
                 {"syncs", figures.syncs},
                 {"operations", figures.operations},
                 {"bytes", figures.log_bytes},
                 {"failures", figures.log_failures}};
  body["checkpoint"] = checkpoint_member(figures);
  body["replication"] = replication_member(figures.replication);
  body["storage_process"] = {{"pid", figures.owner_pid}, {"owners", figures.owner_epoch}};
  body["slots"] = {{"used", figures.slots_used}, {"limit", figures.slots_limit}};
  body["pins"] = {{"held", figures.pins}};
  if (figures.pins != 0) body["pins"]["oldest_revision"] = figures.oldest_revision;
  body["build"] = {{"version", kVersion}};
  // A reason holds what an operating system or a file name said: any bytes.
  return body.dump(-1, ' ', false, Json::error_handler_t::replace);
}

}  // namespace small_db
