// The clients of a chaos run: threads, each with a kept connection over HTTP/1.1 or HTTP/2, that
// put, get and delete a few keys and write down what they asked and what they were told. What was
// not answered as it should be is written down as well, with its time: whether it may be so, the
// judge of the run decides by what was done to the server at that time.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "tests/chaos/history.h"
#include "tests/nginx/http_client.h"

namespace small_db::testing {

int64_t now_ns();

// An answer that no client wants.
struct Trouble {
  enum class Kind : uint8_t {
    kNoAnswer,     // the connection broke, or could not be made
    kUnavailable,  // 503 with Retry-After: nothing was done, or the outcome is unknown
    kNotPrimary,   // 403: nothing was done; another node may be the primary
    kWrong,        // what must never come
  };
  Kind kind = Kind::kNoAnswer;
  int64_t start = 0;
  int64_t end = 0;
  bool http2 = false;
  std::string text;
};

// What one client wrote down.
struct Notes {
  History history;
  std::vector<Trouble> troubles;
  uint64_t sent_again = 0;  // a kept connection was closed instead of an answer
  int64_t longest = 0;      // of all answers
};

struct ClientsOptions {
  int http1_clients = 10;
  int http2_clients = 6;
  uint32_t keys = 40;
  size_t value_bytes_max = 1500;
  size_t long_value_bytes_max = 100'000;  // of one put in fifty
  uint64_t seed = 1;
  long timeout_ms = 20'000;  // a request that takes this long is a request that hangs
};

// One client: what it does is done by whoever calls it.
class ChaosClient {
 public:
  ChaosClient(uint32_t index, int port, HttpVersion version, const ClientsOptions& options);

  // False: there was trouble.
  bool put(uint32_t key);
  bool remove(uint32_t key);
  bool get(uint32_t key);
  bool get_static();
  bool do_anything();

  const Notes& notes() const { return notes_; }

 private:
  HttpResponse send(HttpRequest request, int64_t* start, int64_t* end);
  bool write(const HttpRequest& request, OperationKind kind, uint32_t key, ValueId value);
  bool note_trouble(Trouble::Kind kind, int64_t start, int64_t end, std::string text);
  bool note_bad_answer(const HttpRequest& request, const HttpResponse& response, int64_t start,
                       int64_t end);
  std::string text_of(uint32_t key, ValueId value) const;
  ValueId value_of(uint32_t key, const HttpResponse& response) const;

  const ClientsOptions options_;
  const HttpVersion version_;
  HttpClient http_;
  std::mt19937_64 random_;
  ValueId next_value_;
  Notes notes_;
};

// Many of them, each in a thread of its own.
class ChaosClients {
 public:
  ChaosClients(int port, int http2_port, ClientsOptions options);
  ~ChaosClients();  // stop()
  ChaosClients(const ChaosClients&) = delete;
  ChaosClients& operator=(const ChaosClients&) = delete;

  void start();
  void stop();
  uint64_t answered() const { return answered_.load(); }
  // After stop.
  const std::vector<std::unique_ptr<ChaosClient>>& all() const { return clients_; }

 private:
  void run(ChaosClient* client);

  std::vector<std::unique_ptr<ChaosClient>> clients_;
  std::vector<std::thread> threads_;
  std::atomic<uint64_t> answered_{0};
  std::mutex mutex_;
  std::condition_variable stopped_;
  std::atomic<bool> stopping_{false};
};

}  // namespace small_db::testing
