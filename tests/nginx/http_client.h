// HTTP for tests, over libcurl: one connection, kept alive between requests. And a bare socket for
// what no client library would send.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace small_db::testing {

enum class HttpVersion { k1_0, k1_1, k2PriorKnowledge };

struct HttpRequest {
  std::string method = "GET";
  std::string target = "/";  // as it goes over the wire: path and query
  std::optional<std::string> body = std::nullopt;
  bool chunked = false;                   // instead of a Content-Length
  std::vector<std::string> headers = {};  // "Name: value"
  HttpVersion version = HttpVersion::k1_1;
  long timeout_ms = 30'000;
};

struct HttpResponse {
  long status = 0;                   // 0: no answer
  std::string error;                 // why there is none
  std::vector<std::string> headers;  // lines of the final answer
  std::string body;
  long version = 0;  // CURL_HTTP_VERSION_…
  // How often the request went out. More than once: a kept connection was closed instead of an
  // answer. A server may then have done what each but the last one asked for, or not.
  int sendings = 0;

  // The header's value; empty when there is none.
  std::string header(std::string_view name) const;
};

class HttpClient {
 public:
  explicit HttpClient(int port);
  ~HttpClient();
  HttpClient(const HttpClient&) = delete;
  HttpClient& operator=(const HttpClient&) = delete;

  // A server may close a kept connection at any time, also just when the next request comes: then
  // the request is sent once more, over a new one (RFC 9110 section 9.2.2). libcurl does the same
  // on its own.
  HttpResponse send(const HttpRequest& request);

  HttpResponse get(const std::string& target) { return send({.target = target}); }
  HttpResponse put(const std::string& target, const std::string& body) {
    return send({.method = "PUT", .target = target, .body = body});
  }
  HttpResponse del(const std::string& target) {
    return send({.method = "DELETE", .target = target});
  }

 private:
  struct Handle;
  HttpResponse send_once(const HttpRequest& request, bool* lost_kept_connection);
  std::unique_ptr<Handle> handle_;
  std::string url_;
  bool keeps_http2_ = false;  // the kept connection, if there is one, speaks HTTP/2
};

// A connection that sends what it is given.
class RawConnection {
 public:
  explicit RawConnection(int port);
  ~RawConnection();
  RawConnection(const RawConnection&) = delete;
  RawConnection& operator=(const RawConnection&) = delete;

  // False: the other side has closed.
  bool send(std::string_view bytes);
  // What comes until the other side closes, or nothing came for `timeout_ms`.
  std::string receive_all(int timeout_ms = 10'000);
  // What comes until `end` has come (included), the other side closes, or the time is over.
  std::string receive_until(std::string_view end, int timeout_ms = 10'000);
  void close();

 private:
  int socket_ = -1;
};

// One request over a connection of its own; everything that came back. The request must ask for
// the connection to be closed.
std::string raw_exchange(int port, std::string_view bytes);

// The status of an answer as it came over the wire; 0 when it is none.
int raw_status(std::string_view answer);

// "%41%2f…": every byte percent-encoded.
std::string percent_encoded(std::string_view bytes);

// A PUT body with the value as base64.
std::string base64_envelope(std::string_view value);

// The text as a JSON string, with its quotes. REQUIRES: it is UTF-8.
std::string json_string(std::string_view text);

// 200 and {"ok":true}.
void expect_ok(const HttpResponse& response);

// An answer of application/problem+json with this status, this type (its last part), and a detail
// that holds `detail_part`; with Retry-After if it is a 503.
void expect_problem(const HttpResponse& response, long status, const std::string& type,
                    const std::string& detail_part = "");

// True when a request was refused with this status before its body was read. Over HTTP/2 nginx then
// resets the stream behind the answer (RFC 9113 section 8.1), and libcurl 7.88 may lose that one.
bool is_early_refusal(const HttpResponse& response, long status);

// The decoded value of a GET's answer. Fails the test when the answer is not the documented one.
std::string value_in(const HttpResponse& response);

}  // namespace small_db::testing
