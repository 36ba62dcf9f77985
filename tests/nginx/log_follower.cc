#include "tests/nginx/log_follower.h"

#include <curl/curl.h>
#include <gtest/gtest.h>

#include <chrono>

#include "engine/record/record.h"
#include "tests/nginx/seen_responses.h"

namespace small_db::testing {

NodeHeaders node_headers(const HttpResponse& response) {
  NodeHeaders node;
  node.cluster = response.header("Small-Db-Cluster");
  node.node = response.header("Small-Db-Node");
  node.epoch = response.header("Small-Db-Epoch");
  node.role = response.header("Small-Db-Role");
  const std::string history = response.header("Small-Db-History");
  const size_t last = history.rfind(',') == std::string::npos ? 0 : history.rfind(',') + 1;
  const size_t colon = history.find(':', last);
  if (colon != std::string::npos) node.term = history.substr(colon + 1, 32);
  return node;
}

NodeHeaders ask_node(int port) {
  NodeHeaders other;
  other.cluster = kFollowerId;
  other.epoch = "0";
  HttpClient client(port);
  return node_headers(client.get(log_target(other, 0)));
}

std::string log_target(const NodeHeaders& node, uint64_t from, const std::string& follower) {
  return "/v1/replication/log?from=" + std::to_string(from) + "&cluster=" + node.cluster +
         "&node=" + follower + "&epoch=" + node.epoch +
         "&term=" + (from == 0 ? std::string(kNoUid) : node.term);
}

struct LogFollower::Handle {
  CURLM* multi = curl_multi_init();
  CURL* easy = curl_easy_init();
  ~Handle() {
    curl_multi_remove_handle(multi, easy);
    curl_easy_cleanup(easy);
    curl_multi_cleanup(multi);
  }
};

LogFollower::LogFollower(int port, const std::string& target, bool http2)
    : handle_(std::make_unique<Handle>()), target_(target) {
  CURL* easy = handle_->easy;
  const std::string url = "http://127.0.0.1:" + std::to_string(port) + target;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(
      easy, CURLOPT_HTTP_VERSION,
      static_cast<long>(http2 ? CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE : CURL_HTTP_VERSION_1_1));
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, this);
  curl_easy_setopt(
      easy, CURLOPT_WRITEFUNCTION, +[](char* data, size_t, size_t bytes, void* self) -> size_t {
        static_cast<LogFollower*>(self)->take({data, bytes});
        return bytes;
      });
  curl_multi_add_handle(handle_->multi, easy);
  int running = 0;
  curl_multi_perform(handle_->multi, &running);
}

LogFollower::~LogFollower() {
  EXPECT_EQ(error, "");
  const char* type = nullptr;
  curl_easy_getinfo(handle_->easy, CURLINFO_CONTENT_TYPE, &type);
  HttpResponse response;
  response.status = status();
  response.headers = {std::string("Content-Type: ") + (type == nullptr ? "" : type)};
  if (response.status != 0) note_response({.target = target_}, response);
}

long LogFollower::status() const {
  long status = 0;
  curl_easy_getinfo(handle_->easy, CURLINFO_RESPONSE_CODE, &status);
  return status;
}

bool LogFollower::read_until(const std::function<bool()>& done, int timeout_ms) {
  const auto deadline = std::chrono::steady_clock::now() + std::chrono::milliseconds(timeout_ms);
  while (!done()) {
    if (ended_ || !error.empty() || std::chrono::steady_clock::now() > deadline) return false;
    int running = 0;
    curl_multi_perform(handle_->multi, &running);
    ended_ = running == 0;
    if (!done() && !ended_) curl_multi_poll(handle_->multi, nullptr, 0, 50, nullptr);
  }
  return true;
}

void LogFollower::take(std::string_view text) {
  if (status() != 200) return;
  bytes += text.size();
  parser_.feed(as_bytes(text));
  for (;;) {
    StreamMessage message;
    const Result<bool> found = parser_.next(&message);
    if (!found.is_ok()) error = found.status().text();
    if (!found.is_ok() || !found.value()) return;
    take(message);
  }
}

void LogFollower::take(const StreamMessage& message) {
  if (last_revision != 0 && message.first_revision != last_revision + 1) error = "a gap";
  if (message.durable_revision + 1 < message.next_revision()) error = "not durable";
  if (message.type == StreamMessageType::kAlive) {
    ++alives;
    bytes_behind = message.bytes_behind();
  }
  if (message.type != StreamMessageType::kFrame) return;
  ++frames;
  if (first_revision == 0) first_revision = message.first_revision;
  last_revision = message.next_revision() - 1;
  Bytes rest = message.body;
  while (!rest.empty()) {
    const Result<DecodedRecord> record = decode_record(rest);
    if (!record.is_ok()) {
      error = record.status().text();
      return;
    }
    const RecordView& view = record.value().view;
    const std::string key(as_text(view.key));
    if (view.type == RecordType::kPut) {
      records[key] = std::string(as_text(view.value));
    } else {
      records.erase(key);
    }
    rest = rest.subspan(record.value().bytes);
  }
}

}  // namespace small_db::testing
