// What a chaos run does to nginx, one thing after another, chosen at random: kills, faults,
// reloads, power failures. Each is written down with the time in which clients may notice it.
#pragma once

#include <random>
#include <vector>

#include "tests/chaos/clients.h"
#include "tests/nginx/nginx_server.h"

namespace small_db::testing {

enum class DisturbanceKind : uint8_t {
  kStorageKill,  // SIGKILL of the storage process: nobody may notice but by waiting
  kWorkerKill,   // SIGKILL of an HTTP worker: its connections break
  kFault,        // SIGSEGV or SIGABRT of the storage process: 503 until loaded from disk
  kReload,       // SIGHUP: kept connections are closed when they are idle
  kPower,        // SIGKILL of all of nginx, and a start
};
inline constexpr size_t kDisturbanceKinds = 5;

struct Disturbance {
  DisturbanceKind kind;
  int64_t begin;
  int64_t end;  // from then on clients notice nothing more of it
};

// How often which comes, relative to the others; by kind.
struct Mix {
  unsigned storage_kills = 0;
  unsigned worker_kills = 0;
  unsigned faults = 0;
  unsigned reloads = 0;
  unsigned powers = 0;
};

class Disturber {
 public:
  // probe: a client of the disturber's own, with a key that nobody else writes.
  Disturber(NginxServer* server, ChaosClient* probe, uint32_t probe_key, uint64_t seed);

  void do_anything(const Mix& mix);
  // A random time, as it passes between two misfortunes.
  void pause(int max_ms);

  void kill_storage();
  void kill_worker();
  void fault();
  void reload();
  void fail_power();

  const std::vector<Disturbance>& done() const { return done_; }
  uint64_t count(DisturbanceKind kind) const;
  // From the kill of the storage process to the answer of a write that began after it.
  const std::vector<int64_t>& resume_times() const { return resume_times_; }
  // The same after a fault.
  const std::vector<int64_t>& reload_times() const { return reload_times_; }

 private:
  pid_t any_child(const std::string& title);
  bool at_once() { return random_() % 4 == 0; }
  int64_t await_write();

  NginxServer* server_;
  ChaosClient* probe_;
  uint32_t probe_key_;
  std::mt19937_64 random_;
  std::vector<Disturbance> done_;
  std::vector<int64_t> resume_times_;
  std::vector<int64_t> reload_times_;
};

}  // namespace small_db::testing
