#include "tests/chaos/failover_clients.h"

#include <chrono>

namespace small_db::testing {
namespace {

constexpr auto kBackOff = std::chrono::milliseconds(3);

}  // namespace

FailoverClients::FailoverClients(const NodePorts& ports, int count, const ClientsOptions& options)
    : options_(options) {
  for (int i = 0; i < count; ++i) {
    Pair pair;
    for (size_t node = 0; node < kNodes; ++node) {
      // An index of its own, for values that no other put has.
      const auto index = static_cast<uint32_t>(static_cast<size_t>(i) * kNodes + node);
      pair[node] = std::make_unique<ChaosClient>(index, ports[node], HttpVersion::k1_1, options);
    }
    clients_.push_back(std::move(pair));
  }
}

FailoverClients::~FailoverClients() { stop(); }

void FailoverClients::start() {
  for (Pair& pair : clients_) {
    const uint64_t seed = options_.seed * 1000 + threads_.size();
    threads_.emplace_back([this, &pair, seed] { run(&pair, seed); });
  }
}

void FailoverClients::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

bool FailoverClients::count(size_t node, bool done) {
  if (done) ++acknowledged_[node];
  return done;
}

// Few deletes: one of unknown outcome explains much.
bool FailoverClients::ask(Pair* pair, size_t node, uint64_t choice) {
  ChaosClient& client = *(*pair)[node];
  const auto key = static_cast<uint32_t>(choice / 100 % options_.keys);
  choice %= 100;
  if (choice < 45) return count(node, client.put(key));
  if (choice < 50) return count(node, client.remove(key));
  return client.get(key);
}

void FailoverClients::run(Pair* pair, uint64_t seed) {
  std::mt19937_64 random(seed);
  while (!stopping_) {
    const size_t node = primary_.load();
    const bool done = ask(pair, node, random());
    if (done && random() % 32 != 0) continue;
    // The clients' own view of who is the primary may be old.
    const size_t other = kNodes - 1 - node;
    const auto key = static_cast<uint32_t>(random() % options_.keys);
    ++sent_to_the_other_;
    if (count(other, (*pair)[other]->put(key))) continue;
    if (done) continue;
    std::unique_lock<std::mutex> lock(mutex_);
    stopped_.wait_for(lock, kBackOff, [this] { return stopping_.load(); });
  }
}

std::vector<const Notes*> FailoverClients::notes(size_t node) const {
  std::vector<const Notes*> all;
  for (const Pair& pair : clients_) all.push_back(&pair[node]->notes());
  return all;
}

}  // namespace small_db::testing
