// Many clients at once, each with a connection of its own, and what the server promised them.
//
// A writer changes its own keys only, one request at a time. It knows of each key which states are
// possible: the last acknowledged one, and that of a request that got no clear answer; such a key
// is then left alone, since the request may take effect at any later time. A reader looks at keys
// of all writers and must never see less than what was acknowledged before it asked.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/nginx/http_client.h"

namespace small_db::testing {

struct LoadOptions {
  int writers = 4;
  int readers = 2;
  int keys_per_writer = 16;
  size_t value_bytes_max = 2000;
  bool kept_connections = true;   // false: each request has one of its own, and must be answered
  bool failures_allowed = false;  // requests may fail: the server is being killed
  std::string key_prefix = "load";
};

class LoadClients {
 public:
  LoadClients(int port, LoadOptions options);
  ~LoadClients();  // stop()
  LoadClients(const LoadClients&) = delete;
  LoadClients& operator=(const LoadClients&) = delete;

  void start();
  void stop();  // also reports what went wrong to GoogleTest

  uint64_t acknowledged() const { return acknowledged_.load(); }
  uint64_t unclear() const { return unclear_.load(); }
  uint64_t reads() const { return reads_.load(); }

  // After stop: each key that was ever written must be in one of its possible states.
  void verify(HttpClient& client) const;

 private:
  // The state after a request: the number of the value, none when it was deleted.
  using State = std::optional<uint64_t>;
  struct Writer {
    int index = 0;
    std::map<std::string, std::vector<State>> possible;  // by key
  };
  // What readers of a key may rely on. Numbers only grow.
  struct SharedKey {
    std::atomic<uint64_t> generation{0};
    std::atomic<uint64_t> acknowledged{0};
  };

  std::string key_name(int writer, int key, uint64_t generation) const;
  HttpRequest request_for(const char* method, const std::string& key) const;
  std::string value_of(const std::string& key, uint64_t number) const;
  void write(Writer* writer);
  void read(int seed);
  void read_one(HttpClient& client, int writer, int key);
  void back_off();
  void report(const std::string& failure);
  SharedKey& shared(int writer, int key) {
    return shared_[static_cast<size_t>(writer * options_.keys_per_writer + key)];
  }

  const int port_;
  const LoadOptions options_;
  std::vector<Writer> writers_;
  std::vector<SharedKey> shared_;
  std::vector<std::thread> threads_;
  std::atomic<bool> stopping_{false};
  std::atomic<uint64_t> acknowledged_{0};
  std::atomic<uint64_t> unclear_{0};
  std::atomic<uint64_t> reads_{0};
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::vector<std::string> failures_;  // guarded by mutex_
};

}  // namespace small_db::testing
