// The clients of a failover run: threads that use the node which they were told is the primary, and
// now and then, or when they are refused, put to the other one.
#pragma once

#include <array>
#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "tests/chaos/clients.h"

namespace small_db::testing {

inline constexpr size_t kNodes = 2;
using NodePorts = std::array<int, kNodes>;

class FailoverClients {
 public:
  FailoverClients(const NodePorts& ports, int count, const ClientsOptions& options);
  ~FailoverClients();  // stop()
  FailoverClients(const FailoverClients&) = delete;
  FailoverClients& operator=(const FailoverClients&) = delete;

  void start();
  void stop();
  // Which node is the primary, from now on. Requests that are under way go on.
  void use(size_t node) { primary_.store(node); }
  uint64_t writes_acknowledged(size_t node) const { return acknowledged_[node].load(); }
  uint64_t sent_to_the_other() const { return sent_to_the_other_.load(); }

  // Of the node; after stop.
  std::vector<const Notes*> notes(size_t node) const;

 private:
  using Pair = std::array<std::unique_ptr<ChaosClient>, kNodes>;

  void run(Pair* pair, uint64_t seed);
  bool ask(Pair* pair, size_t node, uint64_t choice);
  bool count(size_t node, bool done);

  const ClientsOptions options_;
  std::vector<Pair> clients_;
  std::vector<std::thread> threads_;
  std::atomic<size_t> primary_{0};
  std::array<std::atomic<uint64_t>, kNodes> acknowledged_{};
  std::atomic<uint64_t> sent_to_the_other_{0};
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::atomic<bool> stopping_{false};
};

}  // namespace small_db::testing
