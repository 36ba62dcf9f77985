#include "tests/chaos/clients.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace small_db::testing {
namespace {

// Of each client, and of each put of it.
constexpr ValueId kPutsPerClient = 1ull << 40;

constexpr auto kBackOff = std::chrono::milliseconds(3);

std::string target_of(uint32_t key) { return "/v1/kv/chaos/" + std::to_string(key); }

// The revision of "\"17\"", 0 when there is none.
uint64_t revision_in(const HttpResponse& response) {
  const std::string etag = response.header("ETag");
  return etag.size() > 2 ? std::strtoull(etag.c_str() + 1, nullptr, 10) : 0;
}

bool is_refusal(const HttpResponse& response) {
  return response.status == 503 && !response.header("Retry-After").empty();
}

bool is_not_primary(const HttpResponse& response) {
  return response.status == 403 && response.body.find("not-primary") != std::string::npos;
}

bool is_outcome_unknown(const HttpResponse& response) {
  return response.body.find("outcome-unknown") != std::string::npos;
}

}  // namespace

int64_t now_ns() {
  return std::chrono::duration_cast<std::chrono::nanoseconds>(
             std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

ChaosClient::ChaosClient(uint32_t index, int port, HttpVersion version,
                         const ClientsOptions& options)
    : options_(options),
      version_(version),
      http_(port),
      random_(options.seed * 1000 + index),
      next_value_((index + 1) * kPutsPerClient) {}

// Its length differs from put to put, so that a part of another one is told from it.
std::string ChaosClient::text_of(uint32_t key, ValueId value) const {
  const uint64_t mixed = value * 0x9e3779b97f4a7c15 >> 20;
  const size_t bytes_max =
      mixed % 50 == 0 ? options_.long_value_bytes_max : options_.value_bytes_max;
  return std::to_string(key) + "#" + std::to_string(value) + "#" +
         std::string(mixed / 50 % bytes_max, static_cast<char>('a' + value % 26));
}

// The put that the answer's value is of; kNever for what nobody put.
ValueId ChaosClient::value_of(uint32_t key, const HttpResponse& response) const {
  const std::string text = value_in(response);
  const size_t at = text.find('#');
  if (at == std::string::npos) return kNever;
  const ValueId value = std::strtoull(text.c_str() + at + 1, nullptr, 10);
  return text == text_of(key, value) ? value : kNever;
}

HttpResponse ChaosClient::send(HttpRequest request, int64_t* start, int64_t* end) {
  request.version = version_;
  request.timeout_ms = options_.timeout_ms;
  *start = now_ns();
  HttpResponse response = http_.send(request);
  *end = now_ns();
  if (response.status != 0) notes_.longest = std::max(notes_.longest, *end - *start);
  if (response.sendings > 1) notes_.sent_again += static_cast<uint64_t>(response.sendings - 1);
  return response;
}

bool ChaosClient::note_trouble(Trouble::Kind kind, int64_t start, int64_t end, std::string text) {
  notes_.troubles.push_back(
      {kind, start, end, version_ == HttpVersion::k2PriorKnowledge, std::move(text)});
  return false;
}

bool ChaosClient::note_bad_answer(const HttpRequest& request, const HttpResponse& response,
                                  int64_t start, int64_t end) {
  Trouble::Kind kind = Trouble::Kind::kWrong;
  if (response.status == 0) kind = Trouble::Kind::kNoAnswer;
  if (is_refusal(response)) kind = Trouble::Kind::kUnavailable;
  if (is_not_primary(response)) kind = Trouble::Kind::kNotPrimary;
  return note_trouble(kind, start, end,
                      request.method + " " + request.target + ": " +
                          std::to_string(response.status) + " " + response.error +
                          response.body.substr(0, 300));
}

bool ChaosClient::write(const HttpRequest& request, OperationKind kind, uint32_t key,
                        ValueId value) {
  Operation operation{key, kind, value, 0, kNever, 0};
  const HttpResponse response = send(request, &operation.start, &operation.end);
  const int64_t end = operation.end;
  const bool ok = response.status == 200;
  const bool refused =
      is_not_primary(response) || (is_refusal(response) && !is_outcome_unknown(response));
  // Each sending is a write of its own; the last one is what the answer is of.
  for (int i = 0; i < response.sendings; i++) {
    const bool answered = i + 1 == response.sendings && response.status != 0;
    if (answered && refused) continue;
    operation.end = answered && ok ? end : kNever;
    operation.revision = answered && ok ? revision_in(response) : 0;
    notes_.history.push_back(operation);
  }
  return ok || note_bad_answer(request, response, operation.start, end);
}

bool ChaosClient::put(uint32_t key) {
  const ValueId value = next_value_++;
  const HttpRequest request{
      .method = "PUT",
      .target = target_of(key),
      .body = R"({"encoding":"utf-8","value":")" + text_of(key, value) + "\"}"};
  return write(request, OperationKind::kPut, key, value);
}

bool ChaosClient::remove(uint32_t key) {
  return write({.method = "DELETE", .target = target_of(key)}, OperationKind::kDelete, key,
               kAbsent);
}

bool ChaosClient::get(uint32_t key) {
  Operation operation{key, OperationKind::kGet, kAbsent, 0, kNever, 0};
  const HttpRequest request{.target = target_of(key)};
  const HttpResponse response = send(request, &operation.start, &operation.end);
  if (response.status != 200 && response.status != 404) {
    return note_bad_answer(request, response, operation.start, operation.end);
  }
  if (response.status == 200) {
    operation.value = value_of(key, response);
    operation.revision = revision_in(response);
  }
  if (operation.value == kNever) {
    return note_bad_answer(request, response, operation.start, operation.end);
  }
  notes_.history.push_back(operation);
  return true;
}

bool ChaosClient::get_static() {
  int64_t start = 0;
  int64_t end = 0;
  const HttpRequest request{.target = "/static"};
  const HttpResponse response = send(request, &start, &end);
  if (response.status == 200 && response.body == "static\n") return true;
  return note_bad_answer(request, response, start, end);
}

bool ChaosClient::do_anything() {
  const auto key = static_cast<uint32_t>(random_() % options_.keys);
  const uint64_t choice = random_() % 100;
  if (choice < 45) return put(key);
  if (choice < 55) return remove(key);
  if (choice < 95) return get(key);
  return get_static();
}

ChaosClients::ChaosClients(int port, int http2_port, ClientsOptions options) {
  const int count = options.http1_clients + options.http2_clients;
  for (int i = 0; i < count; i++) {
    const bool http2 = i >= options.http1_clients;
    clients_.push_back(std::make_unique<ChaosClient>(
        static_cast<uint32_t>(i), http2 ? http2_port : port,
        http2 ? HttpVersion::k2PriorKnowledge : HttpVersion::k1_1, options));
  }
}

ChaosClients::~ChaosClients() { stop(); }

void ChaosClients::start() {
  for (const auto& client : clients_) threads_.emplace_back([this, &client] { run(client.get()); });
}

void ChaosClients::stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  stopped_.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

void ChaosClients::run(ChaosClient* client) {
  while (!stopping_) {
    if (client->do_anything()) {
      answered_++;
      continue;
    }
    // What failed is not tried again at once, as a client would do.
    std::unique_lock<std::mutex> lock(mutex_);
    stopped_.wait_for(lock, kBackOff, [this] { return stopping_.load(); });
  }
}

}  // namespace small_db::testing
