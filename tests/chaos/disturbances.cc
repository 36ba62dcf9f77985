#include "tests/chaos/disturbances.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <thread>

#include "tests/nginx/processes.h"

namespace small_db::testing {
namespace {

// Who reloads and does not wait for its end: how long it may take.
constexpr int64_t kReloadMax = 5'000'000'000;

constexpr const char* kWorkerTitle = "nginx: worker process";
constexpr const char* kStorageTitle = "nginx: cache manager process";

}  // namespace

Disturber::Disturber(NginxServer* server, ChaosClient* probe, uint32_t probe_key, uint64_t seed)
    : server_(server), probe_(probe), probe_key_(probe_key), random_(seed) {}

uint64_t Disturber::count(DisturbanceKind kind) const {
  return static_cast<uint64_t>(std::count_if(
      done_.begin(), done_.end(), [&](const Disturbance& one) { return one.kind == kind; }));
}

void Disturber::do_anything(const Mix& mix) {
  using Action = void (Disturber::*)();
  const std::array<std::pair<unsigned, Action>, kDisturbanceKinds> actions = {{
      {mix.storage_kills, &Disturber::kill_storage},
      {mix.worker_kills, &Disturber::kill_worker},
      {mix.faults, &Disturber::fault},
      {mix.reloads, &Disturber::reload},
      {mix.powers, &Disturber::fail_power},
  }};
  unsigned sum = 0;
  for (const auto& [weight, action] : actions) sum += weight;
  if (sum == 0) return;
  unsigned choice = static_cast<unsigned>(random_() % sum);
  for (const auto& [weight, action] : actions) {
    if (choice < weight) return (this->*action)();
    choice -= weight;
  }
}

void Disturber::pause(int max_ms) {
  const auto time = std::chrono::milliseconds(random_() % static_cast<uint64_t>(max_ms + 1));
  const auto end = std::chrono::steady_clock::now() + time;
  while (std::chrono::steady_clock::now() < end) std::this_thread::sleep_until(end);
}

// During a reload there are more of a kind than usual, and some that are about to end.
pid_t Disturber::any_child(const std::string& title) {
  std::vector<pid_t> found;
  EXPECT_TRUE(poll_until([&] {
    for (const pid_t child : children_of(server_->master())) {
      if (title_of(child).rfind(title, 0) == 0) found.push_back(child);
    }
    return !found.empty();
  })) << "no "
      << title;
  return found.empty() ? -1 : found[random_() % found.size()];
}

// Writes until one succeeds; when it did.
int64_t Disturber::await_write() {
  EXPECT_TRUE(poll_until([&] { return probe_->put(probe_key_); })) << "writes do not resume";
  return now_ns();
}

// Some are killed again while they still take over.
void Disturber::kill_storage() {
  const pid_t pid = any_child(kStorageTitle);
  const int64_t begin = now_ns();
  if (pid <= 0 || kill(pid, SIGKILL) != 0) return;
  done_.push_back({DisturbanceKind::kStorageKill, begin, begin});
  if (at_once()) return;
  done_.back().end = await_write();
  resume_times_.push_back(done_.back().end - begin);
}

void Disturber::kill_worker() {
  const pid_t pid = any_child(kWorkerTitle);
  const int64_t begin = now_ns();
  if (pid <= 0 || kill(pid, SIGKILL) != 0) return;
  EXPECT_TRUE(poll_until([&] { return !is_running(pid); }));
  done_.push_back({DisturbanceKind::kWorkerKill, begin, now_ns()});
}

// A write that begins after the owner's death is answered by the next one, when it serves.
void Disturber::fault() {
  const pid_t pid = any_child(kStorageTitle);
  const int64_t begin = now_ns();
  if (pid <= 0 || kill(pid, random_() % 2 == 0 ? SIGSEGV : SIGABRT) != 0) return;
  EXPECT_TRUE(poll_until([&] { return !is_running(pid); }));
  done_.push_back({DisturbanceKind::kFault, begin, await_write()});
  reload_times_.push_back(done_.back().end - begin);
}

void Disturber::reload() {
  const int64_t begin = now_ns();
  if (at_once()) {
    kill(server_->master(), SIGHUP);
    done_.push_back({DisturbanceKind::kReload, begin, begin + kReloadMax});
    return;
  }
  server_->reload();
  done_.push_back({DisturbanceKind::kReload, begin, now_ns()});
}

void Disturber::fail_power() {
  const int port = server_->port();
  const int64_t begin = now_ns();
  server_->kill_everything();
  server_->start();
  done_.push_back({DisturbanceKind::kPower, begin, now_ns()});
  EXPECT_EQ(server_->port(), port) << "the clients know another one";
}

}  // namespace small_db::testing
