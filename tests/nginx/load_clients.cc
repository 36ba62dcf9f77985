#include "tests/nginx/load_clients.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <random>

namespace small_db::testing {
namespace {

std::string text_envelope(const std::string& value) {
  return R"({"encoding":"utf-8","value":")" + value + "\"}";
}

// The number within a value; nothing when the value is not one that a writer wrote.
std::optional<uint64_t> number_in(const std::string& value, const std::string& key) {
  if (value.compare(0, key.size() + 1, key + "#") != 0) return std::nullopt;
  return std::strtoull(value.c_str() + key.size() + 1, nullptr, 10);
}

}  // namespace

LoadClients::LoadClients(int port, LoadOptions options)
    : port_(port),
      options_(std::move(options)),
      writers_(static_cast<size_t>(options_.writers)),
      shared_(static_cast<size_t>(options_.writers * options_.keys_per_writer)) {}

LoadClients::~LoadClients() { stop(); }

void LoadClients::start() {
  for (int i = 0; i < options_.writers; i++) {
    writers_[static_cast<size_t>(i)].index = i;
    threads_.emplace_back([this, i] { write(&writers_[static_cast<size_t>(i)]); });
  }
  for (int i = 0; i < options_.readers; i++) threads_.emplace_back([this, i] { read(i); });
}

void LoadClients::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
  for (const std::string& failure : failures_) ADD_FAILURE() << failure;
  failures_.clear();
}

std::string LoadClients::key_name(int writer, int key, uint64_t generation) const {
  return options_.key_prefix + "/" + std::to_string(writer) + "/" + std::to_string(key) + "/" +
         std::to_string(generation);
}

HttpRequest LoadClients::request_for(const char* method, const std::string& key) const {
  HttpRequest request{.method = method, .target = "/v1/kv/" + key};
  if (!options_.kept_connections) request.headers = {"Connection: close"};
  return request;
}

// Its length varies with the number, so that a value of another request is told from it.
std::string LoadClients::value_of(const std::string& key, uint64_t number) const {
  const size_t padding = number * 7919 % options_.value_bytes_max;
  return key + "#" + std::to_string(number) + "#" + std::string(padding, 'x');
}

// Until the end of the load, but not for long: what failed may be tried again soon.
void LoadClients::back_off() {
  std::unique_lock<std::mutex> lock(mutex_);
  stopped_.wait_for(lock, std::chrono::milliseconds(2), [this] { return stopping_.load(); });
}

void LoadClients::report(const std::string& failure) {
  const std::lock_guard<std::mutex> lock(mutex_);
  if (failures_.size() < 10) failures_.push_back(failure);
}

// Even keys are only ever put, so that readers know what to expect; odd ones are deleted at times.
void LoadClients::write(Writer* writer) {
  HttpClient client(port_);
  for (uint64_t number = 1; !stopping_; number++) {
    const int key = static_cast<int>(number % static_cast<uint64_t>(options_.keys_per_writer));
    SharedKey& shared_key = shared(writer->index, key);
    const uint64_t generation = shared_key.generation.load();
    const std::string name = key_name(writer->index, key, generation);
    const bool deletes = key % 2 == 1 && number % 3 == 0;
    HttpRequest request = request_for(deletes ? "DELETE" : "PUT", name);
    if (!deletes) request.body = text_envelope(value_of(name, number));
    const HttpResponse response = client.send(request);
    const State state = deletes ? State() : State(number);
    std::vector<State>& possible = writer->possible[name];
    if (response.status == 200) {
      possible = {state};
      shared_key.acknowledged.store(number);
      acknowledged_++;
      continue;
    }
    if (possible.empty()) possible.emplace_back();
    possible.push_back(state);
    shared_key.acknowledged.store(0);
    shared_key.generation.store(generation + 1);
    unclear_++;
    if (!options_.failures_allowed) {
      report((deletes ? "DELETE " : "PUT ") + name + ": " + std::to_string(response.status) + " " +
             response.error + response.body);
    }
    back_off();
  }
}

void LoadClients::read(int seed) {
  HttpClient client(port_);
  std::minstd_rand random(static_cast<unsigned>(seed) + 1);
  while (!stopping_) {
    const int writer = static_cast<int>(random() % static_cast<unsigned>(options_.writers));
    const int key = static_cast<int>(random() % static_cast<unsigned>(options_.keys_per_writer));
    read_one(client, writer, key - key % 2);
  }
}

void LoadClients::read_one(HttpClient& client, int writer, int key) {
  SharedKey& shared_key = shared(writer, key);
  const uint64_t generation = shared_key.generation.load();
  const uint64_t acknowledged = shared_key.acknowledged.load();
  const std::string name = key_name(writer, key, generation);
  const HttpResponse response = client.send(request_for("GET", name));
  if (response.status != 200 && response.status != 404) {
    if (!options_.failures_allowed) {
      report("GET " + name + ": " + std::to_string(response.status) + " " + response.error +
             response.body);
    }
    back_off();
    return;
  }
  reads_++;
  // The two were not read at once: only a key that stayed the same says what to expect.
  if (shared_key.generation.load() != generation) return;
  uint64_t seen = 0;
  if (response.status == 200) {
    const std::string value = value_in(response);
    seen = number_in(value, name).value_or(0);
    if (value != value_of(name, seen)) report("GET " + name + ": not a value of this key");
  }
  if (seen < acknowledged) {
    report("GET " + name + ": saw " + std::to_string(seen) + " after " +
           std::to_string(acknowledged) + " was acknowledged");
  }
}

void LoadClients::verify(HttpClient& client) const {
  size_t keys = 0;
  for (const Writer& writer : writers_) {
    for (const auto& [name, possible] : writer.possible) {
      const HttpResponse response = client.get("/v1/kv/" + name);
      State state;
      if (response.status != 404) {
        const std::string value = value_in(response);
        state = number_in(value, name);
        EXPECT_EQ(value, value_of(name, state.value_or(0)));
      }
      bool found = false;
      for (const State& one : possible) found = found || one == state;
      EXPECT_TRUE(found) << name << " is at " << state.value_or(0) << ", expected "
                         << possible.front().value_or(0) << " of " << possible.size();
      keys++;
    }
  }
  EXPECT_GT(keys, 0u);
}

}  // namespace small_db::testing
