#include "tests/nginx/http_client.h"

#include <arpa/inet.h>
#include <curl/curl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <poll.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstdlib>
#include <cstring>
#include <nlohmann/json.hpp>

#include "tests/nginx/seen_responses.h"

namespace small_db::testing {
namespace {

struct Upload {
  const std::string* body = nullptr;
  size_t sent = 0;
};

size_t read_body(char* to, size_t size, size_t count, void* user) {
  auto* upload = static_cast<Upload*>(user);
  const size_t bytes = std::min(size * count, upload->body->size() - upload->sent);
  std::memcpy(to, upload->body->data() + upload->sent, bytes);
  upload->sent += bytes;
  return bytes;
}

// libcurl sends the body again when a kept connection turns out to be closed.
int seek_body(void* user, curl_off_t offset, int) {
  static_cast<Upload*>(user)->sent = static_cast<size_t>(offset);
  return CURL_SEEKFUNC_OK;
}

size_t write_body(char* from, size_t size, size_t count, void* user) {
  static_cast<std::string*>(user)->append(from, size * count);
  return size * count;
}

size_t write_header(char* from, size_t size, size_t count, void* user) {
  auto* headers = static_cast<std::vector<std::string>*>(user);
  std::string line(from, size * count);
  while (!line.empty() && (line.back() == '\n' || line.back() == '\r')) line.pop_back();
  if (line.rfind("HTTP/", 0) == 0) headers->clear();  // an answer 100 came before
  if (!line.empty()) headers->push_back(line);
  return size * count;
}

// libcurl tells of each time that it sends a request's header.
int count_sendings(CURL*, curl_infotype type, char*, size_t, void* user) {
  if (type == CURLINFO_HEADER_OUT) ++*static_cast<int*>(user);
  return 0;
}

long curl_version_of(HttpVersion version) {
  switch (version) {
    case HttpVersion::k1_0:
      return CURL_HTTP_VERSION_1_0;
    case HttpVersion::k2PriorKnowledge:
      return CURL_HTTP_VERSION_2_PRIOR_KNOWLEDGE;
    case HttpVersion::k1_1:
      break;
  }
  return CURL_HTTP_VERSION_1_1;
}

// libcurl 7.88 fails with a kept connection whose HTTP/2 is by prior knowledge. What is known to
// speak HTTP/2 already it uses on when asked for HTTP/2 plainly; but if that connection turns out
// to be closed, it opens a new one and speaks HTTP/1.1.
void set_version(CURL* curl, HttpVersion version, bool http2_kept) {
  curl_easy_setopt(
      curl, CURLOPT_HTTP_VERSION,
      http2_kept ? static_cast<long>(CURL_HTTP_VERSION_2_0) : curl_version_of(version));
  if (version == HttpVersion::k2PriorKnowledge && !http2_kept) {
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, 1L);
  }
}

class HeaderList {
 public:
  explicit HeaderList(const HttpRequest& request) {
    bool expects = false;
    for (const std::string& header : request.headers) {
      expects = expects || strncasecmp(header.c_str(), "Expect:", 7) == 0;
      add(header);
    }
    if (!expects) add("Expect:");  // else libcurl adds one of its own to long bodies
    if (request.chunked) add("Transfer-Encoding: chunked");
  }
  ~HeaderList() { curl_slist_free_all(list_); }
  HeaderList(const HeaderList&) = delete;
  HeaderList& operator=(const HeaderList&) = delete;
  curl_slist* list() const { return list_; }

 private:
  void add(const std::string& header) { list_ = curl_slist_append(list_, header.c_str()); }
  curl_slist* list_ = nullptr;
};

void set_upload(CURL* curl, const HttpRequest& request, Upload* upload) {
  if (!request.body) return;
  upload->body = &*request.body;
  curl_easy_setopt(curl, CURLOPT_UPLOAD, 1L);
  curl_easy_setopt(curl, CURLOPT_READFUNCTION, read_body);
  curl_easy_setopt(curl, CURLOPT_READDATA, upload);
  curl_easy_setopt(curl, CURLOPT_SEEKFUNCTION, seek_body);
  curl_easy_setopt(curl, CURLOPT_SEEKDATA, upload);
  const auto bytes = request.chunked ? -1 : static_cast<curl_off_t>(request.body->size());
  curl_easy_setopt(curl, CURLOPT_INFILESIZE_LARGE, bytes);
}

}  // namespace

struct HttpClient::Handle {
  CURL* curl = curl_easy_init();
  ~Handle() { curl_easy_cleanup(curl); }
};

HttpClient::HttpClient(int port)
    : handle_(std::make_unique<Handle>()), url_("http://127.0.0.1:" + std::to_string(port)) {}
HttpClient::~HttpClient() = default;

HttpResponse HttpClient::send(const HttpRequest& request) {
  bool lost_kept_connection = false;
  HttpResponse response = send_once(request, &lost_kept_connection);
  if (!lost_kept_connection) {
    note_response(request, response);
    return response;
  }
  const int sendings = response.sendings;
  response = send_once(request, &lost_kept_connection);
  response.sendings += sendings;
  note_response(request, response);
  return response;
}

HttpResponse HttpClient::send_once(const HttpRequest& request, bool* lost_kept_connection) {
  CURL* curl = handle_->curl;
  curl_easy_reset(curl);  // keeps the connection
  HttpResponse response;
  Upload upload;
  const HeaderList headers(request);
  char error[CURL_ERROR_SIZE] = "";
  curl_easy_setopt(curl, CURLOPT_URL, url_.c_str());
  curl_easy_setopt(curl, CURLOPT_REQUEST_TARGET, request.target.c_str());
  curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, error);
  curl_easy_setopt(curl, CURLOPT_VERBOSE, 1L);
  curl_easy_setopt(curl, CURLOPT_DEBUGFUNCTION, count_sendings);
  curl_easy_setopt(curl, CURLOPT_DEBUGDATA, &response.sendings);
  const bool http2 = request.version == HttpVersion::k2PriorKnowledge;
  const bool http2_kept = http2 && keeps_http2_;
  set_version(curl, request.version, http2_kept);
  curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers.list());
  curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, request.timeout_ms);
  curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, write_body);
  curl_easy_setopt(curl, CURLOPT_WRITEDATA, &response.body);
  curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, write_header);
  curl_easy_setopt(curl, CURLOPT_HEADERDATA, &response.headers);
  set_upload(curl, request, &upload);
  if (request.method == "HEAD") curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
  curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, request.method.c_str());
  const CURLcode code = curl_easy_perform(curl);
  response.version = http2 ? CURL_HTTP_VERSION_2_0 : 0;
  long connects = 0;
  curl_easy_getinfo(curl, CURLINFO_NUM_CONNECTS, &connects);
  // What goes out in HTTP/1.1 over a new connection, a server of HTTP/2 does not understand.
  const bool speaks_wrong_version = http2_kept && connects != 0;
  if (speaks_wrong_version && response.sendings > 0) response.sendings--;
  keeps_http2_ = http2 && code == CURLE_OK && !speaks_wrong_version;
  if (code != CURLE_OK || speaks_wrong_version) {
    response.error = error[0] != '\0' ? error : curl_easy_strerror(code);
    *lost_kept_connection = http2_kept ? code != CURLE_OPERATION_TIMEDOUT &&
                                             (speaks_wrong_version || response.headers.empty())
                                       : connects == 0 && response.headers.empty() &&
                                             (code == CURLE_SEND_ERROR || code == CURLE_RECV_ERROR);
    return response;
  }
  curl_easy_getinfo(curl, CURLINFO_RESPONSE_CODE, &response.status);
  curl_easy_getinfo(curl, CURLINFO_HTTP_VERSION, &response.version);
  return response;
}

std::string HttpResponse::header(std::string_view name) const {
  for (const std::string& line : headers) {
    if (line.size() <= name.size() || line[name.size()] != ':' ||
        strncasecmp(line.data(), name.data(), name.size()) != 0) {
      continue;
    }
    const size_t start = line.find_first_not_of(' ', name.size() + 1);
    return start == std::string::npos ? "" : line.substr(start);
  }
  return "";
}

RawConnection::RawConnection(int port) : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  EXPECT_EQ(connect(socket_, reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
}

RawConnection::~RawConnection() { close(); }

void RawConnection::close() {
  if (socket_ >= 0) ::close(socket_);
  socket_ = -1;
}

bool RawConnection::send(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(socket_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<size_t>(sent));
  }
  return true;
}

std::string RawConnection::receive_until(std::string_view end, int timeout_ms) {
  std::string received;
  for (;;) {
    if (!end.empty() && received.find(end) != std::string::npos) return received;
    pollfd waiting = {socket_, POLLIN, 0};
    if (poll(&waiting, 1, timeout_ms) <= 0) return received;
    char buffer[16 * 1024];
    const ssize_t got = recv(socket_, buffer, sizeof(buffer), 0);
    if (got <= 0) return received;
    received.append(buffer, static_cast<size_t>(got));
  }
}

std::string RawConnection::receive_all(int timeout_ms) { return receive_until({}, timeout_ms); }

std::string raw_exchange(int port, std::string_view bytes) {
  RawConnection connection(port);
  connection.send(bytes);
  return connection.receive_all();
}

int raw_status(std::string_view answer) {
  if (answer.substr(0, 7) != "HTTP/1." || answer.size() < 12) return 0;
  return std::atoi(std::string(answer.substr(9, 3)).c_str());
}

std::string percent_encoded(std::string_view bytes) {
  std::string text;
  for (const char byte : bytes) {
    constexpr char kHexDigits[] = "0123456789ABCDEF";
    text += '%';
    text += kHexDigits[static_cast<uint8_t>(byte) >> 4];
    text += kHexDigits[static_cast<uint8_t>(byte) & 15];
  }
  return text;
}

std::string json_string(std::string_view text) { return nlohmann::json(std::string(text)).dump(); }

namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

// Plain and slow: an encoder of its own, so that a fault of the module's cannot hide itself.
std::string base64(std::string_view bytes) {
  std::string text;
  text.reserve(bytes.size() / 3 * 4 + 4);
  for (size_t at = 0; at < bytes.size(); at += 3) {
    const size_t left = std::min<size_t>(3, bytes.size() - at);
    uint32_t group = 0;
    for (size_t i = 0; i < 3; i++) {
      group = group << 8 | (i < left ? static_cast<uint8_t>(bytes[at + i]) : 0);
    }
    for (size_t i = 0; i < 4; i++) {
      text += i <= left ? kAlphabet[group >> (18 - 6 * i) & 63] : '=';
    }
  }
  return text;
}

std::string unbase64(std::string_view text) {
  std::string bytes;
  bytes.reserve(text.size() / 4 * 3);
  std::array<int, 256> sextets;
  sextets.fill(-1);
  for (size_t i = 0; i < 64; i++) sextets[static_cast<uint8_t>(kAlphabet[i])] = static_cast<int>(i);
  uint32_t bits = 0;
  int count = 0;
  for (const char character : text) {
    const int six = sextets[static_cast<uint8_t>(character)];
    if (six < 0) break;
    bits = bits << 6 | static_cast<uint32_t>(six);
    count += 6;
    if (count < 8) continue;
    count -= 8;
    bytes += static_cast<char>(bits >> count);
  }
  return bytes;
}

}  // namespace

std::string base64_envelope(std::string_view value) {
  return R"({"value":")" + base64(value) + R"(","encoding":"base64"})";
}

std::string value_in(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.body << response.error;
  EXPECT_EQ(response.header("Content-Type"), "application/json");
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object() || !json.contains("value") || json["encoding"] != "base64") {
    ADD_FAILURE() << "not the answer of a GET: " << response.body.substr(0, 200);
    return "";
  }
  const auto text = json["value"].get<std::string>();
  std::string value = unbase64(text);
  EXPECT_TRUE(base64(value) == text) << "not standard base64";
  return value;
}

bool is_early_refusal(const HttpResponse& response, long status) {
  if (response.status != 0) return response.status == status;
  if (response.version != CURL_HTTP_VERSION_2_0) return false;
  if (!response.headers.empty()) {
    return response.headers.front().rfind("HTTP/2 " + std::to_string(status), 0) == 0;
  }
  return response.error.find("HTTP/2 framing layer") != std::string::npos ||
         response.error.find("Empty reply") != std::string::npos;
}

void expect_ok(const HttpResponse& response) {
  EXPECT_EQ(response.status, 200) << response.error;
  EXPECT_EQ(response.body, R"({"ok":true})");
  EXPECT_EQ(response.header("Content-Type"), "application/json");
}

void expect_problem(const HttpResponse& response, long status, const std::string& type,
                    const std::string& detail_part) {
  EXPECT_EQ(response.status, status) << response.error << response.body;
  EXPECT_EQ(response.header("Content-Type"), "application/problem+json");
  EXPECT_EQ(response.header("Retry-After"), status == 503 ? "1" : "");
  const auto json = nlohmann::json::parse(response.body, nullptr, false);
  if (!json.is_object()) {
    ADD_FAILURE() << "not a problem body: " << response.body.substr(0, 200);
    return;
  }
  EXPECT_EQ(json.value("type", ""), "urn:small-db:problem:" + type);
  EXPECT_EQ(json.value("status", 0), status);
  EXPECT_FALSE(json.value("title", "").empty());
  const std::string error = json.value("error", "");
  EXPECT_FALSE(error.empty());
  EXPECT_EQ(error.find('\n'), std::string::npos);
  EXPECT_NE(json.value("detail", "").find(detail_part), std::string::npos) << response.body;
}

}  // namespace small_db::testing
