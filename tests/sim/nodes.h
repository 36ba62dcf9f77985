// Nodes of a cluster in one process: each has its storage worker's real threads on a real
// directory; what would go over HTTP goes through memory, with a switch that cuts it.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <shared_mutex>
#include <string>

#include "engine/client/client.h"
#include "engine/replication/upstream.h"
#include "engine/store/storage_worker.h"
#include "tests/sim/stepped_store.h"

namespace small_db::testing {

// Waits for a condition that other threads bring about. False at the deadline.
bool eventually(const std::function<bool()>& condition);

class Node {
 public:
  explicit Node(std::string name, uint32_t region_id);
  ~Node();

  // What the store's directives would say. Before start().
  StoreOptions options;
  void follow(Node* primary) { primary_ = primary; }
  void start();   // and waits until it serves
  void launch();  // does not wait
  void stop();
  // As after kill -9: the region is new.
  void restart();
  // As after a reload: the next storage worker takes the region over.
  void replace_owner();

  // False: nobody reaches this node, and what is connected breaks.
  void set_reachable(bool reachable) { reachable_.store(reachable); }
  bool is_reachable() const { return reachable_.load() && !stopping_.load(); }
  // Has it tell its followers of a content that it does not have.
  void set_lies(bool lies) { lies_.store(lies); }
  bool lies() const { return lies_.load(); }
  std::shared_mutex memory;  // shared: a follower's thread is in this node's memory

  Region region() const { return region_.region(); }
  const std::string& name() const { return name_; }
  const std::string& path() const { return path_; }
  Role role() const;
  uint64_t revision() const { return region().header().revision.load(); }
  uint64_t epoch() const { return region().replication().epoch.load(); }
  bool serves() const;
  std::string log();

  // Through a client of this node.
  WriteOutcome put(std::string_view key, std::string_view value);
  // The same in two steps: the cookie of what was submitted, and its outcome.
  uint64_t submit_put(std::string_view key, std::string_view value);
  WriteOutcome await(uint64_t cookie);
  bool has_outcome(uint64_t cookie);
  WriteOutcome checkpoint();
  WriteOutcome promote();
  uint64_t submit_promote();
  std::optional<std::string> get(std::string_view key);
  // Every key with its value, in order.
  std::string content();

 private:
  class Bells;
  class Lines;
  class Factory;
  WriteOutcome outcome(uint64_t cookie, const Status& submitted);
  void take_outcomes();

  const std::string name_;
  std::string path_;
  TestRegion region_;
  Node* primary_ = nullptr;
  std::atomic<bool> reachable_{true};
  std::atomic<bool> stopping_{false};
  std::atomic<bool> lies_{false};
  std::unique_ptr<Bells> bells_;
  std::unique_ptr<Lines> lines_;
  std::unique_ptr<Factory> factory_;
  std::unique_ptr<StorageWorker> worker_;
  std::unique_ptr<Client> client_;
  uint64_t next_cookie_ = 1;
  std::map<uint64_t, WriteOutcome> outcomes_;  // by cookie
};

}  // namespace small_db::testing
