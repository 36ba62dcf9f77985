// Requests that a worker has begun to read and that wait for the test to go on: they keep a worker
// that drains alive, and are answered by it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <string>

#include "tests/nginx/http_client.h"

namespace small_db::testing {

// A PUT whose body is sent by halves.
class SlowPut {
 public:
  SlowPut(int port, const std::string& target, const std::string& value)
      : connection_(port), body_(base64_envelope(value)) {
    connection_.send("PUT " + target +
                     " HTTP/1.1\r\nHost: h\r\nExpect: 100-continue\r\nContent-Length: " +
                     std::to_string(body_.size()) + "\r\nConnection: close\r\n\r\n");
    EXPECT_EQ(raw_status(connection_.receive_until("\r\n\r\n")), 100);  // a worker waits for it
    connection_.send(body_.substr(0, body_.size() / 2));
  }

  // Sends the rest. The answer, whole; it must come long before a wait for an outcome ends.
  std::string finish() {
    const auto start = std::chrono::steady_clock::now();
    connection_.send(body_.substr(body_.size() / 2));
    std::string answer = connection_.receive_all();
    EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(8));
    connection_.close();  // nginx waits for that, too
    return answer;
  }

 private:
  RawConnection connection_;
  const std::string body_;
};

// A GET whose header is not complete.
class SlowGet {
 public:
  SlowGet(int port, const std::string& target) : connection_(port) {
    // Behind another request, in one piece: when that one is answered, this one's has been read.
    connection_.send("GET /static HTTP/1.1\r\nHost: h\r\n\r\nGET " + target + " HTTP/1.1\r\n");
    EXPECT_EQ(raw_status(connection_.receive_until("static\n")), 200);
  }

  std::string finish() {
    connection_.send("Host: h\r\nConnection: close\r\n\r\n");
    std::string answer = connection_.receive_all();
    connection_.close();
    return answer;
  }

 private:
  RawConnection connection_;
};

}  // namespace small_db::testing
